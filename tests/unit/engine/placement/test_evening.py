"""Evening out moves what is too much to where there is too little, and nothing when that is not worth it."""

import pytest

from engine.placement.evening import Fill, Move, fractions, level, plan_moves
from engine.placement.policy import Routing


def fill(backend_id: int, used_bytes: int, capacity_bytes: int | None = 1000) -> Fill:
    return Fill(backend_id=backend_id, used_bytes=used_bytes, capacity_bytes=capacity_bytes)


def spread(*fills: Fill, threshold: float = 0.05) -> list[Move]:
    return plan_moves(fills, strategy=Routing.SPREAD, threshold=threshold)


def after(fills: list[Fill], moves: list[Move]) -> list[Fill]:
    change = {each.backend_id: 0 for each in fills}
    for move in moves:
        change[move.source_id] -= move.size_bytes
        change[move.target_id] += move.size_bytes
    return [
        Fill(
            backend_id=each.backend_id,
            used_bytes=each.used_bytes + change[each.backend_id],
            capacity_bytes=each.capacity_bytes,
        )
        for each in fills
    ]


def test_what_is_even_or_nearly_so_is_left_alone() -> None:
    assert spread(fill(1, 500), fill(2, 500)) == []
    assert spread(fill(1, 540), fill(2, 460)) == []
    assert spread() == spread(fill(1, 900)) == []


@pytest.mark.parametrize(
    "fills",
    [
        [fill(1, 900), fill(2, 100), fill(3, 0)],
        [fill(1, 900), fill(2, 100, 4000)],
        [fill(1, 900, None), fill(2, 100, None), fill(3, 500, None)],
        [fill(1, 0), fill(2, 0), fill(3, 1)],
    ],
)
def test_moves_leave_all_equally_full(fills: list[Fill]) -> None:
    moved = after(fills, spread(*fills, threshold=0.0001))

    target = level(fills)
    assert all(abs(each - target) < 0.02 for each in fractions(moved).values())
    assert sum(each.used_bytes for each in moved) == sum(each.used_bytes for each in fills)


def test_without_limits_bytes_are_evened_out() -> None:
    assert spread(fill(1, 1000, None), fill(2, 0, None)) == [Move(source_id=1, target_id=2, size_bytes=500)]


def test_packing_fills_the_first_up_to_the_threshold_and_empties_the_last() -> None:
    fills = [fill(1, 500), fill(2, 500), fill(3, 400)]

    moves = plan_moves(fills, strategy=Routing.PACK, threshold=0.1)

    assert {each.backend_id: each.used_bytes for each in after(fills, moves)} == {1: 900, 2: 500, 3: 0}
    assert plan_moves(after(fills, moves), strategy=Routing.PACK, threshold=0.1) == []


def test_packing_moves_nothing_to_a_later_one() -> None:
    moves = plan_moves([fill(1, 1000), fill(2, 0)], strategy=Routing.PACK, threshold=0.1)

    assert moves == []
