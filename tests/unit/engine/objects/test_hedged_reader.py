"""A store that does not answer is raced by another copy: the first good answer is read, nobody waits for the other."""

import threading
import time
from collections.abc import Iterator

import pytest

from engine.backends.base import PieceReader
from engine.clock import SystemClock
from engine.errors import BackendError, BackendLate, BackendUnavailable
from engine.objects.degradations import Degradation, Degradations
from engine.objects.hedged_reader import HedgedReader
from engine.objects.hedging import (
    AFTER_MAX_S,
    AFTER_MIN_S,
    HEDGED_AT_ONCE_MAX,
    HEDGED_PART,
    SAMPLE_COUNT_MIN,
    AnswerTimes,
    HedgeBudget,
    Hedges,
)
from engine.pipes import Pipe
from engine.placement.health import Health, HealthBoard
from engine.records import Location, LocationState
from engine.streams import FileRegion

NEAR, FAR = 1, 2
AFTER_S, PATIENCE_S = 0.05, 0.8
SIZE = 4


def location_at(backend_id: int) -> Location:
    return Location(
        blob_id=b"b" * 16,
        piece_index=backend_id,
        backend_id=backend_id,
        storage_key=f"pieces/00/{backend_id}",
        stored_bytes=100,
        card_key_id=None,
        state=LocationState.LIVE,
    )


class Store(PieceReader):
    """A piece whose answers come when a test lets them; `is_local`: there is none to wait for."""

    def __init__(
        self, fill: bytes, *, hangs: bool = False, error: BackendError | None = None, is_local: bool = False
    ) -> None:
        self.answers = threading.Event()
        self.is_asked = threading.Event()
        self.has_answered = threading.Event()
        self.is_closed = threading.Event()
        self.asked_count = 0
        self._fill = fill
        self._error = error
        self._is_local = is_local
        self._next_offset: int | None = None
        if not hangs:
            self.answers.set()

    def is_under_way(self, offset: int, size_bytes: int, /) -> bool:
        return self._is_local or offset == self._next_offset

    def ask(self, offset: int, size_bytes: int, /, *, patience_s: float, is_all: bool = False) -> None:
        self.asked_count += 1
        self.is_asked.set()
        try:
            if not self.answers.wait(patience_s):
                raise BackendLate("nothing came", backend="x")
            if self._error is not None:
                raise self._error
        finally:
            self.has_answered.set()
        self._next_offset = offset

    def read_into(self, offset: int, buffer: memoryview, /, *, nowait: bool = False) -> None:
        assert self.is_under_way(offset, len(buffer))
        buffer[:] = self._fill * len(buffer)
        self._next_offset = offset + len(buffer)

    def take(
        self, offset: int, length: int, /, *, pipe: Pipe | None = None, nowait: bool = False
    ) -> memoryview:
        taken = memoryview(bytearray(length))
        self.read_into(offset, taken)
        return taken

    def region(self, offset: int, length: int, /) -> FileRegion | None:
        return None

    def close(self) -> None:
        assert not self.is_closed.is_set()
        self.is_closed.set()


def set_after(before: threading.Event, then: threading.Event) -> None:
    """Set one event a moment after another, in a thread of its own."""

    def wait_and_set() -> None:
        before.wait(10)
        time.sleep(AFTER_S)
        then.set()

    threading.Thread(target=wait_and_set, daemon=True).start()


class OneOther:
    """The copies of a blob of which one is read and one more stands, or none."""

    def __init__(self, rival: Store | None) -> None:
        self.rival = rival
        self.switched_after: list[BackendError | None] = []
        self.blamed: list[BackendError] = []

    def has_rival(self) -> bool:
        return self.rival is not None

    def open_rival(self) -> tuple[Location, PieceReader] | None:
        rival, self.rival = self.rival, None
        return None if rival is None else (location_at(FAR), rival)

    def return_rival(self, location: Location) -> None:
        assert location == location_at(FAR)

    def blame(self, location: Location, error: BackendError) -> None:
        assert location == location_at(FAR)
        self.blamed.append(error)

    def switch(self, location: Location, *, after: BackendError | None) -> None:
        assert location == location_at(FAR)
        self.switched_after.append(after)


