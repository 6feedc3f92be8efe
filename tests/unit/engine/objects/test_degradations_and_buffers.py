"""Fallbacks are counted by kind, with all kinds shown; blocks of memory are used again, up to a bound."""

from engine.objects.buffers import BlockPool
from engine.objects.degradations import Degradation, Degradations
from engine.units import BLOCK_BYTES


def test_every_kind_is_counted_and_those_at_zero_are_shown() -> None:
    degradations = Degradations()
    degradations.note(Degradation.PIECE_COPIED, backend="near")
    degradations.note(Degradation.PIECE_COPIED)

    counts = degradations.counts()

    assert counts.keys() == set(Degradation)
    assert {kind for kind, count in counts.items() if count} == {Degradation.PIECE_COPIED}
    assert counts[Degradation.PIECE_COPIED] == 2


def test_a_block_given_back_is_the_next_one_taken_and_no_more_than_the_bound_is_kept() -> None:
    pool = BlockPool(kept_count_max=1)
    first, second = pool.take(), pool.take()
    assert first is not second
    assert len(first) == BLOCK_BYTES

    pool.give_back(first)
    pool.give_back(second)

    assert pool.take() is first
    assert pool.take() is not second
