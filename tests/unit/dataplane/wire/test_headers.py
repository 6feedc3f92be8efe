"""Metadata goes in and comes out as it was; what no header can hold never leaves."""

import pytest

from dataplane.wire.headers import (
    is_sendable,
    object_response_headers,
    read_object_headers,
    read_response_overrides,
)
from dataplane.wire.refusals import InvalidArgument, InvalidStorageClass, MetadataTooLarge
from dataplane.wire.target import parse_target
from engine.records import ObjectHeaders


def test_metadata_comes_back_as_it_went_in() -> None:
    headers = {
        "content-type": "text/plain",
        "cache-control": "no-cache",
        "content-disposition": 'attachment; filename="a"',
        "content-encoding": "gzip",
        "content-language": "de",
        "expires": "Thu, 01 Dec 1994 16:00:00 GMT",
        "x-amz-meta-color": "blue",
        "x-amz-meta-mtime": "1.5",
        "x-other": "not kept",
    }

    stored = read_object_headers(headers)
    sent = {name.lower(): value for name, value in object_response_headers(stored)}

    assert sent == {name: value for name, value in headers.items() if name != "x-other"}


def test_a_type_nobody_gave_is_octets() -> None:
    assert object_response_headers(read_object_headers({})) == [("Content-Type", "binary/octet-stream")]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("aws-chunked", None),
        ("aws-chunked,gzip", "gzip"),
        ("gzip, aws-chunked", "gzip"),
        ("AWS-Chunked", None),
        ("gzip, br", "gzip, br"),
        ("", None),
    ],
)
def test_the_way_of_travelling_is_not_stored(given: str, kept: str | None) -> None:
    assert read_object_headers({"content-encoding": given}).system.get("content-encoding") == kept


def test_c16_an_encoding_is_kept_and_never_undone() -> None:
    assert read_object_headers({"content-encoding": "gzip"}).system == {"content-encoding": "gzip"}


def test_f13_user_metadata_of_2048_bytes() -> None:
    fits = {"x-amz-meta-ab": "v" * 1000, "x-amz-meta-cd": "v" * 1044}
    assert len(read_object_headers(fits).user) == 2

    with pytest.raises(MetadataTooLarge) as caught:
        read_object_headers({**fits, "x-amz-meta-ab": "v" * 1001})
    assert caught.value.extra == {"Size": "2049", "MaxSizeAllowed": "2048"}


def test_a_metadata_header_has_a_name() -> None:
    with pytest.raises(InvalidArgument):
        read_object_headers({"x-amz-meta-": "x"})


@pytest.mark.parametrize("storage_class", ["FOO", "", "standard", "GLACIER"])
def test_f34_a_storage_class_nobody_configured_is_refused(storage_class: str) -> None:
    with pytest.raises(InvalidStorageClass):
        read_object_headers({"x-amz-storage-class": storage_class})


def test_f34_standard_is_a_storage_class() -> None:
    assert read_object_headers({"x-amz-storage-class": "STANDARD"}).storage_class == "STANDARD"
    assert (
        read_object_headers({"x-amz-storage-class": "COLD"}, storage_classes={"COLD"}).storage_class == "COLD"
    )


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x", "a\nb", "a\0b", "\x1b[31m", "\x7f", "snow ☃"])
def test_a_value_that_no_header_can_hold_never_leaves(value: str) -> None:
    stored = ObjectHeaders(
        content_type=value, system={"cache-control": value}, user={"a": value, "b": "fine"}
    )

    assert object_response_headers(stored) == [("x-amz-meta-b", "fine")]
    assert not is_sendable(value)


@pytest.mark.parametrize("value", ["", "plain", "tab\there", "gr\xf6\xdfe", " "])
def test_values_that_headers_hold(value: str) -> None:
    assert is_sendable(value)


def test_overrides_take_the_places_of_what_is_stored() -> None:
    target = parse_target(
        b"/bucket/key?response-content-type=text%2Fhtml&response-content-disposition=attachment%3B%20filename%3Da"
        b"&response-expires=0&response-cache-control=x&response-content-language=y&response-content-encoding=z&other=1"
    )

    overrides = read_response_overrides(target)
    sent = dict(
        object_response_headers(ObjectHeaders(content_type="a/b", system={"cache-control": "old"}), overrides)
    )

    assert sent == {
        "Content-Type": "text/html",
        "Content-Disposition": "attachment; filename=a",
        "Expires": "0",
        "Cache-Control": "x",
        "Content-Language": "y",
        "Content-Encoding": "z",
    }


@pytest.mark.parametrize("value", ["a%0D%0ASet-Cookie:%20x", "%00", "%0a", "%E2%98%83", "x" * 8192])
def test_f15_an_override_that_no_header_can_hold_is_refused(value: str) -> None:
    with pytest.raises(InvalidArgument):
        read_response_overrides(parse_target(f"/bucket/key?response-content-disposition={value}".encode()))
