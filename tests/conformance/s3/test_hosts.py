"""A bucket's own host means the same as its path, under the domains of the configuration and nowhere else (row B13)."""

import hashlib

import boto3
import pytest
from botocore.config import Config

from tests.conformance.s3.conftest import DOMAIN, DOMAIN_BELOW
from tests.conformance.s3.wire import BUCKET, SENTINEL, SENTINEL_BODY, Wire
from tests.support.post_forms import FORM_HEADERS, agreeing, form
from tests.support.raw_http import Answer, request_bytes


def ask(wire: Wire, method: str, target: str, host: str, body: bytes = b"") -> Answer:
    """A request presigned for the host it is sent to."""
    pairs = [("host", host)]
    signed = wire.signer().presigned(method, target, pairs)
    length = [("content-length", str(len(body)))] if method in {"PUT", "POST"} else []
    return wire.send(request_bytes(method, signed, [*pairs, *length], body), method)


@pytest.mark.parametrize(
    "host",
    [
        f"{BUCKET}.{DOMAIN}",
        f"{BUCKET}.{DOMAIN}:9000",
        f"{BUCKET.upper()}.S3.Test:80",
        f"{BUCKET}.{DOMAIN_BELOW}",
    ],
)
def test_b13_a_buckets_own_host_names_it(wire: Wire, path: str, host: str) -> None:
    hosted = path.removeprefix(f"/{BUCKET}")

    assert ask(wire, "PUT", hosted, host, b"by host").status == 200
    assert wire.stored(path) == b"by host"
    assert ask(wire, "GET", hosted, host).body == b"by host"
    listing = ask(wire, "GET", f"/?list-type=2&prefix={hosted[1:]}", host)
    assert f"<Name>{BUCKET}</Name>".encode() in listing.body
    assert listing.body.count(b"<Key>") == 1
    assert ask(wire, "DELETE", hosted, host).status == 204
    assert wire.stored(path) is None


@pytest.mark.parametrize(
    "host",
    [
        DOMAIN,
        DOMAIN_BELOW,
        f"{DOMAIN}:9000",
        f"{BUCKET}.another.test",
        f"{BUCKET}{DOMAIN}",
        "127.0.0.1",
        "[::1]:9000",
    ],
)
def test_b13_every_other_host_means_path_style(wire: Wire, host: str) -> None:
    answer = ask(wire, "GET", SENTINEL, host)

    assert (answer.status, answer.body) == (200, SENTINEL_BODY)


def test_b13_the_path_under_a_buckets_host_is_a_key_and_never_another_bucket(wire: Wire) -> None:
    host, other = f"elsewhere.{DOMAIN}", f"hosted-{BUCKET}"
    wire.put(f"/{other}", b"")

    assert ask(wire, "GET", SENTINEL, host).said == (404, "NoSuchBucket")
    assert ask(wire, "GET", SENTINEL, f"{other}.{DOMAIN}").said == (404, "NoSuchKey")
    assert ask(wire, "PUT", SENTINEL, f"{other}.{DOMAIN}", b"its own").status == 200
    assert wire.stored(SENTINEL) == SENTINEL_BODY
    assert wire.stored(f"/{other}{SENTINEL}") == b"its own"
    assert ask(wire, "GET", SENTINEL, DOMAIN).body == SENTINEL_BODY


@pytest.mark.parametrize(
    "key", ["/-/live", "/-/ready", "//double", "/a%2Fb", "/WriteGetObjectResponse", "/.."]
)
def test_b13_every_path_under_a_buckets_host_is_a_key(wire: Wire, key: str) -> None:
    host = f"{BUCKET}.{DOMAIN}"

    assert ask(wire, "PUT", key, host, key.encode()).status == 200
    assert ask(wire, "GET", key, host).body == key.encode()
    assert wire.stored(f"/{BUCKET}{key}") == key.encode()
    assert ask(wire, "DELETE", key, host).status == 204


def test_b13_buckets_with_dots_have_hosts_too(wire: Wire) -> None:
    bucket = f"dotted.{BUCKET}.name"
    host = f"{bucket}.{DOMAIN}"

    assert ask(wire, "PUT", "/", host).status == 200
    assert ask(wire, "PUT", "/k", host, b"dots").status == 200
    assert wire.stored(f"/{bucket}/k") == b"dots"


@pytest.mark.parametrize("name", ["UPPER_CASE", "a", "a..b", "-a"])
def test_b13_a_host_that_can_be_no_bucket_is_refused(wire: Wire, name: str) -> None:
    assert ask(wire, "GET", "/k", f"{name}.{DOMAIN}").said == (400, "InvalidBucketName")


def test_b13_the_signature_holds_for_one_host(wire: Wire) -> None:
    signed = wire.signer().presigned("GET", "/sentinel", [("host", f"{BUCKET}.{DOMAIN}")])

    for host in (DOMAIN, f"another.{DOMAIN}", f"{BUCKET}.{DOMAIN_BELOW}"):
        answer = wire.send(request_bytes("GET", signed, [("host", host)]))
        assert answer.said == (403, "SignatureDoesNotMatch")


def test_addresses_in_answers_are_those_of_the_host(wire: Wire, path: str) -> None:
    key, host = path.removeprefix(f"/{BUCKET}/"), f"{BUCKET}.{DOMAIN}"
    body = form(agreeing(wire.signer(), [("key", key)], BUCKET), b"by form")
    length = ("content-length", str(len(body)))

    answer = wire.send(request_bytes("POST", "/", [("host", host), *FORM_HEADERS, length], body), "POST")

    assert answer.status == 204
    assert answer.header("location") == f"http://{host}/{key}"
    assert answer.header("etag") == f'"{hashlib.md5(b"by form").hexdigest()}"'


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_what_boto3_presigns_for_hosts_is_served(wire: Wire, version: str) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{DOMAIN}:9000",
        aws_access_key_id=wire.access_key_id,
        aws_secret_access_key=wire.secret,
        region_name=wire.region,
        config=Config(signature_version=version, s3={"addressing_style": "virtual"}),
    )
    url = client.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "sentinel"})
    host, _, target = url.removeprefix("http://").partition("/")

    answer = wire.send(request_bytes("GET", f"/{target}", [("host", host)]))

    assert host.startswith(f"{BUCKET}.")
    assert (answer.status, answer.body) == (200, SENTINEL_BODY)
