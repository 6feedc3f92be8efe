"""Calls that wait are set aside and go on where they stopped; those that never wait cost no more than a call."""

import threading
import weakref
from collections.abc import Callable
from functools import partial

import pytest
from greenlet import getcurrent

from dataplane.server.parking import Parking, Spot


class Hub:
    """A loop that only resumes."""

    def __init__(self) -> None:
        self.parking = Parking()
        self._wakes = threading.Semaphore(0)
        self.parking.open(self._wakes.release)

    def turn(self) -> None:
        """Wait for a wake, then resume."""
        assert self._wakes.acquire(timeout=10)
        self.parking.resume()


@pytest.fixture
def hub() -> Hub:
    return Hub()


def spot_of(hub: Hub) -> Spot:
    spot = hub.parking.current()
    assert spot is not None
    return spot


def waiting(
    hub: Hub, spots: list[Spot], said: list[object], *, timeout_s: float = 60.0
) -> Callable[[], None]:
    def call() -> None:
        spot = spot_of(hub)
        spots.append(spot)
        said.append(spot.park(timeout_s))

    return call


def test_a_call_that_does_not_wait_ends_at_once(hub: Hub) -> None:
    said: list[object] = []

    assert hub.parking.run(lambda: said.append("done"))

    assert said == ["done"]
    assert len(hub.parking) == 0


def test_a_call_is_set_aside_and_goes_on_once_woken_by_another_thread(hub: Hub) -> None:
    spots: list[Spot] = []
    said: list[object] = []
    assert not hub.parking.run(waiting(hub, spots, said))
    assert (said, len(hub.parking)) == ([], 1)

    thread = threading.Thread(target=spots[0].wake)
    thread.start()
    hub.turn()

    thread.join()
    assert (said, len(hub.parking)) == ([True], 0)


def test_others_run_meanwhile_and_each_goes_on_by_itself(hub: Hub) -> None:
    spots: list[Spot] = []
    said: list[object] = []
    for _ in range(3):
        assert not hub.parking.run(waiting(hub, spots, said))

    spots[1].wake()
    hub.turn()
    assert len(said) == 1
    spots[0].wake()
    spots[2].wake()
    hub.turn()

    assert said == [True] * 3


def test_a_wake_that_comes_first_is_not_waited_for(hub: Hub) -> None:
    said: list[object] = []

    def call() -> None:
        spot = spot_of(hub)
        spot.wake()
        said.append(spot.park(60.0))

    assert hub.parking.run(call)
    hub.turn()
    assert said == [True]


def test_a_wait_ends_with_its_time_and_a_late_wake_changes_nothing(hub: Hub) -> None:
    spots: list[Spot] = []
    said: list[object] = []
    hub.parking.run(waiting(hub, spots, said, timeout_s=0.0))

    hub.parking.expire()
    assert said == [False]
    spots[0].wake()
    hub.turn()

    assert said == [False]
    assert len(hub.parking) == 0


def test_who_has_time_left_is_not_expired(hub: Hub) -> None:
    said: list[object] = []
    hub.parking.run(waiting(hub, [], said, timeout_s=3600.0))

    hub.parking.expire()

    assert (said, len(hub.parking)) == ([], 1)


def test_one_call_waits_several_times(hub: Hub) -> None:
    said: list[object] = []

    def call() -> None:
        for _ in range(3):
            spot = spot_of(hub)
            threading.Thread(target=spot.wake).start()
            said.append(spot.park(60.0))

    hub.parking.run(call)
    while len(hub.parking):
        hub.turn()

    assert said == [True] * 3


def test_what_a_call_raises_comes_out_where_it_was_resumed(hub: Hub) -> None:
    spots: list[Spot] = []

    def call() -> None:
        spot = spot_of(hub)
        spots.append(spot)
        spot.park(60.0)
        raise ValueError("after the wait")

    hub.parking.run(call)
    spots[0].wake()

    with pytest.raises(ValueError, match="after the wait"):
        hub.turn()
    assert len(hub.parking) == 0


def test_callers_with_a_thread_of_their_own_are_not_set_aside(hub: Hub) -> None:
    found: list[object] = [hub.parking.current()]

    thread = threading.Thread(target=lambda: found.append(hub.parking.current()))
    thread.start()
    thread.join()

    assert found == [None, None]


def test_who_lets_others_run_goes_on_behind_all_who_could_run(hub: Hub) -> None:
    order: list[str] = []

    def call(name: str, *, lets_others_run: bool) -> None:
        spot = spot_of(hub)
        if lets_others_run:
            spot.let_others_run()
        order.append(name)

    assert not hub.parking.run(partial(call, "polite", lets_others_run=True))
    assert hub.parking.run(partial(call, "other", lets_others_run=False))
    assert hub.parking.has_due

    hub.parking.let_go_on()

    assert order == ["other", "polite"]
    assert not hub.parking.has_due
    assert len(hub.parking) == 0


def test_neither_a_wake_nor_the_time_ends_letting_others_run(hub: Hub) -> None:
    said: list[object] = []

    def call() -> None:
        spot = spot_of(hub)
        spot.wake()
        spot.let_others_run()
        said.append(spot.park(0.0))

    hub.parking.run(call)
    hub.turn()
    hub.parking.expire()
    assert said == []

    hub.parking.let_go_on()

    assert said == [True], "the wake was for the wait behind it"


def test_calls_run_one_after_the_other_share_a_greenlet_and_nothing_else(hub: Hub) -> None:
    class Held:
        """Something that a call holds."""

    held = Held()
    is_held = weakref.ref(held)
    callers: list[object] = []

    def call(_: Held) -> None:
        callers.append(getcurrent())

    for _ in range(3):
        assert hub.parking.run(partial(call, held))
    del held

    assert callers[0] is callers[1] is callers[2]
    assert is_held() is None


def test_a_call_that_failed_takes_no_other_along(hub: Hub) -> None:
    def fail() -> None:
        raise ValueError("before any wait")

    said: list[object] = []
    with pytest.raises(ValueError, match="before any wait"):
        hub.parking.run(fail)

    assert hub.parking.run(lambda: said.append("done"))
    assert (said, len(hub.parking)) == (["done"], 0)
