"""Buckets, keys, targets and parameters: each means itself, or is refused, and none reaches another's (rows B)."""

import os
import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import quote, unquote_to_bytes

import pytest
from lxml import etree

from tests.conformance.s3.wire import BUCKET, SENTINEL, SENTINEL_BODY, Wire, escaped
from tests.support.raw_http import Connection, request_bytes

HOST = ("host", "localhost:9000")
INVALID_URI = (400, "InvalidURI")
INVALID_ARGUMENT = (400, "InvalidArgument")


@pytest.fixture
def bucket(wire: Wire) -> Iterator[str]:
    """A bucket of the test's own, emptied afterwards."""
    name = f"names-{os.urandom(6).hex()}"
    assert wire.ask("PUT", f"/{name}").status == 200
    yield name
    for key in listed(wire, name):
        assert wire.ask("DELETE", f"/{name}/{quote(key, safe='')}").status == 204
    assert wire.ask("DELETE", f"/{name}").status == 204


def listed(wire: Wire, bucket: str, query: str = "") -> list[bytes]:
    """The keys of one page, exactly."""
    answer = wire.get(f"/{bucket}?list-type=2&encoding-type=url{query}")
    assert answer.status == 200, answer
    return [
        unquote_to_bytes(unescape(text)) for text in re.findall(r"<Key>(.*?)</Key>", answer.body.decode())
    ]


@pytest.mark.parametrize(
    "name",
    [
        "ab",
        "a" * 64,
        "UPPER",
        "a..b",
        "-a-",
        "a_b",
        "192.168.1.1",
        "xn--abc",
        "abc-s3alias",
        "abc%00",
        "abc%2Fdef",
        "%C3%A4%C3%B6%C3%BC",
        "..",
        "%2e%2e%2e",
    ],
)
def test_b01_a_name_that_no_bucket_has(wire: Wire, name: str) -> None:
    assert wire.ask("PUT", f"/{name}").said == (400, "InvalidBucketName")
    assert wire.ask("GET", f"/{name}").said == (400, "InvalidBucketName")
    assert wire.ask("PUT", f"/{name}/key", body=b"x").said == (400, "InvalidBucketName")


def test_b02_keys_of_1024_bytes_and_one_more(wire: Wire, bucket: str) -> None:
    wire.put(f"/{bucket}/{'k' * 1024}", b"long")

    assert wire.stored(f"/{bucket}/{'k' * 1024}") == b"long"
    assert wire.ask("PUT", f"/{bucket}/{'k' * 1025}", body=b"x").said == (400, "KeyTooLongError")
    assert listed(wire, bucket) == [b"k" * 1024]


def test_b03_keys_are_measured_in_bytes(wire: Wire, bucket: str) -> None:
    euros, faces = escaped("€" * 342), escaped("\U0001f600" * 256)

    assert wire.ask("PUT", f"/{bucket}/{euros}", body=b"x").said == (400, "KeyTooLongError")
    wire.put(f"/{bucket}/{faces}", b"faces")
    assert wire.stored(f"/{bucket}/{faces}") == b"faces"
    assert listed(wire, bucket) == ["\U0001f600".encode() * 256]


@pytest.mark.parametrize("key", ["%00", "a%00b", "a%00"])
def test_b04_no_key_holds_nul(wire: Wire, key: str) -> None:
    assert wire.ask("PUT", f"/{BUCKET}/{key}", body=b"x").said == INVALID_URI
    assert wire.get(f"/{BUCKET}?list-type=2&prefix={key}").status in (200, 400)


BAD_UTF8 = ["%ff", "%fe", "%c0%af", "%ed%a0%80", "%f8%88%80%80%80", "a%e2%82"]


@pytest.mark.parametrize("key", BAD_UTF8)
def test_b05_keys_that_are_no_utf8_never_meet(wire: Wire, bucket: str, key: str) -> None:
    for method in ("PUT", "GET", "DELETE"):
        assert wire.ask(method, f"/{bucket}/{key}", body=b"x" if method == "PUT" else b"").said == INVALID_URI
    assert wire.ask("GET", f"/{bucket}/{escaped('�')}").said == (404, "NoSuchKey")
    assert listed(wire, bucket) == []


