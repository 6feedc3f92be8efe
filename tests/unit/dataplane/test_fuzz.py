"""Whatever bytes come, parsers answer or refuse in kind: nothing but typed errors ever leaves them.

A short run by default; `make fuzz` sets PENSTOCK_FUZZ_EXAMPLES for a long one.
"""

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dataplane.auth.canonical import canonical_query
from dataplane.auth.claims import read_authorization, read_presigned
from dataplane.auth.identity import Credential, Identity, Role
from dataplane.auth.signing_keys import SigningKeys
from dataplane.auth.sigv2_presigned import read_presigned_v2, verify_presigned_v2
from dataplane.auth.sigv4 import Authenticator, SignedRequest
from dataplane.wire.aws_chunked import AwsChunkedReader
from dataplane.wire.bodies import read_promise
from dataplane.wire.conditions import ReadConditions, WriteConditions, range_applies
from dataplane.wire.copy_source import read_copy_source
from dataplane.wire.faults import error_document, refusal_of
from dataplane.wire.fields import gather_fields
from dataplane.wire.headers import object_response_headers, read_object_headers, read_response_overrides
from dataplane.wire.parameters import (
    read_list_buckets,
    read_list_parts,
    read_list_uploads,
    read_list_v1,
    read_list_v2,
    read_part_number,
    read_token,
    read_version_id,
)
from dataplane.wire.payload import read_payload
from dataplane.wire.ranges import parse_range
from dataplane.wire.refusals import SignatureDoesNotMatch, WireError
from dataplane.wire.requests import read_complete, read_delete, read_location
from dataplane.wire.routes import find_route
from dataplane.wire.target import parse_target
from dataplane.wire.times import parse_amz_date, parse_http_date
from engine.errors import EngineError
from tests.support.sigv4_signer import Signer
from tests.support.wire_bodies import BytesBody, read_all

EXAMPLES = int(os.environ.get("PENSTOCK_FUZZ_EXAMPLES", "100"))
fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

octets = st.characters(min_codepoint=0, max_codepoint=255)
header_text = st.text(octets, max_size=200)


def mutated(*seeds: bytes) -> st.SearchStrategy[bytes]:
    """Something right with a piece of it cut out, doubled, or replaced."""

    def mutate(seed: bytes, start: int, length: int, put: bytes) -> bytes:
        at = start % (len(seed) + 1)
        return seed[:at] + put + seed[at + length :]

    return st.builds(
        mutate,
        st.sampled_from(seeds),
        st.integers(0, 1 << 16),
        st.integers(0, 40),
        st.one_of(
            st.binary(max_size=20),
            st.sampled_from([b"%", b"%2", b"\r\n", b"&", b"=", b";", b"/", b"<", b">", b"\0"]),
        ),
    )


def answers_or_refuses(call: Callable[..., Any], *arguments: Any) -> Any:
    """Call it; a refusal must also make a document."""
    try:
        return call(*arguments)
    except (WireError, EngineError) as error:
        refusal = refusal_of(error)
        assert 400 <= refusal.fault.status < 500 or refusal.fault.status == 501
        assert error_document(refusal, resource="/", request_id="R", host_id="H").endswith(b"</Error>")
        assert all("\n" not in value and "\r" not in value for value in refusal.headers.values())
        return None


TARGETS = (
    b"/bucket/key%20a/%E2%82%AC?list-type=2&prefix=a%2Fb&acl&uploadId=1&partNumber=2",
    Signer().presigned(target="/bucket/key?versionId=null&x-amz-meta-a=b").encode(),
    b"/?x-id=ListBuckets",
    b"/bucket/key?AWSAccessKeyId=AK&Signature=abc%3D&Expires=9&uploadId=1&partNumber=2&x-amz-meta-a=b&content-type=c",
)


@fuzzed
@given(
    raw=st.one_of(st.binary(max_size=300), mutated(*TARGETS)),
    method=st.sampled_from(["GET", "PUT", "POST", "x"]),
)
@example(raw=b"/bucket/" + b"%00" * 5, method="GET")
def test_targets_routes_and_parameters(raw: bytes, method: str) -> None:
    target = answers_or_refuses(lambda: parse_target(raw))
    if target is None:
        return
    answers_or_refuses(lambda: find_route(method, target, {}))
    for read in (
        read_list_v1,
        read_list_v2,
        read_list_uploads,
        read_list_parts,
        read_list_buckets,
        read_part_number,
        read_response_overrides,
    ):
        answers_or_refuses(read, target)
    answers_or_refuses(lambda: read_presigned(target, region="us-east-1"))
    presigned = answers_or_refuses(lambda: read_presigned_v2(target, {}, now_us=0))
    if presigned is not None:
        answers_or_refuses(lambda: verify_presigned_v2(presigned, method=method, target=target, secret="s"))
    canonical_query(target.raw_query)


def test_canonical_queries_of_what_was_parsed_never_fail() -> None:
    assert canonical_query(b"a=%20&%61=1") == "a=%20&a=1"


AUTHORIZATION = dict(Signer().headers())["authorization"].encode()