@pytest.fixture
def health() -> HealthBoard:
    return HealthBoard(SystemClock())


@pytest.fixture
def hedges(health: HealthBoard) -> Iterator[Hedges]:
    made = Hedges(
        health=health,
        degradations=Degradations(),
        clock=SystemClock(),
        after_first_s=AFTER_S,
        patience_s=PATIENCE_S,
    )
    yield made
    made.close()


def reader_of(hedges: Hedges, first: Store, copies: OneOther) -> HedgedReader:
    return HedgedReader(copies, hedges, location_at(NEAR), first, backend="near")


def read(reader: HedgedReader, offset: int = 0) -> bytes:
    buffer = bytearray(SIZE)
    reader.read_into(offset, memoryview(buffer))
    return bytes(buffer)


def test_a_store_that_answers_in_time_is_the_only_one_asked(hedges: Hedges) -> None:
    first, other = Store(b"1"), Store(b"2")
    reader = reader_of(hedges, first, OneOther(other))

    assert read(reader) + read(reader, SIZE) == b"1" * 2 * SIZE

    assert (first.asked_count, other.asked_count) == (1, 0)
    reader.close()
    assert first.is_closed.is_set()


def test_bytes_are_taken_from_a_store_that_answers_in_time(hedges: Hedges) -> None:
    first, other = Store(b"1"), Store(b"2")
    reader = reader_of(hedges, first, OneOther(other))

    assert [reader.take(at, SIZE) for at in (0, SIZE)] == [memoryview(b"1" * SIZE)] * 2

    assert (first.asked_count, other.asked_count) == (1, 0)
    reader.close()


def test_nothing_is_taken_from_a_copy_that_has_just_taken_over(hedges: Hedges) -> None:
    """Whether its bytes may leave unseen is asked again first."""
    first, other = Store(b"1", hangs=True), Store(b"2")
    reader = reader_of(hedges, first, OneOther(other))

    assert reader.take(0, SIZE) is None

    assert reader.take(0, SIZE) == memoryview(b"2" * SIZE)
    assert other.asked_count == 1
    assert first.is_closed.wait(5)
    reader.close()


@pytest.mark.parametrize("is_local", [False, True])
def test_another_copy_is_read_when_the_first_one_hangs(
    hedges: Hedges, health: HealthBoard, is_local: bool
) -> None:
    first, other = Store(b"1", hangs=True), Store(b"2", is_local=is_local)
    copies = OneOther(other)
    reader = reader_of(hedges, first, copies)
    began_s = time.monotonic()

    assert read(reader) + read(reader, SIZE) == b"2" * 2 * SIZE

    assert AFTER_S <= time.monotonic() - began_s < PATIENCE_S
    assert copies.switched_after == [None]
    assert hedges.counts.won_count == 1
    # The one that hangs is given up by the thread that waits for it, and is the last choice from then on.
    assert first.is_closed.wait(5)
    reader.close()
    assert other.is_closed.is_set()
    hedges.close()
    assert health.health_of(NEAR) is Health.DEGRADED


def test_the_first_one_is_read_when_it_is_ready_first_after_all(hedges: Hedges, health: HealthBoard) -> None:
    first, other = Store(b"1", hangs=True), Store(b"2", hangs=True)
    copies = OneOther(other)
    reader = reader_of(hedges, first, copies)
    set_after(other.is_asked, first.answers)

    assert read(reader) == b"1" * SIZE

    assert copies.switched_after == []
    assert hedges.counts.lost_count == 1
    other.answers.set()
    assert other.is_closed.wait(5)
    assert not first.is_closed.is_set()
    assert health.health_of(NEAR) is Health.HEALTHY


def test_a_second_one_that_fails_leaves_the_first_one(hedges: Hedges) -> None:
    error = BackendUnavailable("gone", backend="far")
    first, other = Store(b"1", hangs=True), Store(b"2", error=error)
    copies = OneOther(other)
    reader = reader_of(hedges, first, copies)
    set_after(other.is_closed, first.answers)

    assert read(reader) == b"1" * SIZE

    assert copies.blamed == [error]
    assert other.is_closed.is_set()


