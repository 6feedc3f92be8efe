"""What botocore signs, header or URL, odd keys and all, is accepted as it goes over the wire."""

import hashlib
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as AwsCredentials
from botocore.utils import percent_encode
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplane.auth.identity import Credential
from dataplane.auth.signing_keys import SigningKeys
from dataplane.auth.sigv4 import Authenticated, Authenticator
from dataplane.wire.times import parse_amz_date
from tests.support.sigv4_signer import request
from tests.unit.dataplane.auth.conftest import ALICE

ENDPOINT = "http://localhost:9000"
KEY = AwsCredentials("AKIDEXAMPLE", "secret/with+odd=letters")
KNOWN = Credential(access_key_id=KEY.access_key, secret=KEY.secret_key, identity=ALICE)

KEYS = [
    "key",
    "a b",
    "a+b",
    "100%",
    "päth/ключ",
    "a//b/",
    "..",
    "a/../b",
    "?#&=",
    "~tilde",
    "q'uo\"te",
    "\x01",
    "👩‍🚀",
]


def authenticate(signed: AWSRequest, *, amz_date: str) -> Authenticated:
    parts = urlsplit(signed.url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    headers = [
        ("host", parts.netloc),
        *((str(n), str(v)) for n, v in signed.headers.items() if n.lower() != "host"),
    ]
    signed_at_s = parse_amz_date(amz_date)
    assert signed_at_s is not None
    authenticator = Authenticator(
        {KNOWN.access_key_id: KNOWN}.get,
        region="us-east-1",
        now_us=lambda: signed_at_s * 1_000_000,
        signing_keys=SigningKeys(),
    )
    return authenticator.authenticate(request(str(signed.method), target, headers))


def quoted(key: str) -> str:
    return str(percent_encode(key, safe="/~"))


def sign_header(
    method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> AWSRequest:
    unsigned = AWSRequest(method=method, url=url, data=body, headers=headers or {})
    S3SigV4Auth(KEY, "s3", "us-east-1").add_auth(unsigned)
    return unsigned


@pytest.mark.parametrize("key", KEYS)
def test_headers_of_any_key(key: str) -> None:
    signed = sign_header("GET", f"{ENDPOINT}/bucket/{quoted(key)}")

    proven = authenticate(signed, amz_date=signed.context["timestamp"])

    assert proven.identity is ALICE


@pytest.mark.parametrize("key", KEYS)
def test_urls_of_any_key(key: str) -> None:
    unsigned = AWSRequest(method="GET", url=f"{ENDPOINT}/bucket/{quoted(key)}")
    S3SigV4QueryAuth(KEY, "s3", "us-east-1", expires=60).add_auth(unsigned)

    assert authenticate(unsigned, amz_date=unsigned.context["timestamp"]).identity is ALICE


@pytest.mark.parametrize(
    "query",
    [
        "list-type=2&prefix=a%20b%2Fc&delimiter=%2F&encoding-type=url",
        "uploads",
        "delete=",
        "b=2&a=1&a=0",
        "prefix=%2B~%25",
    ],
)
def test_queries(query: str) -> None:
    signed = sign_header("GET", f"{ENDPOINT}/bucket?{query}")

    assert authenticate(signed, amz_date=signed.context["timestamp"]).identity is ALICE


def test_bodies_and_headers() -> None:
    headers = {
        "Content-Type": "text/plain",
        "x-amz-meta-Two": "a  b",
        "Cache-Control": "no-cache",
        "X-Amz-Acl": "private",
    }
    signed = sign_header("PUT", f"{ENDPOINT}/bucket/key", b"body", headers)

    proven = authenticate(signed, amz_date=signed.context["timestamp"])

    assert proven.payload.sha256 == hashlib.sha256(b"body").digest()


@settings(max_examples=60)
@given(
    key=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40),
    prefix=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    metadata=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=30),
)
def test_whatever_is_signed_is_proven(key: str, prefix: str, metadata: str) -> None:
    signed = sign_header(
        "PUT",
        f"{ENDPOINT}/bucket/{quoted(key)}?prefix={quoted(prefix).replace('/', '%2F')}",
        b"x",
        {"x-amz-meta-m": metadata},
    )

    assert authenticate(signed, amz_date=signed.context["timestamp"]).identity is ALICE
