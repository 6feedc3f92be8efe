"""Pieces that a dead process announced end up deleted, also when they land late; those of the living are let be."""

from functools import partial
from typing import Any

import pytest

from engine.backends.memory import Call, Fault
from engine.errors import BackendTimeout, DatabaseUnavailable, EngineError, LeaseLost, OutcomeUnknown
from engine.metadata import cleanup, facts, intents, processes
from engine.metadata.intents import INTENT_TTL_S, LATE_WRITE_S, Intent
from engine.metadata.processes import DEAD_AFTER_S
from engine.metadata.strays import Stray
from engine.objects.intents import BATCH_COUNT
from engine.records import Lease, Progress
from engine.upkeep.cleanup import UNIT_S_MAX, CleanupSweeper
from engine.upkeep.intent_recovery import IntentRecovery
from tests.integration.engine.upkeep.conftest import MakeRig
from tests.support.bodies import BytesBody
from tests.support.deployments import TestClock, no_fence
from tests.support.interruptions import (
    InterruptedStore,
    Killed,
    WatchedBackends,
    die_at,
    fence_of,
    lead,
    take_over,
)
from tests.support.objects import ObjectRig
from tests.support.pieces import payload_of, tail_of

PAYLOAD = payload_of(5000)


def recovery(rig: ObjectRig, **options: Any) -> IntentRecovery:
    given = {
        "store": rig.store,
        "backends": rig.backends,
        "fence": no_fence,
        "process_id": rig.process_id,
        "clock": rig.clock,
        **options,
    }
    return IntentRecovery(given.pop("store"), given.pop("backends"), **given)


def run(unit: IntentRecovery) -> Progress:
    """One run, as a runner does it."""
    done = deferred = 0
    for _ in range(100):
        progress = unit.work()
        done += progress.done_count
        deferred += progress.deferred_count
        if not progress.has_more:
            return Progress(done_count=done, deferred_count=deferred)
    raise AssertionError("recovery never ends")


def clean_up(rig: ObjectRig) -> None:
    """What is due by now."""
    while (
        CleanupSweeper(rig.store, rig.backends, fence=no_fence, process_id=rig.process_id, clock=rig.clock)
        .work()
        .has_more
    ):
        pass


def write_and_die(rig: ObjectRig) -> Intent:
    """A process announces a piece, writes it and dies before its commit; its successor lives."""
    intent = rig.objects.holder.take(rig.memories[0])
    assert intent is not None
    try:
        rig.memories[0].store(memoryview(PAYLOAD), tail_of(PAYLOAD), storage_key=intent.storage_key)
    except BackendTimeout:
        pass  # It died waiting for the answer.
    rig.crash()
    return intent


def pass_time(rig: ObjectRig, seconds: float) -> None:
    """The process that lives gives a sign of life after it."""
    rig.clock.ahead_us += int(seconds * 1_000_000)
    rig.store.write(partial(processes.beat, process_id=rig.process_id, generation=None))


def unaccounted(rig: ObjectRig) -> list[str]:
    """Keys of pieces on the store in memory that no row names."""
    backend_id = rig.memories[0].backend_id
    located = rig.store.read(partial(facts.list_locations, backend_id=backend_id, after="", count_max=500))
    waits = rig.store.read(partial(facts.list_cleanup_keys, backend_id=backend_id, after="", count_max=500))
    known = {each.storage_key for each in located} | set(waits)
    return [key for key in rig.memories[0].storage_keys() if key not in known]


def assert_over(rig: ObjectRig) -> None:
    assert rig.memories[0].storage_keys() == []
    assert rig.intent_count() == 0
    assert rig.store.read(cleanup.depth).queued_count == 0
    assert rig.fsck().is_clean


def test_what_a_dead_instance_announced_is_deleted_and_forgotten(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=1)
    write_and_die(rig)

    pass_time(rig, DEAD_AFTER_S - 5)
    assert run(recovery(rig)) == Progress()
    pass_time(rig, 6)
    assert run(recovery(rig, batch_count_max=7)).done_count == BATCH_COUNT

    assert rig.memories[0].storage_keys() == []
    assert rig.intent_count() == 0
    pass_time(rig, LATE_WRITE_S + 1)
    clean_up(rig)
    assert_over(rig)


def test_what_a_live_instance_holds_and_has_published_is_let_be(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=1)
    rig.put("k", PAYLOAD)
    held = rig.intent_count()
    pass_time(rig, DEAD_AFTER_S + 1)

    assert run(recovery(rig)) == Progress()

    assert rig.intent_count() == held == BATCH_COUNT - 1
    assert rig.get("k") == PAYLOAD
    assert rig.fsck().is_clean


