"""Background work rests the longer the more clients ask, goes on whatever they ask, and works freely beside nobody."""

import threading
from itertools import pairwise

import pytest
from prometheus_client.samples import Sample

from controlplane.operations.courtesy import REST_PER_WORK_MAX, WORK_S_MAX, Courtesy, Load, rest_per_work
from controlplane.operations.pace import WAIT_MAX_S, Budget, SharedPace
from controlplane.overview.counts import Counts, load_of
from engine.settings.running import AdmissionSettings

LIMITS = AdmissionSettings(reads=100, writes=50, shed_threshold=0.8)


class Passing(threading.Event):
    """Whose waits take no time but that of the test."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 100.0
        self.waits_s: list[float] = []

    def now_s(self) -> float:
        return self.seconds

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.seconds += timeout
        self.waits_s.append(timeout)
        return self.is_set()


def load(concurrency: float = 0.0, fullness: float = 0.0, *, has_shed: bool = False) -> Load:
    return Load(concurrency=concurrency, fullness=fullness, has_shed=has_shed)


def busy(concurrency: float = 0.0, fullness: float = 0.0) -> Courtesy:
    courtesy = Courtesy()
    courtesy.note(load(concurrency, fullness))
    return courtesy


def worked(pace: SharedPace, passing: Passing, *seconds: float) -> float:
    """How long it rested while it worked so long before each of its pieces."""
    began_s = passing.seconds
    for each in seconds:
        passing.seconds += each
        pace.take(1)
    return passing.seconds - began_s - sum(seconds)


def test_beside_nobody_nothing_rests() -> None:
    courtesy = busy()
    assert (Courtesy().rest_s(1.0), courtesy.rest_s(1.0)) == (0.0, 0.0)

    courtesy.note(load(9.0, 1.0))
    courtesy.note(None)

    assert courtesy.rest_s(1.0) == 0.0


def test_the_more_is_asked_the_longer_it_rests_and_never_for_ever() -> None:
    loads = [
        load(0.0),
        load(0.2),
        load(1.0),
        load(2.0),
        load(5.0, 0.1),
        load(50.0, 0.9),
        load(90.0, 1.0),
        load(90.0, 7.0),
    ]

    ratios = [rest_per_work(each) for each in loads]

    assert all(one <= other for one, other in pairwise(ratios))
    assert ratios[:4] == [0.0, 0.2, 1.0, 2.0]
    assert ratios[-1] == ratios[-2] == rest_per_work(load(has_shed=True)) == REST_PER_WORK_MAX


def test_half_of_the_time_is_left_to_a_client_that_asks_all_the_time() -> None:
    passing = Passing()
    pace = SharedPace([], interrupted=passing, courtesy=busy(1.0), seconds=passing.now_s)

    assert worked(pace, passing, *[0.02] * 50) == pytest.approx(1.0)


def test_small_rests_are_put_together() -> None:
    passing = Passing()
    pace = SharedPace([], interrupted=passing, courtesy=busy(1.0), seconds=passing.now_s)

    assert worked(pace, passing, *[0.001] * 100) == pytest.approx(0.1, abs=0.006)
    assert len(passing.waits_s) <= 20


def test_a_long_time_between_two_pieces_is_not_all_made_up_for_and_a_rest_keeps_looking() -> None:
    passing, looks = Passing(), []
    pace = SharedPace(
        [],
        interrupted=passing,
        courtesy=busy(1.0, 1.0),
        seconds=passing.now_s,
        while_waiting=lambda: looks.append(passing.seconds),
    )

    rested_s = worked(pace, passing, 3600.0)

    assert rested_s == pytest.approx(REST_PER_WORK_MAX * WORK_S_MAX)
    assert max(passing.waits_s) <= WAIT_MAX_S
    assert len(looks) >= rested_s / WAIT_MAX_S - 1


def test_waits_for_a_budget_are_rests_as_well() -> None:
    passing = Passing()
    budget = Budget(seconds=passing.now_s)
    budget.limit(1)
    pace = SharedPace([budget], interrupted=passing, courtesy=busy(1.0), seconds=passing.now_s)
    passing.seconds += 0.5
    pace.take(10)
    rested = len(passing.waits_s)

    assert worked(pace, passing, 0.5) == pytest.approx(8.5, abs=1.1)
    assert rested > 0


def test_a_rest_ends_with_the_process() -> None:
    passing = Passing()
    pace = SharedPace([], interrupted=passing, courtesy=busy(1.0, 1.0), seconds=passing.now_s)
    passing.set()

    assert worked(pace, passing, 3600.0, 3600.0) <= 2 * WAIT_MAX_S


def test_the_load_is_what_was_asked_since_the_last_look_and_what_is_in_flight() -> None:
    def counts(seconds: float, shed: float, reads: float, writes: float, requests: float = 1.0) -> Counts:
        return Counts(
            [
                Sample("penstock_requests_total", {"operation": "GetObject", "status": "200"}, requests),
                Sample("penstock_request_seconds_sum", {"operation": "GetObject"}, seconds),
                Sample("penstock_requests_shed_total", {}, shed),
                Sample("penstock_requests_in_flight", {"flow": "read"}, reads),
                Sample("penstock_requests_in_flight", {"flow": "write"}, writes),
            ]
        )

    assert load_of(counts(14.0, 3.0, 8.0, 10.0), counts(10.0, 3.0, 0.0, 0.0), 2.0, LIMITS) == load(2.0, 0.25)
    assert load_of(counts(10.0, 4.0, 0.0, 0.0), counts(10.0, 3.0, 0.0, 0.0), 2.0, LIMITS).has_shed
    assert load_of(counts(99.0, 9.0, 0.0, 0.0), None, 0.0, LIMITS) == load(0.0, 0.0)
    begun_anew = load_of(counts(1.0, 0.0, 0.0, 0.0, 0.0), counts(9.0, 9.0, 0.0, 0.0), 2.0, LIMITS)
    assert begun_anew == load(0.0, 0.0)