def test_b06_control_characters_round_trip_and_spoil_no_listing(wire: Wire, bucket: str) -> None:
    keys = [b"a" + bytes([octet]) + b"z" for octet in (*range(1, 0x20), 0x7F)]
    for key in keys:
        wire.put(f"/{bucket}/{escaped(key)}", key)

    assert all(wire.stored(f"/{bucket}/{escaped(key)}") == key for key in keys)
    assert listed(wire, bucket) == sorted(keys)
    for query in ("list-type=2", "max-keys=1000", "uploads"):
        etree.fromstring(wire.get(f"/{bucket}?{query}").body)


@pytest.mark.parametrize("key", ["%zz", "%2", "%", "a%", "%%41", "%u0041", "%-1"])
def test_b07_a_bad_escape(wire: Wire, key: str) -> None:
    for target in (f"/{BUCKET}/{key}", f"/{key}", f"/{BUCKET}?prefix={key}"):
        pairs = wire.headers("GET", SENTINEL)
        answer = wire.send(request_bytes("GET", target, pairs))
        assert answer.status == 400, (target, answer)
    assert (
        wire.send(request_bytes("GET", f"/{BUCKET}/{key}", wire.headers("GET", SENTINEL))).said == INVALID_URI
    )


def test_b09_dots_and_slashes_stay_in_their_bucket(wire: Wire, other: Wire, bucket: str) -> None:
    secret = f"secret-{os.urandom(6).hex()}"
    assert other.ask("PUT", f"/{secret}").status == 200
    other.put(f"/{secret}/k", b"not yours")
    ways = [
        f"../{secret}/k",
        f"%2e%2e/{secret}/k",
        f"..%2f{secret}/k",
        f"..;/{secret}/k",
        f"%2e%2e%2f{secret}%2fk",
    ]

    for way in ways:
        answer = wire.get(f"/{bucket}/{way}")
        assert answer.said == (404, "NoSuchKey"), (way, answer)
    for way in ways:
        wire.put(f"/{bucket}/{way}", way.encode())
    for target in (f"/../{secret}/k", f"//{secret}/k", f"/./{secret}/k"):
        assert wire.get(target).status in (400, 404), target
    assert other.stored(f"/{secret}/k") == b"not yours"
    # Escaped or not it is one key, and the last who wrote it wins.
    assert wire.stored(f"/{bucket}/../{secret}/k") == ways[-1].encode()
    assert other.ask("DELETE", f"/{secret}/k").status == 204
    assert other.ask("DELETE", f"/{secret}").status == 204


def test_b09_every_path_is_a_key_of_its_own(wire: Wire, bucket: str) -> None:
    keys = [".", "..", "/k", "k", "k/", "k//", "a//b/", "a/b/", "a/b", "./a", "a/./b", "a/../b", "..\\..\\x"]
    for key in keys:
        wire.put(f"/{bucket}/{escaped(key)}", key.encode())

    assert all(wire.stored(f"/{bucket}/{escaped(key)}") == key.encode() for key in keys)
    assert listed(wire, bucket) == sorted(key.encode() for key in keys)


def test_b11_b12_keys_that_look_alike_or_special_are_neither(wire: Wire, bucket: str) -> None:
    keys = [
        "A",
        "a",
        "a/",
        "a/b",
        "con",
        "aux.",
        ".penstock/x",
        "__internal/x",
        "volumes/v1/x",
        "~",
        "-",
        "?",
        "#",
    ]
    keys += ["\u00e9", "e\u0301"]
    for key in keys:
        wire.put(f"/{bucket}/{escaped(key)}", key.encode())

    assert all(wire.stored(f"/{bucket}/{escaped(key)}") == key.encode() for key in keys)
    assert listed(wire, bucket) == sorted(key.encode() for key in keys)


@pytest.mark.parametrize("host", [f"{BUCKET}.localhost:9000", "evil.com", "another-bucket.s3.amazonaws.com"])
def test_b13_the_host_chooses_no_bucket(wire: Wire, host: str) -> None:
    pairs = [("host", host), ("x-forwarded-host", "evil.com")]
    target = wire.signer().presigned("GET", SENTINEL, [pairs[0]])

    answer = wire.send(request_bytes("GET", target, pairs))

    assert (answer.status, answer.body) == (200, SENTINEL_BODY)


@pytest.mark.parametrize(
    "target",
    ["http://evil.com" + SENTINEL, "http://localhost:9000" + SENTINEL, "evil.com:80", "*", "sentinel"],
)
def test_b14_only_the_origin_form_is_served(wire: Wire, target: str) -> None:
    answer = wire.send(request_bytes("GET", target, wire.headers("GET", SENTINEL)))

    assert answer.status == 400
    assert answer.closes


