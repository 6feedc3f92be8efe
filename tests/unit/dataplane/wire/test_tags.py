"""Tags: the header and the document, and what neither may hold (S3 API, object and bucket tagging)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.wire.refusals import BadRequest, InvalidArgument, InvalidTag, MalformedXml, WireError
from dataplane.wire.tagging import (
    TAGGING_FIELD,
    read_object_tags,
    read_tagging,
)
from engine.tags import BUCKET_TAG_COUNT_MAX, OBJECT_TAG_COUNT_MAX


def document(*pairs: tuple[str, str]) -> bytes:
    rows = "".join(f"<Tag><Key>{key}</Key><Value>{value}</Value></Tag>" for key, value in pairs)
    return f"<Tagging><TagSet>{rows}</TagSet></Tagging>".encode()


def of_object(raw: bytes) -> dict[str, str]:
    return {tag.key: tag.value for tag in read_tagging(raw, count_max=OBJECT_TAG_COUNT_MAX)}


def of_bucket(raw: bytes) -> dict[str, str]:
    return {tag.key: tag.value for tag in read_tagging(raw, count_max=BUCKET_TAG_COUNT_MAX)}


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("", {}),
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a", {"a": ""}),
        ("a+b=c%20d", {"a b": "c d"}),
        ("k%C3%A9=%E2%82%AC"[:7] + "=1", {"k\u00e9": "1"}),
        ("a=b=c", {"a": "b=c"}),
    ],
)
def test_the_header_is_a_query(text: str, tags: dict[str, str]) -> None:
    assert read_object_tags({TAGGING_FIELD: text}) == tags


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a=1&a=2", InvalidTag),
        ("a=%ff", InvalidArgument),
        ("=1", InvalidTag),
        ("aws:x=1", InvalidTag),
        ("a%00=1", InvalidTag),
        ("&".join(f"k{number}=v" for number in range(11)), BadRequest),
    ],
)
def test_d12_headers_that_are_none(text: str, error: type[WireError]) -> None:
    with pytest.raises(error):
        read_object_tags({TAGGING_FIELD: text})


def test_d12_limits_of_documents() -> None:
    longest = ("k" * 128, "v" * 256)
    assert of_object(document(longest)) == dict([longest])
    assert len(of_object(document(*((f"k{n}", "") for n in range(10))))) == 10
    assert len(of_bucket(document(*((f"k{n}", "") for n in range(50))))) == 50
    assert of_object(document()) == {}
    for pairs, error in (
        ([("k" * 129, "")], InvalidTag),
        ([("k", "v" * 257)], InvalidTag),
        ([("k", "1"), ("k", "2")], InvalidTag),
        ([("AWS:k", "1")], InvalidTag),
        ([("", "1")], InvalidTag),
        ([("k;", "1")], InvalidTag),
        ([(f"k{n}", "") for n in range(11)], BadRequest),
    ):
        with pytest.raises(error):
            of_object(document(*pairs))
    with pytest.raises(BadRequest):
        of_bucket(document(*((f"k{n}", "") for n in range(51))))


@pytest.mark.parametrize(
    "raw",
    [
        b"<Tagging/>",
        b"<Tagging><TagSet/><TagSet/></Tagging>",
        b"<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>",
        b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value><x/></Tag></TagSet></Tagging>",
        b"<Tagging><TagSet><tag><Key>a</Key><Value>b</Value></tag></TagSet></Tagging>",
        b"<TagSet/>",
    ],
)
def test_documents_that_are_none(raw: bytes) -> None:
    with pytest.raises(MalformedXml):
        of_object(raw)


@given(st.text(max_size=64).map(lambda text: text.encode("utf-8", "replace").decode("latin-1")))
def test_any_header_gives_tags_or_a_typed_error(text: str) -> None:
    try:
        tags = read_object_tags({TAGGING_FIELD: text})
    except WireError:
        return
    assert len(tags) <= 10
