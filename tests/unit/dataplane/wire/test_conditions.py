"""Conditions are asked in the order of RFC 9110, with S3's nuances."""

import pytest

from dataplane.wire.conditions import COPY_PREFIX, ReadConditions, WriteConditions, range_applies
from dataplane.wire.refusals import NotImplementedYet
from engine.errors import PreconditionFailed

ETAG = "9a0364b9e99bb480dd25e1f0284c8555"
MODIFIED_US = 1_700_000_000_500_000
BEFORE, AT, AFTER = (
    "Tue, 14 Nov 2023 22:13:19 GMT",
    "Tue, 14 Nov 2023 22:13:20 GMT",
    "Tue, 14 Nov 2023 22:13:21 GMT",
)


def hold(**headers: str) -> bool:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ReadConditions.of(named).hold(ETAG, MODIFIED_US)


@pytest.mark.parametrize(
    ("headers", "is_sent"),
    [
        ({}, True),
        ({"if_match": f'"{ETAG}"'}, True),
        ({"if_match": ETAG}, True),
        ({"if_match": f'"x", "{ETAG}"'}, True),
        ({"if_match": "*"}, True),
        ({"if_none_match": '"other"'}, True),
        ({"if_none_match": f'"{ETAG}"'}, False),
        ({"if_none_match": f'"x","{ETAG}"'}, False),
        ({"if_none_match": "*"}, False),
        ({"if_modified_since": BEFORE}, True),
        ({"if_modified_since": AT}, False),
        ({"if_modified_since": AFTER}, False),
        ({"if_unmodified_since": AT}, True),
        ({"if_unmodified_since": AFTER}, True),
    ],
)
def test_f7_conditions_on_reads(headers: dict[str, str], is_sent: bool) -> None:
    assert hold(**headers) is is_sent


@pytest.mark.parametrize(
    ("headers", "condition"),
    [
        ({"if_match": '"other"'}, "If-Match"),
        ({"if_match": f'W/"{ETAG}"'}, "If-Match"),
        ({"if_match": ""}, "If-Match"),
        ({"if_unmodified_since": BEFORE}, "If-Unmodified-Since"),
    ],
)
def test_f7_a_failed_precondition_names_itself(headers: dict[str, str], condition: str) -> None:
    with pytest.raises(PreconditionFailed) as caught:
        hold(**headers)

    assert caught.value.condition == condition


@pytest.mark.parametrize("date", ["garbage", "", "0", "Tue, 99 Nov 2023 22:13:20 GMT", "2023-11-14"])
def test_f7_a_date_that_is_none_is_ignored(date: str) -> None:
    assert hold(if_modified_since=date) is True
    assert hold(if_unmodified_since=date) is True


def test_f7_etags_are_compared_strongly() -> None:
    assert hold(if_none_match=f'W/"{ETAG}"') is True


def test_an_etag_condition_hides_the_date_beside_it() -> None:
    assert hold(if_match=f'"{ETAG}"', if_unmodified_since=BEFORE) is True
    assert hold(if_none_match='"other"', if_modified_since=AFTER) is True
    assert hold(if_none_match=f'"{ETAG}"', if_modified_since=BEFORE) is False


def test_a_precondition_is_asked_before_whether_anything_changed() -> None:
    with pytest.raises(PreconditionFailed):
        hold(if_match='"other"', if_none_match=f'"{ETAG}"')


@pytest.mark.parametrize(
    "headers",
    [
        {"if-none-match": f'"{ETAG}"'},
        {"if-match": '"other"'},
        {"if-modified-since": "Fri, 14 Nov 2200 22:13:20 GMT"},
        {"if-unmodified-since": BEFORE},
    ],
)
def test_f10_a_copy_fails_where_a_read_would_be_spared(headers: dict[str, str]) -> None:
    conditions = ReadConditions.of({COPY_PREFIX + n: v for n, v in headers.items()}, prefix=COPY_PREFIX)

    with pytest.raises(PreconditionFailed):
        conditions.require(ETAG, MODIFIED_US)


def test_a_copy_heeds_only_its_own_conditions() -> None:
    ReadConditions.of({"if-match": '"other"'}, prefix=COPY_PREFIX).require(ETAG, MODIFIED_US)


def test_f16_a_write_may_ask_for_nothing_or_for_one_etag() -> None:
    assert WriteConditions.of({}) == WriteConditions()
    assert WriteConditions.of({"if-none-match": "*"}) == WriteConditions(if_none_match=True)
    assert WriteConditions.of({"if-match": f'"{ETAG}"'}) == WriteConditions(if_match_etag=ETAG)
    assert WriteConditions.of({"if-match": "*"}) == WriteConditions(if_match_etag="*")


@pytest.mark.parametrize(
    "headers",
    [
        {"if-none-match": f'"{ETAG}"'},
        {"if-match": '"a", "b"'},
        {"if-match": ""},
        {"if-match": "*", "if-none-match": "*"},
    ],
)
def test_other_conditions_on_writes_are_refused_by_name(headers: dict[str, str]) -> None:
    with pytest.raises(NotImplementedYet):
        WriteConditions.of(headers)


@pytest.mark.parametrize(
    ("if_range", "applies"),
    [
        (None, True),
        (f'"{ETAG}"', True),
        ('"other"', False),
        (f'W/"{ETAG}"', False),
        (AT, True),
        (AFTER, False),
        ("garbage", False),
    ],
)
def test_a_range_counts_only_for_the_version_it_was_meant_for(if_range: str | None, applies: bool) -> None:
    headers = {} if if_range is None else {"if-range": if_range}

    assert range_applies(headers, etag=ETAG, modified_at_us=MODIFIED_US) is applies
