"""Our signatures are botocore's, byte for byte."""

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from engine.backends.s3.credentials import NoKeys, SigningKeys, given_keys
from engine.backends.s3.signing import EMPTY_SHA256, UNSIGNED_PAYLOAD, Pairs, Signer, written_query
from engine.clock import SystemClock

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
HOST = ("host", "pieces.example.org:9000")


@pytest.mark.parametrize("token", [None, "a/session+token=="])
@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "payload"),
    [
        ("GET", "/pieces/aa/0123", (), [], EMPTY_SHA256),
        ("GET", "/bucket/pieces/aa/0123", (), [("range", "bytes=5-9")], EMPTY_SHA256),
        ("PUT", "/bucket/a~b/c-d_e.f", (), [("x-amz-checksum-crc32c", "AAAAAA==")], UNSIGNED_PAYLOAD),
        ("PUT", "/bucket/a%20b", (), [("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")], "ab" * 32),
        (
            "GET",
            "/bucket",
            [("prefix", "a/b c"), ("list-type", "2"), ("max-keys", "2"), ("a-b", ""), ("a", "")],
            [],
            EMPTY_SHA256,
        ),
        ("DELETE", "/bucket/pieces/aa/0123", (), [], EMPTY_SHA256),
    ],
)
def test_it_signs_as_botocore_does(
    method: str, path: str, query: Pairs, headers: list[tuple[str, str]], payload: str, token: str | None
) -> None:
    keys = SigningKeys(access_key_id="AKIDEXAMPLE", secret=SECRET, token=token)
    signer = Signer(region="eu-west-3", keys=lambda: keys, clock=SystemClock())

    # Both ask the clock; a second may pass between the two.
    for _ in range(3):
        signed = dict(signer.headers(method, path, query, [HOST, *headers], payload=payload))
        theirs = botocore_headers(method, path, query, headers, payload, token)
        if theirs["X-Amz-Date"] == signed["x-amz-date"]:
            break

    assert signed["authorization"] == theirs["Authorization"]


def botocore_headers(
    method: str, path: str, query: Pairs, headers: list[tuple[str, str]], payload: str, token: str | None
) -> dict[str, str]:
    url = f"http://{HOST[1]}{path}" + (f"?{written_query(query)}" if query else "")
    request = AWSRequest(method=method, url=url, headers=dict(headers))
    auth = S3SigV4Auth(Credentials("AKIDEXAMPLE", SECRET, token), "s3", "eu-west-3")
    auth.payload = lambda _: payload
    auth.add_auth(request)
    return dict(request.headers.items())


def test_keys_do_not_show_themselves() -> None:
    keys = SigningKeys(access_key_id="AKIDEXAMPLE", secret=SECRET, token="a-token")

    assert SECRET not in repr(keys)
    assert "a-token" not in repr(keys)
    assert given_keys("AKIDEXAMPLE", SECRET)().secret == SECRET


def test_without_keys_nothing_is_sent() -> None:
    def none() -> SigningKeys:
        raise NoKeys("nowhere")

    with pytest.raises(NoKeys):
        Signer(region="r", keys=none, clock=SystemClock()).headers(
            "GET", "/", (), [HOST], payload=EMPTY_SHA256
        )
