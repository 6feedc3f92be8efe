"""Targets are taken apart once: keys stay what they are, and nothing crosses into another bucket."""

import pytest

from dataplane.wire.refusals import InvalidUri, NotImplementedYet
from dataplane.wire.target import parse_target
from engine.errors import InvalidBucketName, KeyTooLong


def key(target: str) -> bytes | None:
    return parse_target(target.encode()).key


@pytest.mark.parametrize(
    ("target", "bucket", "object_key"),
    [
        ("/", None, None),
        ("/?x-id=ListBuckets", None, None),
        ("/bucket", "bucket", None),
        ("/bucket/", "bucket", None),
        ("/bucket?location", "bucket", None),
        ("/bucket/key", "bucket", b"key"),
        ("/bucket/a/b/", "bucket", b"a/b/"),
        ("/bucket/%E2%82%AC", "bucket", "€".encode()),
        ("/bucket/a%20b+c", "bucket", b"a b+c"),
        ("/bucket/k?acl", "bucket", b"k"),
        ("/bucket/k%3Facl", "bucket", b"k?acl"),
        ("/bucket/100%25", "bucket", b"100%"),
        ("/bucket/%2525", "bucket", b"%25"),
    ],
)
def test_path_style(target: str, bucket: str | None, object_key: bytes | None) -> None:
    parsed = parse_target(target.encode())

    assert (parsed.bucket, parsed.key) == (bucket, object_key)


@pytest.mark.parametrize(
    "bucket",
    [
        "ab",
        "a" * 64,
        "UPPER",
        "a..b",
        "-abc",
        "ab_",
        "192.168.1.1",
        "xn--abc",
        "abc-s3alias",
        "%ff%ff%ff",
        "..",
        "%2e%2e",
        "a%2fb",
    ],
)
def test_b1_a_name_that_no_bucket_has(bucket: str) -> None:
    with pytest.raises(InvalidBucketName):
        parse_target(f"/{bucket}/key".encode())


def test_b2_keys_of_1024_bytes() -> None:
    assert key("/bucket/" + "k" * 1024) == b"k" * 1024
    with pytest.raises(KeyTooLong):
        parse_target(b"/bucket/" + b"k" * 1025)


def test_b3_keys_are_measured_in_bytes() -> None:
    assert key("/bucket/" + "%F0%9F%98%80" * 256) == "😀".encode() * 256
    with pytest.raises(KeyTooLong):
        parse_target(b"/bucket/" + b"%E2%82%AC" * 342)


@pytest.mark.parametrize(
    "escaped",
    [
        pytest.param("%00", id="B4 NUL"),
        pytest.param("a%00b", id="B4 NUL inside"),
        pytest.param("%ff", id="B5 no UTF-8"),
        pytest.param("%c0%af", id="B5 overlong"),
        pytest.param("%ed%a0%80", id="B5 surrogate"),
        pytest.param("%f4%90%80%80", id="B5 beyond Unicode"),
        pytest.param("%zz", id="B7 no hex"),
        pytest.param("%2", id="B7 one digit"),
        pytest.param("%", id="B7 none"),
        pytest.param("a%%20", id="B7 percent percent"),
        pytest.param("%+1", id="B7 sign"),
        pytest.param("% 1", id="blank"),
        pytest.param("a#b", id="fragment"),
        pytest.param("é", id="raw octets"),
    ],
)
def test_a_key_that_is_none_is_an_invalid_uri(escaped: str) -> None:
    with pytest.raises(InvalidUri):
        parse_target(f"/bucket/{escaped}".encode())


@pytest.mark.parametrize("octet", [*range(1, 0x20), 0x7F])
def test_b6_control_characters_are_parts_of_keys(octet: int) -> None:
    assert key(f"/bucket/a%{octet:02x}b") == b"a" + bytes([octet]) + b"b"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/bucket/../other/k", b"../other/k"),
        ("/bucket/%2e%2e/other/k", b"../other/k"),
        ("/bucket/..%2fother/k", b"../other/k"),
        ("/bucket/%2e%2e%2fother/k", b"../other/k"),
        ("/bucket/a/..;/other", b"a/..;/other"),
        ("/bucket/..%5c..%5cx", b"..\\..\\x"),
        ("/bucket/.", b"."),
        ("/bucket/..", b".."),
        ("/bucket//k", b"/k"),
        ("/bucket//", b"/"),
        ("/bucket/a//b/", b"a//b/"),
        ("/bucket/a/b", b"a/b"),
    ],
)
def test_b9_dots_and_slashes_stay_in_their_bucket(target: str, expected: bytes) -> None:
    parsed = parse_target(target.encode())

    assert (parsed.bucket, parsed.key) == ("bucket", expected)


@pytest.mark.parametrize("target", ["//bucket/k", "//", "///k"])
def test_b9_no_bucket_is_no_target(target: str) -> None:
    with pytest.raises(InvalidUri):
        parse_target(target.encode())


def test_b11_b12_keys_that_look_alike_are_different_and_none_is_special() -> None:
    names = ["A", "a", "a/", "a/b", "con", "aux.", ".penstock/x", "__internal/x", "-/live"]

    assert [key(f"/bucket/{name}") for name in names] == [name.encode() for name in names]


@pytest.mark.parametrize(
    "target", ["http://evil/bucket/k", "evil.com:80", "*", "", "bucket/k", "?x", "\\bucket", " /bucket"]
)
def test_b14_only_the_origin_form_is_served(target: str) -> None:
    with pytest.raises(InvalidUri):
        parse_target(target.encode())


def test_b17_a_fully_escaped_key_with_a_long_query_is_fine() -> None:
    target = "/bucket/" + "%6B" * 1024 + "?X-Amz-Security-Token=" + "t" * 1500

    assert key(target) == b"k" * 1024


def test_the_one_path_that_is_no_bucket_is_refused_by_name() -> None:
    with pytest.raises(NotImplementedYet, match="WriteGetObjectResponse"):
        parse_target(b"/WriteGetObjectResponse")


def test_queries_keep_order_and_repetition_and_decode_once() -> None:
    parsed = parse_target(b"/bucket?b=2&a=1&a=%2531&c&d=&&e=x=y&f=a+b%20c%2B")

    assert parsed.query == (
        ("b", "2"),
        ("a", "1"),
        ("a", "%31"),
        ("c", ""),
        ("d", ""),
        ("e", "x=y"),
        ("f", "a b c+"),
    )
    assert (parsed.get("a"), parsed.get("c"), parsed.get("zz")) == ("1", "", None)
    assert "c" in parsed
    assert "zz" not in parsed


@pytest.mark.parametrize("query", ["a=%zz", "%=1", "a=%ff", "prefix=%ed%a0%80"])
def test_queries_are_as_strict_as_paths(query: str) -> None:
    with pytest.raises(InvalidUri):
        parse_target(f"/bucket?{query}".encode())


def test_the_raw_bytes_are_kept_for_the_signature() -> None:
    parsed = parse_target(b"/bucket/a%2fb?x=%7e")

    assert (parsed.raw_path, parsed.raw_query) == (b"/bucket/a%2fb", b"x=%7e")
