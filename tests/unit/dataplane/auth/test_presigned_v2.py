"""Presigned URLs of Signature Version 2, as boto3 makes them by default, are good for exactly what they say."""

import base64
import hmac
import time
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import HmacV1QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as AwsCredentials

from dataplane.auth.entrance import Entry, enter
from dataplane.auth.identity import Credential, Identity, Role
from dataplane.auth.signing_keys import SigningKeys
from dataplane.auth.sigv4 import Authenticator
from dataplane.wire.operations import AuthKind, PayloadKind
from dataplane.wire.refusals import WireError
from dataplane.wire.served_operations import SERVED
from tests.support.sigv4_signer import Signer, request
from tests.support.wire_bodies import BytesBody
from tests.unit.dataplane.auth.conftest import StandingClock

KEY = AwsCredentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
ENDPOINT = "http://localhost:9000"
HOST = ("host", "localhost:9000")


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock(int(time.time()))


@pytest.fixture
def authenticator(clock: StandingClock) -> Authenticator:
    identity = Identity(name="n", account_id=1, account="main", role=Role.SUPERUSER)
    known = Credential(access_key_id=KEY.access_key, secret=KEY.secret_key, identity=identity)
    return Authenticator(
        {known.access_key_id: known}.get, region="us-east-1", now_us=clock.now_us, signing_keys=SigningKeys()
    )


def presigned(
    path: str, method: str = "GET", headers: dict[str, str] | None = None, *, expires: int = 3600
) -> str:
    """The target of a URL as botocore makes it."""
    unsigned = AWSRequest(method=method, url=ENDPOINT + path, headers=headers or {})
    HmacV1QueryAuth(KEY, expires=expires).add_auth(unsigned)
    parts = urlsplit(unsigned.url)
    return f"{parts.path}?{parts.query}"


def come_in(
    authenticator: Authenticator, target: str, method: str = "GET", *headers: tuple[str, str]
) -> Entry | str:
    made = request(method, target, [HOST, *headers])
    try:
        return enter(made.method, made.target, made.headers, BytesBody(b""), authenticator)
    except WireError as error:
        return error.fault.code


def name_of(entry: Entry | str) -> str:
    return entry if isinstance(entry, str) else entry.operation.name


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/bucket/key", "GetObject"),
        ("HEAD", "/bucket/key", "HeadObject"),
        ("PUT", "/bucket/key", "PutObject"),
        ("DELETE", "/bucket/key?versionId=null", "DeleteObject"),
        ("PUT", "/bucket/key?uploadId=abc&partNumber=1", "UploadPart"),
        ("GET", "/bucket/a%20b%2Bc/%C3%B6?response-content-type=text%2Fhtml%3B%20a", "GetObject"),
        (
            "GET",
            "/bucket/k?response-content-disposition=attachment%3B%20filename%3D%22a%26b%20%E2%82%AC%22",
            "GetObject",
        ),
    ],
)
def test_what_botocore_presigns_by_default_comes_in(
    authenticator: Authenticator, method: str, path: str, name: str
) -> None:
    entry = come_in(authenticator, presigned(path, method), method)

    assert isinstance(entry, Entry)
    assert entry.operation.name == name
    assert (entry.caller.auth_kind, entry.caller.payload.kind) == (
        AuthKind.PRESIGNED_V2,
        PayloadKind.UNSIGNED,
    )


def test_the_published_example(clock: StandingClock, authenticator: Authenticator) -> None:
    clock.seconds = 1175139620
    signature = "NpgCjnDzrM+WFzoENXmpNDUsSn8="
    target = (
        f"/johnsmith/photos/puppy.jpg?AWSAccessKeyId={KEY.access_key}&Signature={quote(signature, safe='')}"
    )

    assert name_of(come_in(authenticator, f"{target}&Expires=1175139620")) == "GetObject"
    assert come_in(authenticator, f"{target}&Expires=1175139621") == "SignatureDoesNotMatch"


def test_headers_that_the_url_carries_count(authenticator: Authenticator) -> None:
    target = presigned(
        "/bucket/key", "PUT", {"x-amz-acl": "private", "x-amz-meta-a": "1 2", "Content-Type": "a/b"}
    )

    entry = come_in(authenticator, target, "PUT")

    assert isinstance(entry, Entry)
    assert entry.caller.headers["x-amz-meta-a"] == "1 2"
    assert entry.caller.headers["content-type"] == "a/b"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/bucket/key", "/bucket/other"),
        ("/bucket/key", "/bucket/%6bey"),
        ("versionId=null", "versionId=other"),
        ("versionId=null", "partNumber=1"),
        ("versionId=null&", ""),
        ("versionId=null", "versionId=null&x-amz-acl=private"),
        ("versionId=null", "versionId=null&content-type=a"),
        ("versionId=null", "versionId=null&response-content-type=a"),
        ("Expires=1", "Expires=2"),
        ("Signature=", "Signature=A"),
    ],
)
def test_an_altered_url_is_no_good(authenticator: Authenticator, old: str, new: str) -> None:
    target = presigned("/bucket/key?versionId=null")
    assert name_of(come_in(authenticator, target)) == "GetObject"

    assert come_in(authenticator, target.replace(old, new, 1)) in {
        "SignatureDoesNotMatch",
        "AuthorizationQueryParametersError",
    }


def test_another_method_or_a_header_beside_is_no_good(authenticator: Authenticator) -> None:
    target = presigned("/bucket/key")

    assert come_in(authenticator, target, "PUT") == "SignatureDoesNotMatch"
    for header in (("x-amz-acl", "private"), ("x-amz-copy-source", "a/b"), ("content-md5", "AAAA")):
        assert come_in(authenticator, target, "GET", header) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("parameter", ["prefix=a", "x-id=GetObject", "list-type=2", "max-keys=1", "foo"])
