"""Budgets hold on the average, let large pieces pass, follow other rates at once, and give nobody more than that."""

import threading
from collections.abc import Callable

import pytest

from controlplane.operations.pace import WAIT_MAX_S, Budget, Budgets, SharedPace


class Now:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now() -> Now:
    return Now()


def made(now: Now, rate_bytes: int | None) -> Budget:
    budget = Budget(seconds=now)
    budget.limit(rate_bytes)
    return budget


def taken_in(now: Now, budget: Budget, seconds: float, size_bytes: int) -> int:
    """Bytes that somebody gets who asks again as soon as it is told to."""
    end_s, total_bytes = now.seconds + seconds, 0
    while now.seconds < end_s:
        wait_s = budget.take(size_bytes)
        if wait_s:
            now.seconds += wait_s
        else:
            total_bytes += size_bytes
    return total_bytes


def test_without_a_limit_nothing_waits(now: Now) -> None:
    budget = made(now, None)

    assert [budget.take(1 << 40) for _ in range(3)] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("size_bytes", [1, 99, 100, 101, 5000])
def test_on_the_average_the_rate_holds_whatever_the_size(now: Now, size_bytes: int) -> None:
    budget = made(now, 100)

    total_bytes = taken_in(now, budget, 1000.0, size_bytes)

    # One piece goes before it is made up for.
    assert abs(total_bytes - 100_000) <= size_bytes + 100


def test_what_was_not_used_is_kept_for_a_second_only(now: Now) -> None:
    budget = made(now, 100)
    now.seconds += 3600

    assert budget.take(100) == 0.0
    assert budget.take(1) == 0.0
    assert budget.take(1) > 0.0


def test_a_debt_is_paid_at_the_rate_that_holds_now(now: Now) -> None:
    budget = made(now, 10)
    budget.take(1000)
    assert budget.take(1) == pytest.approx(100.0)

    budget.limit(1000)
    assert budget.take(1) == pytest.approx(1.0)
    budget.limit(None)

    assert budget.take(1) == 0.0


def test_a_lower_rate_leaves_no_room_from_before(now: Now) -> None:
    budget = made(now, 1_000_000)
    now.seconds += 10
    budget.limit(10)

    assert budget.take(10) == 0.0
    assert budget.take(1) == 0.0
    assert budget.take(1) > 0.0


def test_each_of_those_who_share_a_rate_has_its_part_and_all_of_it_when_the_others_have_ended(
    now: Now,
) -> None:
    budget = made(now, 100)
    budget.share(4)
    assert abs(taken_in(now, budget, 1000.0, 10) - 25_000) <= 110

    budget.limit(200)
    assert abs(taken_in(now, budget, 1000.0, 10) - 50_000) <= 110

    budget.share(1)
    assert abs(taken_in(now, budget, 1000.0, 10) - 200_000) <= 210


def test_a_part_is_never_nothing_and_no_limit_stays_none(now: Now) -> None:
    budget, unbounded = made(now, 2), made(now, None)
    budget.share(5)
    unbounded.share(5)
    budget.take(10)

    assert budget.take(1) == pytest.approx(10.0)
    assert [unbounded.take(1 << 40) for _ in range(2)] == [0.0, 0.0]


def test_budgets_that_nobody_else_uses_are_whole_again() -> None:
    budgets = Budgets()
    assert not budgets.is_any_bounded
    budgets.limit({"drainer": 10, "scrubber": 10})
    assert budgets.is_any_bounded

    budgets.share({"drainer": 2})
    budgets.share({"scrubber": 2})

    for name, waits_s in (("drainer", 1.0), ("scrubber", 2.0)):
        budgets.of(name).take(10)
        assert budgets.of(name).take(1) == pytest.approx(waits_s, abs=0.2)


def test_those_of_one_name_share_and_those_of_another_do_not() -> None:
    budgets = Budgets()

    assert budgets.of("drainer") is budgets.of("drainer")
    budgets.limit({"drainer": 1, "scrubber": None})

    budgets.of("drainer").take(1000)
    assert budgets.of("drainer").take(1) > 0.0
    assert budgets.of("scrubber").take(1) == 0.0


def test_a_wait_ends_at_once_when_it_is_interrupted() -> None:
    budget, interrupted = Budget(), threading.Event()
    budget.limit(1)
    budget.take(1 << 30)
    looks: list[int] = []

    def look() -> None:
        looks.append(1)
        interrupted.set()

    SharedPace([Budget(), budget], interrupted=interrupted, while_waiting=look).take(1)

    assert len(looks) == 1


def test_what_a_look_raises_ends_the_wait() -> None:
    budget = Budget()
    budget.limit(1)
    budget.take(1 << 30)

    def look() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        SharedPace([budget], interrupted=threading.Event(), while_waiting=look).take(1)


def test_every_budget_must_have_room() -> None:
    narrow, wide = Budget(), Budget()
    narrow.limit(1)
    narrow.take(1 << 30)
    waits: list[Callable[[], None]] = []
    interrupted = threading.Event()

    def look() -> None:
        waits.append(look)
        narrow.limit(None)

    SharedPace([wide, narrow], interrupted=interrupted, while_waiting=look).take(1)

    assert len(waits) == 1
    assert WAIT_MAX_S <= 1.0
