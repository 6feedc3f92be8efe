"""Conditions on deletes: each is read as it is meant, or refused; none is passed over."""

import pytest

from dataplane.wire.conditions import read_remove_conditions
from dataplane.wire.refusals import InvalidArgument, MalformedXml, NotImplementedYet, WireError
from dataplane.wire.requests import read_delete
from engine.records import RemoveConditions

AT_MS = 1_764_000_000_123
MODIFIED, SIZE = "x-amz-if-match-last-modified-time", "x-amz-if-match-size"


@pytest.mark.parametrize(
    ("headers", "conditions"),
    [
        ({}, None),
        ({"if-match": "*"}, RemoveConditions(etag="*")),
        ({"if-match": '"abc"'}, RemoveConditions(etag="abc")),
        ({"if-match": "abc"}, RemoveConditions(etag="abc")),
        ({SIZE: "0"}, RemoveConditions(size_bytes=0)),
        ({MODIFIED: "Mon, 24 Nov 2025 16:00:00 GMT"}, RemoveConditions(modified_at_ms=AT_MS - 123)),
        ({MODIFIED: "2025-11-24T16:00:00.123Z"}, RemoveConditions(modified_at_ms=AT_MS)),
        ({MODIFIED: "2025-11-24T16:00:00Z"}, RemoveConditions(modified_at_ms=AT_MS - 123)),
        ({SIZE: "5", "if-match": '"a"'}, RemoveConditions(etag="a", size_bytes=5)),
    ],
)
def test_conditions_are_read_as_sent(headers: dict[str, str], conditions: RemoveConditions | None) -> None:
    assert read_remove_conditions(headers) == conditions


@pytest.mark.parametrize(
    ("headers", "refusal"),
    [
        ({"if-match": '"a", "b"'}, NotImplementedYet),
        ({"if-match": ""}, NotImplementedYet),
        ({"if-none-match": "*"}, NotImplementedYet),
        ({"if-unmodified-since": "Mon, 24 Nov 2025 16:00:00 GMT"}, NotImplementedYet),
        ({MODIFIED: "yesterday"}, InvalidArgument),
        ({MODIFIED: "2025-13-24T16:00:00Z"}, InvalidArgument),
        ({SIZE: "-1"}, InvalidArgument),
        ({SIZE: "1e3"}, InvalidArgument),
    ],
)
def test_a_condition_that_cannot_be_read_is_refused(
    headers: dict[str, str], refusal: type[WireError]
) -> None:
    with pytest.raises(refusal):
        read_remove_conditions(headers)


def test_entries_of_a_document_have_their_own_conditions() -> None:
    document = (
        b"<Delete><Object><Key>a</Key><ETag>&quot;x&quot;</ETag><Size>5</Size>"
        b"<LastModifiedTime>2025-11-24T16:00:00.123Z</LastModifiedTime></Object>"
        b"<Object><Key>b</Key></Object></Delete>"
    )

    first, second = read_delete(document).entries

    assert first.conditions == RemoveConditions(etag="x", modified_at_ms=AT_MS, size_bytes=5)
    assert second.conditions is None


@pytest.mark.parametrize(
    ("element", "refusal"),
    [
        ("<ETag/>", MalformedXml),
        ("<Size></Size>", MalformedXml),
        ("<Size>x</Size>", InvalidArgument),
        ("<LastModifiedTime>x</LastModifiedTime>", InvalidArgument),
    ],
)
def test_a_document_with_a_condition_that_cannot_be_read_is_refused_whole(
    element: str, refusal: type[WireError]
) -> None:
    with pytest.raises(refusal):
        read_delete(f"<Delete><Object><Key>a</Key>{element}</Object></Delete>".encode())
