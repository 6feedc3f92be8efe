"""Presigned URLs are what the data plane's own check of signatures accepts, whatever the key and the address."""

from urllib.parse import urlsplit

import pytest

from controlplane.presigned_urls import Endpoint, Presigning, presigned_url, read_endpoint
from dataplane.auth.identity import Credential, Identity, Role
from dataplane.auth.signing_keys import SigningKeys
from dataplane.auth.sigv4 import Authenticator, SignedRequest
from dataplane.wire.fields import gather_fields
from dataplane.wire.refusals import WireError
from dataplane.wire.target import parse_target
from engine.errors import MalformedField

NOW_S = 1_800_000_000
SECRET = "correct horse battery staple"


def order(
    key: str = "k", *, method: str = "GET", endpoint: str = "https://s3.example.org", version_id: str = ""
) -> Presigning:
    return Presigning(
        method=method,
        endpoint=read_endpoint(endpoint),
        bucket="photos",
        key=key.encode(),
        version_id=version_id,
        region="eu-north-1",
        access_key_id="PSKEY",
        secret=SECRET,
        now_s=NOW_S,
        expires_s=60,
    )


def authenticate(url: str, method: str, *, now_s: int = NOW_S) -> SignedRequest:
    """The request as a client sends it, verified; raises a WireError."""
    parts = urlsplit(url)
    target = parse_target(f"{parts.path}?{parts.query}".encode("latin-1"))
    request = SignedRequest(
        method=method, target=target, headers=gather_fields([(b"host", parts.netloc.encode())])
    )
    identity = Identity(name="alice", account_id=1, account="main", role=Role.WRITER)
    credential = Credential(access_key_id="PSKEY", secret=SECRET, identity=identity)
    authenticator = Authenticator(
        lambda _: credential,
        region="eu-north-1",
        now_us=lambda: now_s * 1_000_000,
        signing_keys=SigningKeys(),
    )
    assert authenticator.authenticate(request).identity == identity
    return request


@pytest.mark.parametrize(
    "key", ["k", "a b/ü.txt", "a//b", "100%", "a+b&c=d?e#f", "~.-_", "'\"<>(){}[]|\\^`", "\u2603" * 50]
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_any_key_is_signed_for_both_methods(key: str, method: str) -> None:
    authenticate(presigned_url(order(key, method=method)), method)


@pytest.mark.parametrize(
    "endpoint",
    ["https://s3.example.org", "http://127.0.0.1:9000", "http://[::1]:9000/", "https://S3.Example.org:8443"],
)
def test_any_address_is_signed(endpoint: str) -> None:
    authenticate(presigned_url(order(endpoint=endpoint)), "GET")


def test_a_version_is_named() -> None:
    request = authenticate(presigned_url(order(version_id="0123abc")), "GET")

    assert dict(request.target.query)["versionId"] == "0123abc"


def test_another_method_or_a_later_time_is_refused() -> None:
    url = presigned_url(order())

    with pytest.raises(WireError):
        authenticate(url, "PUT")
    with pytest.raises(WireError):
        authenticate(url, "GET", now_s=NOW_S + 61)


def test_a_schemes_own_port_is_left_out_as_clients_do() -> None:
    assert read_endpoint("https://h:443") == Endpoint(scheme="https", host="h")
    assert read_endpoint("http://h:80") == Endpoint(scheme="http", host="h")
    assert read_endpoint("http://h:443") == Endpoint(scheme="http", host="h:443")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s3.example.org",
        "ftp://h",
        "https://h/path",
        "https://u@h",
        "https://h:0",
        "https://h:70000",
        "http://-h",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(MalformedField):
        read_endpoint(text)


def test_the_secret_does_not_show() -> None:
    assert SECRET not in repr(order())
