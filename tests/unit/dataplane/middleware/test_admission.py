"""Admission bounds what is in flight, sheds before it is full, and never loses count of a place."""

import threading
import time

import pytest

from dataplane.middleware.admission import Admission, AdmissionLimits, Flow
from engine.errors import Overloaded


def admission(*, chance: float = 1.0, **changes: float) -> Admission:
    limits = {
        "read_count_max": 4,
        "write_count_max": 2,
        "shed_threshold": 1.0,
        "wait_s": 0.0,
        "memory_bytes_max": 100,
        **changes,
    }
    return Admission(AdmissionLimits(**limits), chance=lambda: chance)  # type: ignore[arg-type]


def test_a_full_flow_refuses_and_the_other_goes_on() -> None:
    bounds = admission()
    tickets = [bounds.admit(Flow.WRITE) for _ in range(2)]

    with pytest.raises(Overloaded):
        bounds.admit(Flow.WRITE)
    bounds.admit(Flow.READ)

    tickets[0].release()
    bounds.admit(Flow.WRITE)
    assert bounds.in_flight(Flow.WRITE) == 2
    assert bounds.shed_count == 1


def test_a_place_is_given_back_once() -> None:
    bounds = admission()
    ticket = bounds.admit(Flow.READ, memory_bytes=60)

    ticket.release()
    ticket.release()

    assert bounds.in_flight(Flow.READ) == 0
    assert bounds.memory_bytes == 0


def test_bodies_are_refused_beyond_the_memory_for_them() -> None:
    bounds = admission()
    first = bounds.admit(Flow.WRITE, memory_bytes=60)

    with pytest.raises(Overloaded, match="memory"):
        bounds.admit(Flow.WRITE, memory_bytes=41)

    first.release()
    bounds.admit(Flow.WRITE, memory_bytes=100)


@pytest.mark.parametrize(("chance", "is_admitted"), [(0.24, False), (0.26, True)])
def test_shedding_ramps_from_the_threshold_to_the_limit(chance: float, is_admitted: bool) -> None:
    bounds = admission(chance=chance, read_count_max=8, shed_threshold=0.5)
    for _ in range(5):
        bounds.admit(Flow.READ)

    # One of the four places above the threshold is taken: a quarter of the requests is shed.
    if is_admitted:
        bounds.admit(Flow.READ)
    else:
        with pytest.raises(Overloaded):
            bounds.admit(Flow.READ)


def test_a_thread_may_wait_for_a_place() -> None:
    bounds = admission(wait_s=30.0)
    held = [bounds.admit(Flow.WRITE) for _ in range(2)]
    freeing = threading.Timer(0.05, held[0].release)
    freeing.start()

    bounds.admit(Flow.WRITE, may_wait=True)

    freeing.join()
    assert bounds.in_flight(Flow.WRITE) == 2


def test_a_place_that_came_free_goes_to_who_waits_for_such_a_one() -> None:
    bounds = admission(read_count_max=1, write_count_max=1, wait_s=1.0)
    bounds.admit(Flow.WRITE)
    read = bounds.admit(Flow.READ)
    writer = threading.Thread(target=_try, args=(bounds, Flow.WRITE))
    writer.start()
    # The writer waits in front of the reader, and for another kind of place.
    _wait_until_waiting(bounds, 1)
    reader_got: list[bool] = []
    reader = threading.Thread(target=lambda: reader_got.append(_try(bounds, Flow.READ)))
    reader.start()
    _wait_until_waiting(bounds, 2)

    read.release()

    reader.join()
    writer.join()
    assert reader_got == [True]


def _wait_until_waiting(bounds: Admission, count: int) -> None:
    deadline_s = time.monotonic() + 20
    while bounds.waiting_count < count:
        assert time.monotonic() < deadline_s
        time.sleep(0.001)


def _try(bounds: Admission, flow: Flow) -> bool:
    try:
        bounds.admit(flow, may_wait=True)
    except Overloaded:
        return False
    return True


def test_the_loop_never_waits() -> None:
    bounds = admission(wait_s=3600.0)
    for _ in range(2):
        bounds.admit(Flow.WRITE)

    with pytest.raises(Overloaded):
        bounds.admit(Flow.WRITE, may_wait=False)