def test_b15_long_targets(wire: Wire) -> None:
    pairs = wire.headers("GET", SENTINEL)
    longer = wire.send(request_bytes("GET", f"/{BUCKET}/{'k' * 8_191}", pairs))
    longest = wire.send(request_bytes("GET", f"/{BUCKET}/{'k' * 1024**2}", pairs))

    assert longer.said == (400, "KeyTooLongError")
    assert longest.status == 414
    assert longest.closes


def test_b16_long_and_many_headers(wire: Wire) -> None:
    pairs = wire.headers("GET", SENTINEL)
    long = wire.send(request_bytes("GET", SENTINEL, [*pairs, ("x-long", "v" * 17 * 1024)]))
    many = wire.send(
        request_bytes("GET", SENTINEL, [*pairs, *((f"x-{n}", "v") for n in range(101 - len(pairs)))])
    )
    heavy = wire.send(request_bytes("GET", SENTINEL, [*pairs, *((f"x-{n}", "v" * 15_000) for n in range(5))]))
    fine = wire.send(
        request_bytes("GET", SENTINEL, [*pairs, *((f"x-{n}", "v") for n in range(100 - len(pairs)))])
    )

    assert [each.status for each in (long, many, heavy, fine)] == [431, 431, 431, 200]
    assert all(each.closes for each in (long, many, heavy))


def test_b17_a_presigned_url_of_the_longest_key(wire: Wire, bucket: str) -> None:
    """Five KiB of URL: every byte of the key escaped, and as much again in parameters."""
    key = quote(bytes([0xC3, 0xA4]) * 512)
    disposition = quote("attachment; filename=" + "f" * 1700)
    put = wire.signer().presigned("PUT", f"/{bucket}/{key}")
    get = wire.signer().presigned("GET", f"/{bucket}/{key}?response-content-disposition={disposition}")
    token = wire.signer().presigned("GET", f"/{bucket}/{key}?X-Amz-Security-Token={'t' * 2000}")

    stored = wire.send(request_bytes("PUT", put, [HOST, ("content-length", "1")], b"x"), "PUT")
    answer = wire.send(request_bytes("GET", get, [HOST]))

    assert len(get) > 5 * 1000
    assert stored.status == 200
    assert (answer.status, answer.body) == (200, b"x")
    assert wire.send(request_bytes("GET", token, [HOST])).said == (400, "InvalidToken")


@pytest.mark.parametrize("method", ["PATCH", "TRACE", "CONNECT", "FOO", "PROPFIND"])
def test_b18_other_methods_are_not_allowed(wire: Wire, method: str) -> None:
    canary = ("x-canary", "c4n4ry")

    answer = wire.ask(method, SENTINEL, [canary])

    assert answer.said == (405, "MethodNotAllowed")
    assert "GET" in (answer.header("allow") or "")
    assert b"c4n4ry" not in answer.body


@pytest.mark.parametrize("line", ["get", "Get", "G ET", "", "GET\t", "GET" * 20])
def test_b18_what_is_no_method(wire: Wire, line: str) -> None:
    answer = wire.send(request_bytes(line, SENTINEL, wire.headers("GET", SENTINEL)))

    assert answer.status == 400
    assert answer.closes


def test_b18_connect_opens_nothing(wire: Wire) -> None:
    assert wire.send(request_bytes("CONNECT", "example.com:443", [("host", "example.com:443")])).status == 400


SUB_RESOURCES = [
    "torrent",
    "website",
    "select&select-type=2",
    "policy",
    "retention",
    "legal-hold",
]


@pytest.mark.parametrize("sub", SUB_RESOURCES)
def test_b19_a_sub_resource_is_never_taken_for_a_plain_request(wire: Wire, path: str, sub: str) -> None:
    wire.put(path, b"whole")

    for method in ("GET", "PUT", "DELETE"):
        answer = wire.ask(method, f"{path}?{sub}", body=b"other" if method == "PUT" else b"")
        assert answer.status in (405, 501), (method, answer)
        assert answer.body != b"whole"
    assert wire.stored(path) == b"whole"


