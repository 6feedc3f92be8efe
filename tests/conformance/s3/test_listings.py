"""Listings in every form: each key once and in byte order, folded and paged as asked, and named as asked."""

import os
import re
from collections.abc import Iterator
from urllib.parse import quote, unquote

import pytest

from tests.conformance.s3.uploads import Upload, element
from tests.conformance.s3.wire import Wire, escaped

KEYS = ["a", "a--b--1", "a--b--2", "a--c", "a/1", "a/2/x", "b c+d", "b--", "ö/ü", "ö/ü/1"]


@pytest.fixture(scope="module")
def filled(session_wire: Wire) -> Iterator[str]:
    """A bucket with those keys."""
    name = f"listings-{os.urandom(4).hex()}"
    assert session_wire.ask("PUT", f"/{name}").status == 200
    for key in KEYS:
        session_wire.put(f"/{name}/{escaped(key)}", b"x")
    yield name
    for key in KEYS:
        session_wire.ask("DELETE", f"/{name}/{escaped(key)}")
    assert session_wire.ask("DELETE", f"/{name}").status == 204


def pages(wire: Wire, bucket: str, version: int, query: str, *, page_size: int) -> list[str]:
    """Keys and common prefixes (those with a `>` before them) in the order they came in, over all pages."""
    found: list[str] = []
    position = ""
    while True:
        base = "list-type=2&" if version == 2 else ""
        document = wire.get(f"/{bucket}?{base}encoding-type=url&max-keys={page_size}&{query}{position}").body
        text = document.decode()
        keys = [unquote(key) for key in re.findall(r"<Key>([^<]*)</Key>", text)]
        prefixes = [unquote(each) for each in re.findall(r"<CommonPrefixes><Prefix>([^<]*)</Prefix>", text)]
        assert 0 < len(keys) + len(prefixes) <= page_size
        found += sorted([*keys, *(f"{each}>" for each in prefixes)], key=str.encode)
        if element(document, "IsTruncated") == "false":
            return found
        if version == 2:
            assert element(document, "KeyCount") == str(len(keys) + len(prefixes))
            position = f"&continuation-token={quote(element(document, 'NextContinuationToken'))}"
        else:
            last = element(document, "NextMarker")
            assert bool(last) == ("delimiter" in query)
            position = f"&marker={last or quote(keys[-1], safe='')}"


@pytest.mark.parametrize("page_size", [1, 3, 1000])
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", KEYS),
        ("delimiter=--", ["a", "a-->", "a/1", "a/2/x", "b c+d", "b-->", "ö/ü", "ö/ü/1"]),
        ("delimiter=--&prefix=a--", ["a--b-->", "a--c"]),
        ("delimiter=/", ["a", "a--b--1", "a--b--2", "a--c", "a/>", "b c+d", "b--", "ö/>"]),
        ("delimiter=/&prefix=a/", ["a/1", "a/2/>"]),
        (f"delimiter=/&prefix={quote('ö/')}", ["ö/ü", "ö/ü/>"]),
        ("prefix=b%20c%2B", ["b c+d"]),
    ],
)
def test_every_key_or_prefix_comes_once(
    wire: Wire, filled: str, version: int, page_size: int, query: str, expected: list[str]
) -> None:
    assert pages(wire, filled, version, query, page_size=page_size) == expected


def test_where_a_listing_begins(wire: Wire, filled: str) -> None:
    for position, first in [("a", "a--b--1"), ("a--", "a--b--1"), ("a/1", "a/2/x"), ("b ", "b c+d")]:
        for query in (f"marker={quote(position)}", f"list-type=2&start-after={quote(position)}"):
            document = wire.get(f"/{filled}?{query}&max-keys=1").body
            assert element(document, "Key") == first, query
    assert b"<Key>" not in wire.get(f"/{filled}?marker={quote('ö/ü/1')}").body
    # A token wins over where the listing was to begin.
    first_page = wire.get(f"/{filled}?list-type=2&max-keys=1").body
    token = quote(element(first_page, "NextContinuationToken"))
    second = wire.get(f"/{filled}?list-type=2&max-keys=1&start-after=b&continuation-token={token}").body
    assert element(second, "Key") == KEYS[1]


def test_names_are_encoded_where_it_is_asked_for(wire: Wire, filled: str) -> None:
    query = f"prefix={quote('b c+')}&delimiter={quote(' +')}"

    plain = wire.get(f"/{filled}?list-type=2&{query}").body
    encoded = wire.get(f"/{filled}?list-type=2&encoding-type=url&start-after={quote('b ')}&{query}").body

    assert [element(plain, name) for name in ("Key", "Prefix", "Delimiter", "EncodingType")] == [
        "b c+d",
        "b c+",
        " +",
        "",
    ]
    assert [element(encoded, name) for name in ("Key", "Prefix", "Delimiter", "EncodingType")] == [
        "b%20c%2Bd",
        "b%20c%2B",
        "%20%2B",
        "url",
    ]
    assert element(encoded, "StartAfter") == "b%20"


def test_owners_come_where_they_are_asked_for(wire: Wire, filled: str) -> None:
    for query, has_owner in [("", True), ("list-type=2", False), ("list-type=2&fetch-owner=true", True)]:
        assert (b"<Owner>" in wire.get(f"/{filled}?{query}").body) == has_owner, query
    # It asks for the state of restores, and nothing here was ever archived.
    ignored = wire.get(f"/{filled}?list-type=2", [("x-amz-optional-object-attributes", "RestoreStatus")])
    assert ignored.status == 200


def test_open_uploads_are_named_as_keys_are(wire: Wire, path: str) -> None:
    upload = Upload(wire, f"{path}/{escaped('b c+d')}")
    bucket, _, prefix = path.removeprefix("/").partition("/")

    encoded = wire.get(f"/{bucket}?uploads&encoding-type=url&prefix={prefix}/").body
    folded = wire.get(f"/{bucket}?uploads&prefix={prefix}&delimiter=c%2B").body

    assert element(encoded, "Key").endswith("/b%20c%2Bd")
    assert element(encoded, "UploadId") == upload.id
    assert f"<CommonPrefixes><Prefix>{prefix}/b c+</Prefix>".encode() in folded
    assert b"<Upload>" not in folded
