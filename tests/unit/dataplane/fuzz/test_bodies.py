"""Bodies that are odd in any way: chunks, XML documents."""

from hypothesis import given
from hypothesis import strategies as st

from dataplane.wire.aws_chunked import AwsChunkedReader
from dataplane.wire.cors_documents import cors_configuration, read_cors
from dataplane.wire.notification_documents import notification_configuration, read_notifications
from dataplane.wire.refusals import SignatureDoesNotMatch
from dataplane.wire.requests import read_complete, read_delete, read_location, read_versioning
from dataplane.wire.standing_documents import (
    require_enforced_ownership,
    require_full_block,
    require_no_acceleration,
    require_no_logging,
    require_owner_alone,
    require_owner_pays,
)
from dataplane.wire.tagging import read_tagging, tagging
from engine.cors import parse_rules, write_rules
from engine.notifications import rules as notification_rules
from engine.tags import parse_tags, write_tags
from tests.support.wire_bodies import BytesBody, read_all
from tests.unit.dataplane.fuzz.fuzzing import answers_or_refuses, fuzzed, mutated


class NoSignature:
    """Expects signatures that nobody has."""

    def check_chunk(self, signature: str, data_sha256: str) -> None:
        raise SignatureDoesNotMatch

    check_trailer = check_chunk


CHUNKED = (
    b"5\r\nhello\r\n5\r\nworld\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
    b"a;chunk-signature=" + b"0" * 64 + b"\r\nhelloworld\r\n0;chunk-signature=" + b"1" * 64 + b"\r\n\r\n",
)


@fuzzed
@given(
    raw=st.one_of(st.binary(max_size=300), mutated(*CHUNKED)),
    pieces=st.lists(st.integers(1, 50), min_size=1, max_size=3),
    buffer_bytes=st.integers(1, 64),
    signs=st.booleans(),
    decoded_bytes=st.sampled_from([0, 5, 10, 2**40]),
)
def test_chunks(raw: bytes, pieces: list[int], buffer_bytes: int, signs: bool, decoded_bytes: int) -> None:
    reader = AwsChunkedReader(
        BytesBody(raw, piece_sizes=pieces),
        decoded_bytes=decoded_bytes,
        signatures=NoSignature() if signs else None,
        has_trailer=not signs,
        trailers=() if signs else ("x-amz-checksum-crc32",),
    )

    data = answers_or_refuses(lambda: read_all(reader, buffer_bytes=buffer_bytes))
    if data is not None:
        assert len(data) == decoded_bytes
        assert not signs


DELETE = b"<Delete xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><Quiet>true</Quiet><Object><Key>k</Key></Object></Delete>"
COMPLETE = (
    b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&quot;a&quot;</ETag>"
    b"<ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part></CompleteMultipartUpload>"
)
VERSIONING = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
STANDING = (
    b"<AccessControlPolicy><Owner><ID>me</ID></Owner><AccessControlList><Grant><Grantee><ID>me</ID></Grantee>"
    b"<Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>",
    b"<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>",
    b"<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>",
    b"<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>",
)
LOCATION = (
    b"<CreateBucketConfiguration><LocationConstraint>EU</LocationConstraint></CreateBucketConfiguration>"
)


@fuzzed
@given(
    raw=st.one_of(
        st.binary(max_size=300),
        mutated(
            DELETE, COMPLETE, LOCATION, VERSIONING, *STANDING, b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"
        ),
    )
)
def test_documents(raw: bytes) -> None:
    answers_or_refuses(lambda: read_delete(raw))
    answers_or_refuses(lambda: read_complete(raw))
    answers_or_refuses(lambda: read_location(raw, region="us-east-1"))
    answers_or_refuses(lambda: read_versioning(raw))
    answers_or_refuses(lambda: require_owner_alone(raw, owner="me"))
    for require in (
        require_owner_pays,
        require_no_acceleration,
        require_no_logging,
        require_enforced_ownership,
        require_full_block,
    ):
        answers_or_refuses(require, raw)


CORS = (
    b"<CORSConfiguration><CORSRule><ID>r</ID><AllowedOrigin>https://*.example.com</AllowedOrigin>"
    b"<AllowedMethod>PUT</AllowedMethod><AllowedHeader>x-amz-*</AllowedHeader><MaxAgeSeconds>300</MaxAgeSeconds>"
    b"<ExposeHeader>ETag</ExposeHeader></CORSRule></CORSConfiguration>"
)
NOTIFICATION = (
    b"<NotificationConfiguration><TopicConfiguration><Id>a</Id><Topic>arn:penstock:notify:::hook</Topic>"
    b"<Event>s3:ObjectCreated:*</Event><Event>s3:ObjectRemoved:Delete</Event><Filter><S3Key><FilterRule>"
    b"<Name>Prefix</Name><Value>in/</Value></FilterRule></S3Key></Filter></TopicConfiguration>"
    b"</NotificationConfiguration>"
)
TAGGING = (
    b"<Tagging><TagSet><Tag><Key>a</Key><Value>1 + 2</Value></Tag><Tag><Key>b</Key><Value/></Tag></TagSet>"
    b"</Tagging>"
)


@fuzzed
@given(raw=st.one_of(st.binary(max_size=300), mutated(CORS)))
def test_a_cors_document_that_is_taken_is_kept_as_it_means(raw: bytes) -> None:
    rules = answers_or_refuses(lambda: read_cors(raw))

    if rules is not None:
        assert parse_rules(write_rules(rules)) == rules
        assert read_cors(cors_configuration(rules)) == rules


@fuzzed
@given(raw=st.one_of(st.binary(max_size=300), mutated(NOTIFICATION)))
def test_a_notification_document_that_is_taken_is_kept_as_it_means(raw: bytes) -> None:
    rules = answers_or_refuses(lambda: read_notifications(raw, {"hook"}))

    if rules is not None:
        assert notification_rules.parse_rules(notification_rules.write_rules(rules)) == rules
        assert read_notifications(notification_configuration(rules), {"hook"}) == rules


@fuzzed
@given(raw=st.one_of(st.binary(max_size=300), mutated(TAGGING)))
def test_tags_that_are_taken_are_kept_as_they_are(raw: bytes) -> None:
    tags = answers_or_refuses(lambda: read_tagging(raw, count_max=10))

    if tags is not None:
        assert parse_tags(write_tags(tags)) == tags
        assert read_tagging(tagging(tags), count_max=10) == tags