def test_what_nobody_renews_is_recovered_though_its_instance_lives(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=1)
    rig.put("k", PAYLOAD)
    for _ in range(int(INTENT_TTL_S / 10) + 1):
        pass_time(rig, 10)

    assert run(recovery(rig)).done_count == BATCH_COUNT - 1

    assert rig.intent_count() == 0
    assert rig.get("k") == PAYLOAD
    assert rig.fsck().is_clean


def test_a_dead_writers_piece_that_lands_after_recovery_is_deleted_in_the_end(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=1)
    rig.memories[0].faults.add(Call.STORE, Fault.TIMEOUT_LATE)
    write_and_die(rig)
    pass_time(rig, DEAD_AFTER_S + 1)
    run(recovery(rig))
    clean_up(rig)

    assert rig.memories[0].land_late() == 1

    assert unaccounted(rig) == []
    pass_time(rig, LATE_WRITE_S + 1)
    clean_up(rig)
    assert_over(rig)


def test_a_piece_that_a_living_writer_gave_up_and_that_lands_late_is_deleted_in_the_end(
    make_rig: MakeRig,
) -> None:
    rig = make_rig(volume_count=1, memory_count=1)
    rig.memories[0].faults.add(Call.STORE, Fault.TIMEOUT_LATE)
    for number in range(2):
        rig.put(f"k{number}", PAYLOAD)
    assert rig.memories[0].faults.is_spent()
    clean_up(rig)

    assert rig.memories[0].land_late() == 1

    assert unaccounted(rig) == []
    for number in range(2):
        rig.delete(f"k{number}")
    rig.reap()
    rig.objects.holder.close()
    pass_time(rig, LATE_WRITE_S + 1)
    clean_up(rig)
    assert_over(rig)


def test_a_writer_that_slept_through_its_recovery_leaves_nothing(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=1)
    intent = rig.objects.holder.take(rig.memories[0])
    assert intent is not None
    pass_time(rig, INTENT_TTL_S + 1)
    run(recovery(rig))
    pass_time(rig, LATE_WRITE_S + 1)
    clean_up(rig)

    # It wakes up, writes, and finds at the commit that its intent is gone.
    piece = rig.memories[0].store(memoryview(PAYLOAD), tail_of(PAYLOAD), storage_key=intent.storage_key)
    rig.objects.holder.settle([Stray(intent=intent, size_bytes=piece.stored_bytes)])

    assert unaccounted(rig) == []
    assert rig.fsck().is_clean
    pass_time(rig, LATE_WRITE_S + 1)
    clean_up(rig)
    assert_over(rig)


def test_a_writer_that_never_learned_of_its_commit_gives_up_nothing_that_was_published(
    make_rig: MakeRig,
) -> None:
    rig = make_rig(volume_count=0, memory_count=1)
    rig.put("k", PAYLOAD)
    (piece,) = rig.find("k").slices[0].locations

    intent = Intent(intent_id=b"gone------------", backend_id=piece.backend_id, storage_key=piece.storage_key)
    rig.objects.holder.settle([Stray(intent=intent, size_bytes=piece.stored_bytes)])

    assert rig.store.read(cleanup.depth).queued_count == 0
    pass_time(rig, LATE_WRITE_S + 1)
    clean_up(rig)
    assert rig.get("k") == PAYLOAD
    assert rig.fsck().is_clean


class SleepyBody(BytesBody):
    """A body during whose first read something else happens."""

    def __init__(self, data: bytes, meanwhile: Any) -> None:
        super().__init__(data)
        self._meanwhile = meanwhile

    def readinto(self, buffer: memoryview, /) -> int:
        meanwhile, self._meanwhile = self._meanwhile, lambda: None
        meanwhile()
        return super().readinto(buffer)


