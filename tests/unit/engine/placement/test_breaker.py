"""Calls stop after failures, one probe at a time finds out, and nobody else pays for it."""

import threading

import pytest

from engine.placement.breaker import (
    CALM_S,
    LEASE_S,
    PAUSE_FIRST_S,
    PAUSE_MAX_S,
    PROBES_FIRST_S,
    TRIAL_COUNT_MAX,
    TRIAL_PAUSE_S,
    TRIP_COUNT,
    Breaker,
    BreakerState,
)


def breaker_with(draw: float = 0.5) -> Breaker:
    return Breaker(lambda: draw)


def state_of(breaker: Breaker) -> BreakerState:
    return breaker.state


def fail(breaker: Breaker, now_s: float, count: int = TRIP_COUNT) -> None:
    for _ in range(count):
        entered = breaker.enter(now_s, is_probe=True)
        assert entered is not None
        breaker.failed(entered, now_s)


def test_it_opens_at_so_many_failures_and_refuses_at_once() -> None:
    breaker = breaker_with()

    fail(breaker, 1000, TRIP_COUNT - 1)
    assert state_of(breaker) is BreakerState.CLOSED
    fail(breaker, 1000, 1)

    assert state_of(breaker) is BreakerState.OPEN
    assert breaker.enter(1000, is_probe=False) is None
    assert breaker.enter(1000, is_probe=True) is None


def test_failures_among_many_successes_or_long_ago_do_not_open_it() -> None:
    breaker = breaker_with()
    fail(breaker, 1000, 1)
    for step in range(40):
        entered = breaker.enter(1000, is_probe=False)
        assert entered is not None
        (breaker.failed if step % 10 == 0 else breaker.succeeded)(entered, 1000)
    assert state_of(breaker) is BreakerState.CLOSED

    fail(breaker, 2000, TRIP_COUNT - 1)
    fail(breaker, 3000, TRIP_COUNT - 1)
    assert state_of(breaker) is BreakerState.CLOSED


def test_one_probe_is_let_through_after_the_pause_and_closes_it() -> None:
    breaker = breaker_with()
    fail(breaker, 1000)
    later_s = 1000 + PAUSE_FIRST_S

    assert breaker.enter(later_s, is_probe=False) is None
    entered = breaker.enter(later_s, is_probe=True)
    assert entered is not None
    assert state_of(breaker) is BreakerState.HALF_OPEN
    assert breaker.enter(later_s, is_probe=True) is None

    breaker.succeeded(entered, later_s)
    assert state_of(breaker) is BreakerState.CLOSED
    assert breaker.enter(later_s, is_probe=False) is not None


