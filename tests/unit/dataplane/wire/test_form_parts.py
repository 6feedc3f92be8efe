"""Forms are read the same however they arrive, within their bounds, and never past the file's end."""

import pytest

from dataplane.auth.post_policy import read_policy
from dataplane.wire.bodies import Promise
from dataplane.wire.form_file import AFTER_FILE_BYTES_MAX, HELD_BYTES_MAX, FormFile
from dataplane.wire.form_parts import HEAD_BYTES_MAX, read_boundary, read_form_head
from dataplane.wire.post_form import read_post_form
from dataplane.wire.refusals import (
    EntityTooLarge,
    IncompleteBody,
    InvalidPolicyDocument,
    MalformedPostRequest,
    MaxPostPreDataLengthExceeded,
    WireError,
)
from engine.streams import DigestPlan, ExpectedDigests
from tests.support.post_forms import BOUNDARY, FORM_HEADERS, form, part, policy_text
from tests.support.wire_bodies import BytesBody

PIECES = [(1,), (2, 3), (7,), (4096,), (1 << 20,), (1, 70_000)]
FIELDS = [("key", "a/b"), ("Empty", ""), ("x", "line\r\nline\r\n--"), ("y", "\r\n"), ("z", f"--{BOUNDARY}")]
CONTENT_TYPE = FORM_HEADERS[0][1]
PROMISE = Promise(expected=ExpectedDigests(), plan=DigestPlan())


def any_size(size_bytes: int) -> None:
    """Agrees to every size."""


def file_of(body: bytes, pieces: tuple[int, ...] = (4096,)) -> FormFile:
    raw = BytesBody(body, piece_sizes=pieces)
    read = read_post_form(raw, CONTENT_TYPE)
    return FormFile(
        raw,
        read.boundary,
        begun=read.head.begun,
        left_bytes=read.left_bytes,
        promise=PROMISE,
        check_size=any_size,
    )


def read_whole(file: FormFile, buffer_bytes: int = 70_000) -> bytes:
    """As the engine reads it: what is certain, then what is left."""
    found = bytearray()
    for wanted in (file.certain_bytes, -1):
        left = file.settle() if wanted < 0 else wanted
        while left:
            buffer = memoryview(bytearray(min(left, buffer_bytes)))
            count = file.readinto(buffer)
            assert count
            found += buffer[:count]
            left -= count
    assert file.readinto(memoryview(bytearray(1))) == 0
    assert len(found) == file.size_bytes
    return bytes(found)


@pytest.mark.parametrize("pieces", PIECES)
def test_a_form_is_the_same_however_it_arrives(pieces: tuple[int, ...]) -> None:
    raw = BytesBody(form(FIELDS, b"file", file_name="a.txt"), piece_sizes=pieces)

    head = read_form_head(raw, BOUNDARY.encode())

    assert list(head.fields) == FIELDS
    assert head.file_name == "a.txt"


@pytest.mark.parametrize("pieces", PIECES)
@pytest.mark.parametrize("size_bytes", [0, 1, 70_000, HELD_BYTES_MAX + 1])
def test_the_file_ends_where_its_delimiter_begins(pieces: tuple[int, ...], size_bytes: int) -> None:
    if max(pieces) < 1000 and size_bytes > 100_000:
        pieces = (977, 31)
    tease = f"\r\n--{BOUNDARY[:-1]}?\r\n\r\n-".encode()
    content = (tease * (size_bytes // len(tease) + 1))[:size_bytes]

    assert read_whole(file_of(form(FIELDS, content), pieces)) == content


@pytest.mark.parametrize("beyond_bytes", range(-60, 61, 5))
def test_a_delimiter_is_found_across_the_border_of_what_is_certain(beyond_bytes: int) -> None:
    content = b"c" * (HELD_BYTES_MAX + 5000)
    ending_bytes = len(form([], None)) + len(b"\r\n")
    frame_bytes = len(part("more", b""))
    after = part("more", b"m" * (AFTER_FILE_BYTES_MAX + beyond_bytes - ending_bytes - frame_bytes))
    file = file_of(form(FIELDS, content, after=after))

    if beyond_bytes <= 0:
        assert read_whole(file) == content
    else:
        with pytest.raises(MalformedPostRequest):
            read_whole(file)


@pytest.mark.parametrize(
    "unit", [b"\r", b"\n", b"\r\n", b"\r\n-", b"--", b"\r\n\r\n", b'name="', b";", b"\\"]
)
@pytest.mark.parametrize("prefix", [b"", b"\r\n", part("key", b"k")])
def test_floods_are_refused_within_the_bound(unit: bytes, prefix: bytes) -> None:
    raw = BytesBody(prefix + f"--{BOUNDARY}\r\n".encode() + unit * (1 << 20))

    with pytest.raises(WireError):
        read_form_head(raw, BOUNDARY.encode())

    assert len(prefix) + len(BOUNDARY) + 4 + len(unit) * (1 << 20) - raw.left_bytes <= HEAD_BYTES_MAX


def test_a_thousand_parts_do_not_fit() -> None:
    raw = BytesBody(part("a", b"") * 1000 + form([], b"file"))

    with pytest.raises(MaxPostPreDataLengthExceeded):
        read_form_head(raw, BOUNDARY.encode())


def test_a_name_put_into_many_places_is_bounded_too() -> None:
    fields = [(f"f{number}", "${filename}" * 20) for number in range(20)]

    with pytest.raises(MaxPostPreDataLengthExceeded):
        read_post_form(BytesBody(form(fields, b"x", file_name="n" * 9000)), CONTENT_TYPE)


@pytest.mark.parametrize("cut", [10, 300, -3000, -40])
def test_a_form_that_the_wire_cuts_is_incomplete(cut: int) -> None:
    whole = form(FIELDS, b"c" * 10_000)

    def read() -> None:
        raw = BytesBody(whole[:cut], size_bytes=len(whole))
        read_form = read_post_form(raw, CONTENT_TYPE)
        FormFile(
            raw,
            read_form.boundary,
            begun=read_form.head.begun,
            left_bytes=read_form.left_bytes,
            promise=PROMISE,
            check_size=any_size,
        ).settle()

    with pytest.raises(IncompleteBody):
        read()


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data; charset=utf-8; Boundary="a b"', b"a b"),
        ("multipart/form-data;boundary=----WebKitFormBoundary7MA4", b"----WebKitFormBoundary7MA4"),
    ],
)
def test_boundaries_as_clients_write_them(content_type: str, boundary: bytes) -> None:
    assert read_boundary(content_type) == boundary


@pytest.mark.parametrize(
    "condition",
    [
        [],
        {},
        {"a": "b", "c": "d"},
        {"a": 1},
        ["eq", "key", "value"],
        ["eq", "$key"],
        ["eq", "$", "value"],
        ["ends-with", "$key", "value"],
        ["content-length-range", 1],
        ["content-length-range", -1, 5],
        ["content-length-range", 6, 5],
        ["content-length-range", 1.5, 5],
        ["content-length-range", True, 5],
        [["eq"], "$key", "value"],
        "key",
        None,
    ],
)
def test_a_condition_that_is_none_makes_no_policy(condition: object) -> None:
    with pytest.raises(InvalidPolicyDocument):
        read_policy(policy_text([condition]))


def test_of_several_ranges_all_hold() -> None:
    policy = read_policy(policy_text([["content-length-range", 1, 9], ["content-length-range", "5", "20"]]))

    assert (policy.size_min_bytes, policy.size_max_bytes) == (5, 9)
    with pytest.raises(EntityTooLarge):
        policy.require_size(10)