def test_a_request_whose_intent_was_recovered_under_it_is_refused_and_leaves_nothing(
    make_rig: MakeRig,
) -> None:
    rig = make_rig(volume_count=0, memory_count=1, inline_buffer_bytes=0)

    def sleep() -> None:
        pass_time(rig, INTENT_TTL_S + 1)
        assert run(recovery(rig)).done_count == BATCH_COUNT

    with pytest.raises(EngineError) as refused:
        rig.put("k", SleepyBody(payload_of(300_000), sleep))

    assert refused.value.may_repeat
    assert rig.keys() == []
    assert unaccounted(rig) == []
    pass_time(rig, LATE_WRITE_S + 1)
    run(recovery(rig))
    clean_up(rig)
    pass_time(rig, LATE_WRITE_S + 1)
    clean_up(rig)
    assert unaccounted(rig) == []
    assert rig.memories[0].storage_keys() == []
    assert rig.fsck().is_clean


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.TIMEOUT_LOST, Fault.TIMEOUT_DONE])
def test_a_backend_that_is_down_has_its_keys_handed_to_cleanup(make_rig: MakeRig, fault: Fault) -> None:
    rig = make_rig(volume_count=0, memory_count=1)
    write_and_die(rig)
    pass_time(rig, DEAD_AFTER_S + 1)
    rig.memories[0].faults.add(Call.DELETE, fault)

    # It is asked once; the rest of the batch does not wait for it.
    assert run(recovery(rig)) == Progress(deferred_count=BATCH_COUNT)

    assert rig.memories[0].faults.is_spent()
    assert rig.intent_count() == 0
    assert unaccounted(rig) == []
    pass_time(rig, LATE_WRITE_S + 1)
    clean_up(rig)
    assert_over(rig)


@pytest.mark.parametrize("is_committed", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_an_interruption_at_any_write_is_made_up_for(make_rig: MakeRig, at: int, is_committed: bool) -> None:
    rig = make_rig(volume_count=0, memory_count=1)
    write_and_die(rig)
    pass_time(rig, DEAD_AFTER_S + 1)
    store = InterruptedStore(rig.store, at=at, is_committed=is_committed)

    with pytest.raises((DatabaseUnavailable, OutcomeUnknown)):
        run(recovery(rig, store=store, batch_count_max=BATCH_COUNT // 2))

    pass_time(rig, INTENT_TTL_S + 1)
    run(recovery(rig))
    pass_time(rig, LATE_WRITE_S + 1)
    clean_up(rig)
    assert_over(rig)


@pytest.mark.parametrize("number", [1, 2, BATCH_COUNT])
def test_a_death_at_any_deletion_is_made_up_for(make_rig: MakeRig, number: int) -> None:
    rig = make_rig(volume_count=0, memory_count=1)
    write_and_die(rig)
    pass_time(rig, DEAD_AFTER_S + 1)

    with pytest.raises(Killed):
        run(recovery(rig, backends=WatchedBackends(rig.backends, die_at(number))))
    assert rig.intent_count() == BATCH_COUNT

    pass_time(rig, INTENT_TTL_S + 1)
    run(recovery(rig))
    pass_time(rig, LATE_WRITE_S + 1)
    clean_up(rig)
    assert_over(rig)


def test_a_recovery_that_lost_its_lease_forgets_no_intent(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=1)
    write_and_die(rig)
    pass_time(rig, DEAD_AFTER_S + 1)
    first = lead(rig.store, "intents")
    second: list[Lease] = []

    def lose(storage_key: str) -> None:
        if not second:
            second.append(take_over(rig.store, "intents", rig.clock))

    unit = recovery(rig, backends=WatchedBackends(rig.backends, lose), fence=fence_of(first))
    with pytest.raises(LeaseLost):
        unit.work()

    assert rig.store.read(intents.count) == BATCH_COUNT
    assert rig.store.read(cleanup.depth).queued_count == 0
    with pytest.raises(LeaseLost):
        unit.work()
    pass_time(rig, INTENT_TTL_S + 1)
    assert run(recovery(rig, fence=fence_of(lead(rig.store, "intents")))).done_count == BATCH_COUNT
    pass_time(rig, LATE_WRITE_S + 1)
    clean_up(rig)
    assert_over(rig)


class SteppedClock(TestClock):
    """Monotonic time that only a test moves."""

    def __init__(self) -> None:
        super().__init__()
        self.stood_s = 0.0

    def monotonic_s(self) -> float:
        return self.stood_s


def test_a_slow_backend_ends_a_unit_within_its_lease(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=1)
    write_and_die(rig)
    pass_time(rig, DEAD_AFTER_S + 1)
    clock = SteppedClock()

    def be_slow(storage_key: str) -> None:
        clock.stood_s += UNIT_S_MAX * 0.6

    progress = run(recovery(rig, backends=WatchedBackends(rig.backends, be_slow), clock=clock))

    assert progress == Progress(done_count=2, deferred_count=BATCH_COUNT - 2)
    assert unaccounted(rig) == []
    pass_time(rig, LATE_WRITE_S + 1)
    clean_up(rig)
    assert_over(rig)
