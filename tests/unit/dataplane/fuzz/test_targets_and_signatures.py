"""Request targets and signatures that are odd in any way."""

from hypothesis import example, given
from hypothesis import strategies as st

from dataplane.auth.canonical import canonical_query
from dataplane.auth.claims import read_authorization, read_presigned
from dataplane.auth.identity import Credential, Identity, Role
from dataplane.auth.signing_keys import SigningKeys
from dataplane.auth.sigv2_presigned import read_presigned_v2, verify_presigned_v2
from dataplane.auth.sigv4 import Authenticator, SignedRequest
from dataplane.wire.headers import read_response_overrides
from dataplane.wire.hosts import HostedBuckets
from dataplane.wire.parameters import (
    read_list_buckets,
    read_list_parts,
    read_list_uploads,
    read_list_v1,
    read_list_v2,
    read_list_versions,
    read_part_number,
)
from dataplane.wire.routes import find_route
from dataplane.wire.target import parse_target
from dataplane.wire.times import parse_amz_date
from tests.support.sigv4_signer import Signer
from tests.unit.dataplane.fuzz.fuzzing import answers_or_refuses, fuzzed, header_text, mutated

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
        read_list_versions,
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


@fuzzed
@given(
    host=st.one_of(
        header_text, st.from_regex(r"[a-z0-9.-]{0,70}\.s3\.example\.com(:[0-9]{0,6})?", fullmatch=True)
    )
)
def test_hosts(host: str) -> None:
    hosted = HostedBuckets(["s3.example.com", "example.com"])

    bucket = answers_or_refuses(lambda: hosted.bucket_of(host))

    assert bucket is None or host.lower().startswith(f"{bucket}.")
