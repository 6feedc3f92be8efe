"""Which of too many copies goes first, and when none may."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.placement.redundancy import choose_excess, missing_count
from engine.records import Copies

TWO = Copies(count=2)


@dataclass(frozen=True, kw_only=True)
class FakeCopy:
    piece_index: int
    failure_domain: str
    is_good: bool = True
    is_leaving: bool = False
    fill: float = 0.0


def copies(*made: tuple[str, bool, bool, float]) -> list[FakeCopy]:
    return [
        FakeCopy(piece_index=index, failure_domain=domain, is_good=good, is_leaving=leaving, fill=fill)
        for index, (domain, good, leaving, fill) in enumerate(made)
    ]


@pytest.mark.parametrize(
    ("made", "goes"),
    [
        ([("a", True, False, 0.0), ("b", True, False, 0.0)], None),
        ([("a", True, False, 0.9), ("b", True, True, 0.0), ("c", False, False, 0.0)], 2),
        ([("a", True, False, 0.9), ("b", True, True, 0.0), ("c", True, False, 0.0)], 1),
        ([("a", True, False, 0.1), ("b", True, False, 0.9), ("c", True, False, 0.2)], 1),
        ([("a", True, False, 0.1), ("b", True, False, 0.9), ("a", True, False, 0.0)], 0),
        ([("a", True, False, 0.0), ("b", False, False, 0.0), ("c", False, False, 0.0)], None),
        ([("a", True, False, 0.0), ("a", True, False, 0.0), ("b", False, False, 0.0)], None),
        ([("a", True, False, 0.0), ("b", True, False, 0.0), ("c", True, False, 0.0)], 2),
    ],
    ids=["enough", "bad", "leaving", "fullest", "same domain", "one good", "one good domain", "newest"],
)
def test_who_goes_first(made: list[tuple[str, bool, bool, float]], goes: int | None) -> None:
    assert choose_excess(TWO, copies(*made)) == goes


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from("abcd"), st.booleans(), st.booleans(), st.floats(0, 1)), max_size=8),
)
def test_trimming_to_the_end_never_goes_below_the_scheme(
    count: int, made: list[tuple[str, bool, bool, float]]
) -> None:
    scheme, left = Copies(count=count), copies(*made)
    before = {each.failure_domain for each in left if each.is_good}

    while (goes := choose_excess(scheme, left)) is not None:
        left = [each for each in left if each.piece_index != goes]

    after = {each.failure_domain for each in left if each.is_good}
    assert len(after) >= min(count, len(before))
    if len(before) >= count:
        assert len(left) == min(count, len(made))


def test_copies_in_one_domain_count_once() -> None:
    assert missing_count(TWO, ["a", "a"]) == 1
    assert missing_count(TWO, ["a", "b", "c"]) == 0