@pytest.mark.parametrize("sub", ["analytics", "inventory", "metrics", "session", "abac"])
def test_b19_nor_is_one_of_a_bucket(wire: Wire, bucket: str, sub: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = wire.ask(method, f"/{bucket}?{sub}", body=b"<A/>" if method == "PUT" else b"")
        assert answer.status in (405, 501), (method, answer)
    assert wire.ask("HEAD", f"/{bucket}").status == 200


@pytest.mark.parametrize(
    "query",
    [
        "acl&tagging&uploadId=x&partNumber=1",
        "acl&tagging",
        "uploads&uploadId=x",
        "acl&versionId=null&torrent",
    ],
)
def test_b20_several_sub_resources_are_a_riddle(wire: Wire, path: str, query: str) -> None:
    assert wire.ask("PUT", f"{path}?{query}", body=b"x").said == INVALID_ARGUMENT
    assert wire.stored(path) is None


@pytest.mark.parametrize("version", ["", "list-type=2&"])
def test_b22_counts_and_encodings(wire: Wire, bucket: str, version: str) -> None:
    for name in ("a", "b", "c"):
        wire.put(f"/{bucket}/{name}", b"x")

    for query in (
        "max-keys=-1",
        "max-keys=abc",
        "max-keys=1e3",
        "max-keys=%2B1",
        "max-keys=1_0",
        "encoding-type=foo",
    ):
        assert wire.get(f"/{bucket}?{version}{query}").said == INVALID_ARGUMENT, query
    clamped = wire.get(f"/{bucket}?{version}max-keys=1000000000000").body
    empty = wire.get(f"/{bucket}?{version}max-keys=0").body
    assert b"<MaxKeys>1000</MaxKeys>" in clamped
    assert clamped.count(b"<Key>") == 3
    assert b"<Key>" not in empty
    assert b"<IsTruncated>false</IsTruncated>" in empty


@pytest.mark.parametrize("token", ["", "bogus", "AAAA", "%FF", "x" * 2000])
def test_b22_a_token_nobody_gave(wire: Wire, bucket: str, token: str) -> None:
    assert wire.get(f"/{bucket}?list-type=2&continuation-token={token}").status == 400


def test_b24_prefixes_mean_their_letters(wire: Wire, bucket: str) -> None:
    keys = ["%", "%a", "_", "_a", "\\", "\\a", "'", "'a", "ab", "xb", "*", "[a]", "a"]
    for key in keys:
        wire.put(f"/{bucket}/{escaped(key)}", b"x")

    for letter in ("%", "_", "\\", "'", "*", "["):
        expected = sorted(key.encode() for key in keys if key.startswith(letter))
        assert listed(wire, bucket, f"&prefix={quote(letter, safe='')}") == expected
    assert listed(wire, bucket, f"&prefix={'p' * 2048}") == []
    assert listed(wire, bucket, f"&start-after={'p' * 2048}") == [b"xb"]
    assert wire.get(f"/{bucket}?delimiter={quote('_%' * 680)}&marker={quote(chr(39) * 600)}").status == 200
    prefixes = re.findall(r"<Prefix>([^<]+)</Prefix>", wire.get(f"/{bucket}?delimiter=a").body.decode())
    assert [unescape(each) for each in prefixes] == ["%a", "'a", "[a", "\\a", "_a", "a"]


def test_b25_version_ids(wire: Wire, path: str) -> None:
    wire.put(path, b"x")
    nobodys = "0190163d8694739a823e1d2b6e1f8f0a"

    for method in ("GET", "HEAD", "DELETE"):
        for text in ("bogus", "", "..%2Fx", "0190163d"):
            assert wire.ask(method, f"{path}?versionId={text}").status == 400, (method, text)
        # What is not there is deleted already.
        expected = 204 if method == "DELETE" else 404
        assert wire.ask(method, f"{path}?versionId={nobodys}").status == expected
    assert wire.get(f"{path}?versionId=bogus").said == INVALID_ARGUMENT
    assert wire.get(f"{path}?versionId={nobodys}").said == (404, "NoSuchVersion")
    assert wire.stored(f"{path}?versionId=null") == b"x"


def test_b14_b15_nothing_is_left_over_for_the_next_request(wire: Wire) -> None:
    """What stands behind a refused head is never taken for a request."""
    with Connection(wire.address) as connection:
        connection.send(request_bytes("GET", "http://evil.com/", wire.headers("GET", SENTINEL)))
        connection.send(wire.raw("GET", SENTINEL))

        assert connection.answer().status == 400
        assert connection.ends()
