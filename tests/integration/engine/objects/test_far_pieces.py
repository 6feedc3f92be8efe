"""Pieces on remote stores, step by step: announced, written, committed, displaced; whatever fails leaves old or new."""

import threading

import pytest

from engine.backends.memory import Call, Fault
from engine.errors import DatabaseUnavailable, NoSuchKey, OutcomeUnknown
from engine.metadata.intents import LATE_WRITE_S
from engine.metadata.store import Store
from engine.records import Copies
from engine.units import KIB
from tests.integration.engine.objects.conftest import MakeRig
from tests.support.interruptions import InterruptedStore
from tests.support.objects import ObjectRig
from tests.support.pieces import payload_of

HELD, STREAMED = 10 * KIB, 300 * KIB
WRITE_COUNT_MAX = 40
OVERWRITE_COUNT = 30


class Interrupted:
    """A deployment over remote stores alone, whose requests can be interrupted at a write to the database."""

    def __init__(self, make_rig: MakeRig, *, is_committed: bool) -> None:
        self._stores: list[InterruptedStore] = []
        self._is_committed = is_committed
        self.rig: ObjectRig = make_rig(
            volume_count=0, memory_count=3, scheme=Copies(count=2), wrap_store=self._wrapped
        )

    def arm(self, number: int) -> None:
        """The write of that number from now on fails, from 1."""
        store = self._stores[-1]
        store.at = store.write_count + number

    def disarm(self) -> bool:
        """Whether it has come to that write."""
        store = self._stores[-1]
        was_struck, store.at = store.write_count >= store.at, 0
        return was_struck

    def _wrapped(self, store: Store) -> Store:
        self._stores.append(InterruptedStore(store, at=0, is_committed=self._is_committed))
        return self._stores[-1]


@pytest.mark.parametrize("is_committed", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize("size", [HELD, STREAMED])
def test_the_database_fails_at_any_write_of_a_put_and_no_unannounced_piece_is_written(
    make_rig: MakeRig, size: int, is_committed: bool
) -> None:
    interrupted = Interrupted(make_rig, is_committed=is_committed)
    rig = interrupted.rig
    for number in range(1, WRITE_COUNT_MAX):
        old, new = payload_of(size, seed=number), payload_of(size, seed=1000 + number)
        rig.put("k", old)
        # None is held ahead, so the request announces its pieces itself.
        rig.objects.holder.distrust()
        interrupted.arm(number)
        error: Exception | None = None
        try:
            rig.put("k", new)
        except (DatabaseUnavailable, OutcomeUnknown) as failed:
            error = failed
        struck = interrupted.disarm()

        assert rig.unaccounted() == set()
        found = rig.get("k")
        assert found == new if error is None else found in (old, new)
        assert not isinstance(error, DatabaseUnavailable) or found == old
        rig.crash()
        assert rig.settle().is_clean
        assert rig.unaccounted() == set()
        assert rig.get("k") == found
        assert sum(len(memory.storage_keys()) for memory in rig.memories) == 2 * len(rig.find("k").slices)
        if not struck:
            return
    raise AssertionError("it never gets through")


@pytest.mark.parametrize("is_committed", [False, True], ids=["before", "behind"])
def test_an_announcement_that_fails_asks_no_store(make_rig: MakeRig, is_committed: bool) -> None:
    interrupted = Interrupted(make_rig, is_committed=is_committed)
    rig = interrupted.rig
    for size in (HELD, STREAMED):
        for number in (1, 2):
            interrupted.arm(number)

            with pytest.raises((DatabaseUnavailable, OutcomeUnknown)):
                rig.put("k", payload_of(size))

            assert interrupted.disarm()
            rig.objects.holder.distrust()
            assert [memory.storage_keys() for memory in rig.memories] == [[], [], []]
            with pytest.raises(NoSuchKey):
                rig.find("k")


@pytest.mark.parametrize("size", [HELD, STREAMED])
def test_overwrites_are_never_missed_and_never_mixed(make_rig: MakeRig, size: int) -> None:
    rig = make_rig(volume_count=0, memory_count=3, scheme=Copies(count=2))
    bodies = [payload_of(size, seed=number) for number in range(OVERWRITE_COUNT)]
    known = set(bodies)
    rig.put("k", bodies[0])
    is_over = threading.Event()
    problems: list[str] = []
    counts = [0, 0]

    def read(place: int) -> None:
        while not is_over.is_set():
            try:
                if rig.get("k") not in known:
                    problems.append("a mix")
            except NoSuchKey:
                problems.append("missing")
            counts[place] += 1

    readers = [threading.Thread(target=read, args=(place,)) for place in range(2)]
    for reader in readers:
        reader.start()
    try:
        for body in bodies[1:]:
            rig.put("k", body)
            rig.reap()
    finally:
        is_over.set()
        for reader in readers:
            reader.join()

    assert problems == []
    assert min(counts) > 0
    assert rig.get("k") == bodies[-1]
    assert rig.settle().is_clean
    assert sum(len(memory.storage_keys()) for memory in rig.memories) == 2


def test_a_displaced_piece_is_read_to_its_end_and_goes_after_its_grace(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=3, scheme=Copies(count=2))
    old, new = payload_of(STREAMED), payload_of(STREAMED, seed=1)
    rig.put("k", old)
    found = rig.find("k")
    displaced = {each.storage_key for each in found.slices[0].locations}

    rig.put("k", new)
    rig.reap()

    assert rig.due_count() == 0
    assert rig.read(found) == old
    rig.clock.pass_grace()
    assert rig.due_count() == len(displaced)
    assert rig.settle().is_clean
    assert displaced.isdisjoint(key for memory in rig.memories for key in memory.storage_keys())
    assert rig.get("k") == new


def test_a_delete_goes_well_with_every_store_down_and_nothing_that_lands_late_brings_it_back(
    make_rig: MakeRig,
) -> None:
    rig = make_rig(volume_count=0, memory_count=3, scheme=Copies(count=2))
    for memory in rig.memories[:1]:
        memory.faults.add(Call.STORE, Fault.TIMEOUT_LATE)
    rig.put("k", payload_of(HELD))
    for memory in rig.memories:
        for call in Call:
            memory.faults.add(call, Fault.UNAVAILABLE, count=1000)

    rig.delete("k")

    with pytest.raises(NoSuchKey):
        rig.find("k")
    rig.reap()
    for memory in rig.memories:
        memory.faults.clear()
        memory.land_late()
    with pytest.raises(NoSuchKey):
        rig.find("k")
    rig.clock.ahead_us += int(LATE_WRITE_S * 1_000_000) + 1
    assert rig.settle().is_clean
    assert [memory.storage_keys() for memory in rig.memories] == [[], [], []]
