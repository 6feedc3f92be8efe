"""Admission bounds what is in flight, sheds before it is full, and never loses count of a place."""

import threading

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


def test_the_loop_never_waits() -> None:
    bounds = admission(wait_s=3600.0)
    for _ in range(2):
        bounds.admit(Flow.WRITE)

    with pytest.raises(Overloaded):
        bounds.admit(Flow.WRITE, may_wait=False)
