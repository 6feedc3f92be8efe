"""One byte range is served as asked, what is none is ignored, what is outside is refused."""

import pytest

from dataplane.wire.ranges import ByteRange, parse_range
from engine.errors import RangeNotSatisfiable


def span(header: str | None, size_bytes: int) -> tuple[int, int] | None:
    found = parse_range(header, size_bytes)
    return None if found is None else (found.start, found.stop)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-4", (0, 5)),
        ("bytes=5-", (5, 10)),
        ("bytes=-5", (5, 10)),
        ("bytes=0-0", (0, 1)),
        ("bytes=9-9", (9, 10)),
        ("bytes=9-", (9, 10)),
        ("Bytes=1-2", (1, 3)),
        pytest.param("bytes=-100", (0, 10), id="F3 suffix longer than the object"),
        pytest.param("bytes=0-99999999999999999999", (0, 10), id="F3 end far away"),
        pytest.param("bytes=3-10", (3, 10), id="F3 end one past"),
    ],
)
def test_a_range_is_bytes_up_to_the_end(header: str, expected: tuple[int, int]) -> None:
    assert span(header, 10) == expected


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes=5-2",
        "bytes=abc",
        "items=0-1",
        "bytes=",
        "bytes=-",
        "bytes",
        "bytes=0-1,3-4",
        "bytes= 0-1",
        "bytes=0-1 ",
        "bytes=+0-1",
        "bytes=0x0-1",
        "bytes=1_0-20",
        "bytes=١-٢",
        "bytes=--1",
        "bytes=1-2-3",
        "bytes=" + "9" * 5000 + "-",
    ],
)
def test_f1_what_is_no_range_is_ignored(header: str | None) -> None:
    assert span(header, 10) is None
    assert span(header, 0) is None


@pytest.mark.parametrize(
    ("header", "size_bytes"),
    [
        ("bytes=40-50", 5),
        ("bytes=5-", 5),
        ("bytes=-0", 5),
        ("bytes=0-0", 0),
        ("bytes=-1", 0),
        ("bytes=0-", 0),
    ],
)
def test_f2_a_range_outside_the_object_is_refused(header: str, size_bytes: int) -> None:
    with pytest.raises(RangeNotSatisfiable) as caught:
        parse_range(header, size_bytes)

    assert caught.value.size_bytes == size_bytes


def test_a_range_knows_its_size() -> None:
    assert ByteRange(start=3, stop=10).size_bytes == 7