def test_a_first_one_that_fails_late_leaves_the_second_one(hedges: Hedges) -> None:
    error = BackendUnavailable("gone", backend="near")
    first, other = Store(b"1", hangs=True, error=error), Store(b"2", hangs=True)
    copies = OneOther(other)
    reader = reader_of(hedges, first, copies)
    set_after(other.is_asked, first.answers)
    set_after(first.has_answered, other.answers)

    assert read(reader) == b"2" * SIZE

    assert copies.switched_after == [error]


def test_when_both_fail_each_is_blamed_for_its_own(hedges: Hedges) -> None:
    gone = BackendUnavailable("gone", backend="far")
    first, other = Store(b"1", hangs=True), Store(b"2", error=gone)
    copies = OneOther(other)
    reader = reader_of(hedges, first, copies)

    with pytest.raises(BackendLate):
        read(reader)

    assert copies.blamed == [gone]
    reader.close()


def test_a_failure_that_comes_in_time_is_raised_at_once(hedges: Hedges) -> None:
    error = BackendUnavailable("gone", backend="near")
    reader = reader_of(hedges, Store(b"1", error=error), OneOther(Store(b"2")))

    with pytest.raises(BackendUnavailable, match="gone"):
        read(reader)

    reader.close()


def test_without_another_copy_to_race_patience_ends_all_the_same(hedges: Hedges) -> None:
    reader = reader_of(hedges, Store(b"1", hangs=True), OneOther(None))
    began_s = time.monotonic()

    with pytest.raises(BackendLate):
        read(reader)

    assert time.monotonic() - began_s < 2 * PATIENCE_S
    reader.close()


def test_no_more_are_raced_than_the_budget_has(hedges: Hedges) -> None:
    while hedges.budget.take():
        pass
    other = Store(b"2")
    reader = reader_of(hedges, Store(b"1", hangs=True), OneOther(other))

    with pytest.raises(BackendLate):
        read(reader)

    assert other.asked_count == 0
    assert hedges.counts.refused_count == 1


def test_the_budget_allows_a_burst_and_then_a_part_of_the_questions() -> None:
    budget = HedgeBudget()
    burst_count = sum(budget.take() for _ in range(10 * HEDGED_AT_ONCE_MAX))
    raced_count = 0
    for _ in range(1000):
        budget.asked()
        raced_count += budget.take()

    assert burst_count == HEDGED_AT_ONCE_MAX
    assert raced_count == pytest.approx(1000 * HEDGED_PART, abs=2)


@pytest.mark.parametrize(
    ("took_s", "after_s"),
    [(0.001, AFTER_MIN_S), (0.2, 0.2), (30.0, AFTER_MAX_S)],
    ids=["fast", "usual", "slow"],
)
def test_a_store_is_waited_for_as_long_as_it_mostly_takes(took_s: float, after_s: float) -> None:
    times = AnswerTimes()
    for _ in range(SAMPLE_COUNT_MIN - 1):
        times.note(took_s)
    assert not times.is_known

    times.note(took_s)

    assert times.is_known
    assert times.hedge_after_s == after_s


def test_one_slow_answer_of_many_does_not_make_others_wait() -> None:
    times = AnswerTimes()
    for _ in range(2 * SAMPLE_COUNT_MIN):
        times.note(0.1)
    for _ in range(SAMPLE_COUNT_MIN):
        times.note(0.1)
    times.note(9.0)
    for _ in range(SAMPLE_COUNT_MIN):
        times.note(0.1)

    assert times.hedge_after_s == 0.1


def test_a_late_store_is_told_of(hedges: Hedges, health: HealthBoard) -> None:
    degradations = Degradations()
    told = Hedges(health=health, degradations=degradations, clock=SystemClock())

    told.late(location_at(NEAR))

    assert degradations.counts()[Degradation.BACKEND_LATE] == 1
    assert health.health_of(NEAR) is Health.DEGRADED
