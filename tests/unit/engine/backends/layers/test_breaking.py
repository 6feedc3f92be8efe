"""A store that keeps failing is not called; what is not its fault is not held against it."""

import itertools

import pytest

from engine.backends.base import PieceTail
from engine.backends.layers.breaking import BreakingBackend
from engine.backends.memory import Call, Fault, MemoryBackend
from engine.clock import SystemClock
from engine.errors import (
    BackendError,
    BackendFull,
    BackendShut,
    BackendTimeout,
    BackendUnavailable,
    PieceMissing,
)
from engine.names import BackendName
from engine.placement.breaker import TRIP_COUNT, BreakerState
from engine.placement.health import Health, HealthBoard
from tests.support.pieces import payload_of, tail_of

PAYLOAD = payload_of(1000)


class Rig:
    """A store in memory behind its breaker."""

    def __init__(self) -> None:
        self.memory = MemoryBackend(backend_id=1, name=BackendName("far"))
        self.board = HealthBoard(SystemClock())
        self.backend = BreakingBackend(self.memory, self.board.gate_of(1))
        self._numbers = itertools.count()

    @property
    def state(self) -> BreakerState | None:
        return self.board.view_of(1).breaker

    @property
    def tail(self) -> PieceTail:
        return tail_of(PAYLOAD)

    def store(self) -> str:
        key = f"pieces/{next(self._numbers)}"
        return self.backend.store(memoryview(PAYLOAD), self.tail, storage_key=key).storage_key

    def stream(self) -> None:
        key = f"pieces/{next(self._numbers)}"
        writer = self.backend.open_writer(len(PAYLOAD), len(self.tail.card), storage_key=key)
        try:
            writer.write(memoryview(PAYLOAD))
            writer.finish(self.tail)
        finally:
            writer.abort()


@pytest.mark.parametrize(
    ("call", "fault"),
    [(Call.STORE, Fault.UNAVAILABLE), (Call.STORE, Fault.TIMEOUT_DONE), (Call.STORE, Fault.TIMEOUT_LOST)],
)
def test_a_store_out_of_reach_is_not_called_any_more(call: Call, fault: Fault) -> None:
    rig = Rig()
    rig.memory.faults.add(call, fault, count=TRIP_COUNT)
    for _ in range(TRIP_COUNT):
        with pytest.raises((BackendUnavailable, BackendTimeout)):
            rig.store()

    # The store would answer by now.
    with pytest.raises(BackendUnavailable, match="not asked"):
        rig.store()

    assert rig.state is BreakerState.OPEN
    assert rig.board.health_of(1) is Health.SUSPECTED


@pytest.mark.parametrize("call", [Call.OPEN_WRITER, Call.WRITE, Call.FINISH])
def test_a_stream_that_fails_at_any_of_its_calls_counts_once(call: Call) -> None:
    rig = Rig()
    rig.memory.faults.add(call, Fault.UNAVAILABLE, count=TRIP_COUNT)
    states = []
    for _ in range(TRIP_COUNT):
        with pytest.raises(BackendUnavailable):
            rig.stream()
        states.append(rig.state)

    assert states == [BreakerState.CLOSED] * (TRIP_COUNT - 1) + [BreakerState.OPEN]


@pytest.mark.parametrize("call", [Call.OPEN_READER, Call.READ])
def test_reads_that_fail_count(call: Call) -> None:
    rig = Rig()
    key = rig.store()
    rig.memory.faults.add(call, Fault.TIMEOUT_LOST, count=2 * TRIP_COUNT)
    for _ in range(2 * TRIP_COUNT):
        with pytest.raises(BackendError):
            rig.backend.open_reader(key, len(PAYLOAD)).read_into(0, memoryview(bytearray(10)))

    assert rig.state is BreakerState.OPEN


def test_what_is_not_the_stores_fault_counts_for_nothing() -> None:
    rig = Rig()
    for _ in range(2 * TRIP_COUNT):
        with pytest.raises(PieceMissing):
            rig.backend.open_reader("pieces/none", 10)
        rig.memory.faults.add(Call.STORE, Fault.FULL)
        with pytest.raises(BackendFull):
            rig.store()
        with pytest.raises(ValueError, match="announced"):
            rig.backend.store(memoryview(PAYLOAD), rig.tail)

    assert rig.state is BreakerState.CLOSED
    assert rig.board.health_of(1) is Health.HEALTHY


def test_a_read_that_has_nowhere_else_to_go_asks_all_the_same() -> None:
    rig = Rig()
    key = rig.store()
    rig.memory.faults.add(Call.STORE, Fault.UNAVAILABLE, count=TRIP_COUNT)
    for _ in range(TRIP_COUNT):
        with pytest.raises(BackendUnavailable):
            rig.store()
    with pytest.raises(BackendShut):
        rig.backend.open_reader(key, len(PAYLOAD))

    buffer = bytearray(len(PAYLOAD))
    reader = rig.backend.open_reader(key, len(PAYLOAD), is_last_choice=True)
    reader.read_into(0, memoryview(buffer))
    reader.close()

    assert bytes(buffer) == PAYLOAD
    assert rig.state is BreakerState.CLOSED