def test_a_parameter_nobody_signed_is_refused(authenticator: Authenticator, parameter: str) -> None:
    assert come_in(authenticator, presigned("/bucket/key") + f"&{parameter}") == "AccessDenied"


def test_two_parameters_cannot_be_folded_into_one(authenticator: Authenticator) -> None:
    target = presigned("/bucket/key?response-content-disposition=inline&response-content-type=text%2Fplain")
    folded = target.replace("inline&response-content-type=", "inline%26response-content-type%3D")
    assert folded != target

    assert name_of(come_in(authenticator, target)) == "GetObject"
    assert come_in(authenticator, folded) == "AccessDenied"


def test_two_headers_cannot_be_folded_into_one(authenticator: Authenticator) -> None:
    target = presigned("/bucket/key", "PUT", {"x-amz-meta-a": "1", "x-amz-meta-b": "2"})

    for folded in (
        target.replace("x-amz-meta-a=1&x-amz-meta-b=", "x-amz-meta-a=1%0Ax-amz-meta-b:"),
        target.replace("x-amz-meta-a=1&x-amz-meta-b=", "x-amz-meta-a:1%0Ax-amz-meta-b="),
    ):
        assert folded != target
        assert come_in(authenticator, folded, "PUT") == "InvalidArgument"


@pytest.mark.parametrize("name", ["AWSAccessKeyId", "Signature"])
def test_half_a_signature_is_never_taken_for_none(authenticator: Authenticator, name: str) -> None:
    target = presigned("/bucket/key")
    path, _, query = target.partition("?")
    rest = "&".join(each for each in query.split("&") if not each.startswith(name))

    assert come_in(authenticator, f"{path}?{rest}") == "AuthorizationQueryParametersError"
    assert come_in(authenticator, f"{target}&{name}=x") == "AuthorizationQueryParametersError"


@pytest.mark.parametrize("expires", ["", "abc", "-1", "1e9", "9" * 12, "１"])
def test_an_end_that_is_no_time_is_refused(authenticator: Authenticator, expires: str) -> None:
    target = f"/bucket/key?AWSAccessKeyId=a&Signature=b&Expires={quote(expires)}"

    assert come_in(authenticator, target) == "AuthorizationQueryParametersError"


def test_a_url_ends(authenticator: Authenticator, clock: StandingClock) -> None:
    target = presigned("/bucket/key", expires=60)

    assert name_of(come_in(authenticator, target)) == "GetObject"
    clock.seconds += 62
    assert come_in(authenticator, target) == "AccessDenied"
    assert (
        come_in(authenticator, presigned("/bucket/key", expires=8 * 86400))
        == "AuthorizationQueryParametersError"
    )


def test_a_stranger_and_a_forger_stay_out(authenticator: Authenticator) -> None:
    target = presigned("/bucket/key")
    forged = base64.b64encode(hmac.digest(b"wrong", b"x", "sha1")).decode()

    assert come_in(authenticator, target.replace(KEY.access_key, "NOBODY")) == "InvalidAccessKeyId"
    signature = target.partition("Signature=")[2].partition("&")[0]
    assert (
        come_in(authenticator, target.replace(signature, quote(forged, safe=""))) == "SignatureDoesNotMatch"
    )
    assert come_in(authenticator, target.replace(signature, "%E2%82%AC")) == "SignatureDoesNotMatch"


def test_session_tokens_are_refused(authenticator: Authenticator) -> None:
    assert (
        come_in(authenticator, presigned("/bucket/key", "GET", {"x-amz-security-token": "t"}))
        == "InvalidToken"
    )


@pytest.mark.parametrize("operation", SERVED, ids=lambda each: each.name)
def test_only_single_objects_are_reached_by_the_older_version(operation: Any) -> None:
    allowed = {"GetObject", "HeadObject", "PutObject", "UploadPart", "DeleteObject"}

    for payload in PayloadKind:
        takes = operation.takes(AuthKind.PRESIGNED_V2, payload)
        assert takes == (operation.name in allowed and payload is PayloadKind.UNSIGNED)


def test_buckets_are_not_reached(authenticator: Authenticator) -> None:
    for method, path in (
        ("GET", "/bucket"),
        ("GET", "/"),
        ("PUT", "/bucket"),
        ("POST", "/bucket/key?uploads"),
    ):
        assert come_in(authenticator, presigned(path, method), method) == "InvalidRequest"


def test_a_copy_is_not_reached(authenticator: Authenticator) -> None:
    target = presigned("/bucket/key", "PUT", {"x-amz-copy-source": "other/secret"})

    assert come_in(authenticator, target, "PUT") == "InvalidRequest"


def test_the_older_version_and_a_header_are_one_signature_too_many(
    authenticator: Authenticator, clock: StandingClock
) -> None:
    target = presigned("/bucket/key")
    signer = Signer(access_key_id=KEY.access_key, secret=KEY.secret_key)

    found = come_in(
        authenticator, target, "GET", *(each for each in signer.headers(target=target) if each != HOST)
    )

    assert found == "InvalidArgument"


def test_a_type_that_an_http_library_adds_is_taken_but_never_one_other_than_signed(
    authenticator: Authenticator,
) -> None:
    plain = presigned("/bucket/key", "PUT")
    typed = presigned("/bucket/key", "PUT", {"Content-Type": "a/b"})

    entry = come_in(authenticator, plain, "PUT", ("content-type", "application/x-www-form-urlencoded"))

    assert isinstance(entry, Entry)
    assert come_in(authenticator, typed, "PUT", ("content-type", "c/d")) == "InvalidRequest"
    assert isinstance(come_in(authenticator, typed, "PUT", ("content-type", "a/b")), Entry)