@fuzzed
@given(raw=st.one_of(st.binary(max_size=300), mutated(AUTHORIZATION)), date=header_text, sha=header_text)
def test_authorization_headers(raw: bytes, date: str, sha: str) -> None:
    text = raw.decode("latin-1")
    answers_or_refuses(lambda: read_authorization(text, region="us-east-1"))
    identity = Identity(name="n", account_id=1, account="a", role=Role.READER)
    known = Credential(access_key_id="AKIDEXAMPLE", secret="s", identity=identity)
    authenticator = Authenticator(
        lambda _: known, region="us-east-1", now_us=lambda: 0, signing_keys=SigningKeys()
    )
    for headers in (
        {"authorization": text, "x-amz-date": date, "x-amz-content-sha256": sha, "host": "h"},
        {"authorization": text, "x-amz-date": Signer().amz_date, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"},
    ):
        signed = SignedRequest(method="GET", target=parse_target(b"/bucket/key"), headers=headers)
        assert answers_or_refuses(authenticator.authenticate, signed) is None


@fuzzed
@given(raw=mutated(*(target for target in TARGETS if b"X-Amz" in target)))
def test_a_presigned_url_that_was_altered_is_never_proven(raw: bytes) -> None:
    signer = Signer()
    target = answers_or_refuses(lambda: parse_target(raw))
    if target is None or raw in TARGETS:
        return
    identity = Identity(name="n", account_id=1, account="a", role=Role.READER)
    known = Credential(access_key_id=signer.access_key_id, secret=signer.secret, identity=identity)
    authenticator = Authenticator(
        {known.access_key_id: known}.get,
        region="us-east-1",
        now_us=lambda: (parse_amz_date(signer.amz_date) or 0) * 1_000_000,
        signing_keys=SigningKeys(),
    )
    signed = SignedRequest(method="GET", target=target, headers={"host": "localhost:9000"})
    proven = answers_or_refuses(authenticator.authenticate, signed)
    if proven is not None:
        # Only what means the same may differ: empty pieces, and escapes of the query that decode alike.
        original = parse_target(TARGETS[1])
        assert (target.raw_path, sorted(target.query)) == (original.raw_path, sorted(original.query))


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
LOCATION = (
    b"<CreateBucketConfiguration><LocationConstraint>EU</LocationConstraint></CreateBucketConfiguration>"
)


@fuzzed
@given(
    raw=st.one_of(
        st.binary(max_size=300),
        mutated(DELETE, COMPLETE, LOCATION, b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"),
    )
)
def test_documents(raw: bytes) -> None:
    answers_or_refuses(lambda: read_delete(raw))
    answers_or_refuses(lambda: read_complete(raw))
    answers_or_refuses(lambda: read_location(raw, region="us-east-1"))


@fuzzed
@given(
    header=st.one_of(header_text, st.from_regex(r"bytes=[0-9]{0,30}-[0-9]{0,30}", fullmatch=True)),
    size_bytes=st.integers(0, 2**43),
)
def test_ranges(header: str, size_bytes: int) -> None:
    span = answers_or_refuses(lambda: parse_range(header, size_bytes))

    assert span is None or 0 <= span.start < span.stop <= size_bytes


NAMES = st.sampled_from(
    [
        "content-md5", "content-type", "content-encoding", "if-match", "if-none-match", "if-range", "if-modified-since",
        "x-amz-meta-a", "x-amz-meta-", "x-amz-checksum-crc32", "x-amz-checksum-sha256", "x-amz-sdk-checksum-algorithm",
        "x-amz-trailer", "x-amz-storage-class", "x-amz-copy-source", "range", "date", "expires",
    ]
)  # fmt: skip


@fuzzed
@given(
    pairs=st.lists(st.tuples(NAMES, st.one_of(header_text, st.text('AB=+/,- W"*', max_size=50))), max_size=8)
)
def test_headers(pairs: list[tuple[str, str]]) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in pairs]
    headers = answers_or_refuses(lambda: gather_fields(raw))
    if headers is None:
        return
    stored = answers_or_refuses(lambda: read_object_headers(headers))
    if stored is not None:
        assert all("\n" not in value and "\r" not in value for _, value in object_response_headers(stored))
    for kind in ("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"):
        answers_or_refuses(read_promise, headers, read_payload(kind))
    answers_or_refuses(lambda: ReadConditions.of(headers).hold("e", 1))
    answers_or_refuses(lambda: WriteConditions.of(headers))
    answers_or_refuses(lambda: read_copy_source(headers))
    range_applies(headers, etag="e", modified_at_us=1)


@fuzzed
@given(st.one_of(st.text(max_size=60), header_text))
def test_small_texts(text: str) -> None:
    parse_http_date(text)
    parse_amz_date(text)
    for read in (read_token, read_version_id, read_payload):
        answers_or_refuses(read, text)


def test_a_refusal_of_the_wrong_kind_would_be_seen() -> None:
    with pytest.raises(ZeroDivisionError):
        answers_or_refuses(lambda: 1 // 0)