def test_of_many_threads_one_gets_the_lease() -> None:
    breaker = breaker_with()
    fail(breaker, 1000)
    entered = []
    threads = [
        threading.Thread(target=lambda: entered.append(breaker.enter(1010, is_probe=True))) for _ in range(20)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert sum(each is not None for each in entered) == 1


def test_a_lost_lease_goes_to_the_next_probe_and_its_late_end_counts_for_nothing() -> None:
    breaker = breaker_with()
    fail(breaker, 1000)
    lost = breaker.enter(1010, is_probe=True)
    assert lost is not None

    assert breaker.enter(1010 + LEASE_S, is_probe=True) is not None
    breaker.succeeded(lost, 1010 + LEASE_S)

    assert state_of(breaker) is BreakerState.HALF_OPEN


def test_what_says_nothing_gives_the_lease_back() -> None:
    breaker = breaker_with()
    fail(breaker, 1000)
    entered = breaker.enter(1010, is_probe=True)
    assert entered is not None

    breaker.left(entered)

    assert breaker.enter(1010, is_probe=True) is not None


def test_where_nobody_probes_a_call_goes_first_in_the_end() -> None:
    breaker = breaker_with()
    fail(breaker, 1000)

    assert breaker.enter(1000 + PAUSE_FIRST_S + PROBES_FIRST_S, is_probe=False) is not None


def test_calls_that_began_before_it_opened_count_for_nothing() -> None:
    breaker = breaker_with()
    early = breaker.enter(1000, is_probe=False)
    assert early is not None
    fail(breaker, 1000)

    breaker.succeeded(early, 1001)
    assert state_of(breaker) is BreakerState.OPEN
    entered = breaker.enter(1010, is_probe=True)
    assert entered is not None
    breaker.failed(early, 1010)

    assert state_of(breaker) is BreakerState.HALF_OPEN


def pauses(breaker: Breaker, count: int) -> list[float]:
    """How long it stays open, again and again."""
    now_s = 1000.0
    fail(breaker, now_s)
    found = []
    for _ in range(count):
        began_s = now_s
        while (entered := breaker.enter(now_s, is_probe=True)) is None:
            now_s += 0.25
        found.append(now_s - began_s)
        breaker.failed(entered, now_s)
    return found


@pytest.mark.parametrize(("draw", "part"), [(0.0, 0.75), (0.5, 1.0), (1.0, 1.25)])
def test_pauses_double_to_a_bound_and_differ_by_the_draw(draw: float, part: float) -> None:
    expected = [min(PAUSE_MAX_S, PAUSE_FIRST_S * 2**step) * part for step in range(8)]

    assert pauses(breaker_with(draw), 8) == pytest.approx(expected, abs=0.25)


def test_it_forgets_how_often_it_was_open_once_it_was_closed_for_a_while() -> None:
    breaker = breaker_with()
    now_s = 1000 + sum(pauses(breaker, 5)) + PAUSE_MAX_S
    entered = breaker.enter(now_s, is_probe=True)
    assert entered is not None
    breaker.succeeded(entered, now_s)

    fail(breaker, now_s + CALM_S)

    assert breaker.enter(now_s + CALM_S + PAUSE_FIRST_S, is_probe=True) is not None


def test_who_has_nowhere_else_to_go_is_let_through_and_closes_it() -> None:
    breaker = breaker_with()
    fail(breaker, 1000)
    assert breaker.enter(1000, is_probe=False) is None

    entered = breaker.enter_anyway(1000)
    assert entered is not None
    breaker.succeeded(entered, 1000)

    assert state_of(breaker) is BreakerState.CLOSED
    assert breaker.enter(1000, is_probe=False) is not None


def test_only_a_few_are_let_through_at_a_time() -> None:
    breaker = breaker_with()
    fail(breaker, 1000)

    entered = [breaker.enter_anyway(1000) for _ in range(2 * TRIAL_COUNT_MAX)]
    assert sum(each is not None for each in entered) == TRIAL_COUNT_MAX
    assert entered[0] is not None
    breaker.left(entered[0])

    assert breaker.enter_anyway(1000) is not None
    assert breaker.enter_anyway(1000) is None
    # One whose end nobody told of holds no place for ever.
    assert breaker.enter_anyway(1000 + LEASE_S) is not None


def test_such_a_call_that_fails_changes_nothing_but_that_the_next_one_waits_a_little() -> None:
    breaker = breaker_with()
    fail(breaker, 1000)
    entered = breaker.enter_anyway(1000)
    assert entered is not None

    breaker.failed(entered, 1000)

    assert breaker.enter_anyway(1000) is None
    assert breaker.enter_anyway(1000 + TRIAL_PAUSE_S) is not None
    assert breaker.enter(1000 + PAUSE_FIRST_S, is_probe=True) is not None


def test_such_a_call_that_ends_after_a_probe_has_closed_it_counts_for_nothing() -> None:
    breaker = breaker_with()
    fail(breaker, 1000)
    trial, probe = breaker.enter_anyway(1001), breaker.enter(1001, is_probe=True)
    assert trial is not None
    assert probe is not None
    breaker.succeeded(probe, 1001)

    for _ in range(TRIP_COUNT):
        breaker.failed(trial, 1001)

    assert state_of(breaker) is BreakerState.CLOSED
