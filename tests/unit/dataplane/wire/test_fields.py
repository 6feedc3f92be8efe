"""Header fields become one value a name."""

import pytest

from dataplane.wire.fields import SINGLE_FIELDS, gather_fields
from dataplane.wire.refusals import InvalidRequest


def test_names_lose_their_case_and_values_the_blanks_at_their_ends() -> None:
    assert gather_fields([(b"X-Amz-Meta-A", b" \t a  b \t")]) == {"x-amz-meta-a": "a  b"}


def test_a31_a_repeated_field_is_joined_in_order() -> None:
    pairs = [(b"x-amz-meta-a", b"1"), (b"x-amz-meta-b", b"x"), (b"X-Amz-Meta-A", b"2")]

    assert gather_fields(pairs) == {"x-amz-meta-a": "1,2", "x-amz-meta-b": "x"}


@pytest.mark.parametrize("name", sorted(SINGLE_FIELDS))
def test_a31_a_field_that_can_only_come_once_comes_once(name: str) -> None:
    with pytest.raises(InvalidRequest):
        gather_fields([(name.encode(), b"1"), (name.upper().encode(), b"1")])


def test_g12_an_expectation_may_come_twice() -> None:
    pairs = [(b"expect", b"100-continue"), (b"expect", b"100-continue")]

    assert gather_fields(pairs) == {"expect": "100-continue,100-continue"}


def test_octets_beyond_ascii_survive() -> None:
    raw = "größe".encode()

    assert gather_fields([(b"x-amz-meta-a", raw)])["x-amz-meta-a"].encode("latin-1") == raw


def test_an_underscore_never_stands_for_a_dash() -> None:
    assert "x-amz-date" not in gather_fields([(b"X_Amz_Date", b"20261124T120000Z")])
