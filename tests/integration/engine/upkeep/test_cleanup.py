"""Keys in the cleanup queue are deleted once their grace is over, whatever fails on the way; nothing else is."""

import logging
from functools import partial
from typing import Any

import pytest

from engine.backends.memory import Call, Fault
from engine.backends.volume.format import read_storage_key
from engine.clock import uuid7
from engine.errors import DatabaseUnavailable, LeaseLost, OutcomeUnknown
from engine.metadata import cleanup, quota
from engine.metadata.cleanup import ATTEMPT_COUNT_MAX, CleanupDepth
from engine.records import Lease, Progress
from engine.units import DAY_S
from engine.upkeep.cleanup import CLAIM_STALE_S, PUT_OFF_S, UNIT_S_MAX, CleanupSweeper
from tests.integration.engine.upkeep.conftest import MakeRig
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
from tests.support.objects import GRACE_US, ObjectRig
from tests.support.pieces import payload_of


def sweeper(rig: ObjectRig, **options: Any) -> CleanupSweeper:
    given = {
        "store": rig.store,
        "backends": rig.backends,
        "fence": no_fence,
        "process_id": rig.process_id,
        "clock": rig.clock,
        **options,
    }
    return CleanupSweeper(given.pop("store"), given.pop("backends"), **given)


def run(unit: CleanupSweeper) -> Progress:
    """One run, as a runner does it."""
    done = deferred = 0
    for _ in range(100):
        progress = unit.work()
        done += progress.done_count
        deferred += progress.deferred_count
        if not progress.has_more:
            return Progress(done_count=done, deferred_count=deferred)
    raise AssertionError("cleanup never ends")


def discard(rig: ObjectRig, count: int, *, size_bytes: int = 5000) -> None:
    """Objects that were deleted and reaped: their pieces wait."""
    for number in range(count):
        rig.put(f"gone-{number}", payload_of(size_bytes, seed=number))
    for number in range(count):
        rig.delete(f"gone-{number}")
    rig.reap()


def pass_time(rig: ObjectRig, seconds: float) -> None:
    rig.clock.ahead_us += int(seconds * 1_000_000)


def depth(rig: ObjectRig) -> CleanupDepth:
    return rig.store.read(cleanup.depth)


def orphan_bytes(rig: ObjectRig) -> int:
    totals = [
        rig.store.read(partial(quota.read_quota, subject=quota.backend_subject(backend.backend_id)))
        for backend in rig.backends
    ]
    return sum(each.orphan_bytes for each in totals if each is not None)


def attempts(rig: ObjectRig) -> list[int]:
    """Tries so far of every queued row, claimed for a look and put back."""
    items = rig.store.write(partial(cleanup.claim_due, process_id=uuid7(), count_max=1000, ignore_grace=True))
    rig.store.write(lambda tx: cleanup.put_off(tx, items, pause_s=0))
    return sorted(item.attempts for item in items)


def assert_all_gone(rig: ObjectRig) -> None:
    assert [memory.storage_keys() for memory in rig.memories] == [[] for _ in rig.memories]
    assert (depth(rig).queued_count, depth(rig).dead_count, orphan_bytes(rig)) == (0, 0, 0)
    assert rig.fsck().is_clean


def test_pieces_are_deleted_when_their_grace_is_over_and_not_before(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1, memory_count=1)
    rig.put("stays", payload_of(9000))
    kept = [memory.storage_keys() for memory in rig.memories]
    discard(rig, 6)

    pass_time(rig, GRACE_US / 1_000_000 - 60)
    assert run(sweeper(rig)) == Progress()
    assert depth(rig).queued_count == 6
    pass_time(rig, 61)
    progress = run(sweeper(rig))

    assert progress == Progress(done_count=6)
    assert [memory.storage_keys() for memory in rig.memories] == kept
    assert (depth(rig).queued_count, orphan_bytes(rig)) == (0, 0)
    assert rig.get("stays") == payload_of(9000)
    assert rig.fsck().is_clean


def test_grace_can_be_ignored(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1, memory_count=1)
    discard(rig, 6)

    assert run(sweeper(rig, ignore_grace=True)).done_count == 6
    assert_all_gone(rig)


def test_a_pass_that_ignores_grace_tries_a_failing_key_once(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=1)
    discard(rig, 5)
    rig.memories[0].faults.add(Call.DELETE, Fault.UNAVAILABLE, count=50)

    progress = run(sweeper(rig, ignore_grace=True, batch_count_max=2))

    assert progress.done_count == 0
    assert attempts(rig) == [0, 0, 0, 0, 1]


def test_a_batch_is_bounded(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    discard(rig, 7)
    rig.clock.pass_grace()
    unit = sweeper(rig, batch_count_max=3)

    steps = [unit.work() for _ in range(3)]

    assert [step.done_count for step in steps] == [3, 3, 1]
    assert [step.has_more for step in steps] == [True, True, False]


def test_a_down_backend_does_not_stop_the_rest(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=2)
    discard(rig, 12)
    down, up = rig.memories
    on_down = len(down.storage_keys())
    assert on_down > 1
    rig.clock.pass_grace()
    down.faults.add(Call.DELETE, Fault.UNAVAILABLE)

    progress = run(sweeper(rig, batch_count_max=4))

    assert up.storage_keys() == []
    assert progress == Progress(done_count=12 - on_down, deferred_count=on_down)
    # Only the key that was tried has a try less: a backend that is down for long fills no dead letters.
    assert attempts(rig) == [0] * (on_down - 1) + [1]
    pass_time(rig, PUT_OFF_S + 1)
    assert run(sweeper(rig)).done_count == on_down
    assert_all_gone(rig)


@pytest.mark.parametrize("fault", [Fault.TIMEOUT_DONE, Fault.TIMEOUT_LOST])
def test_a_deletion_of_unknown_outcome_is_repeated(make_rig: MakeRig, fault: Fault) -> None:
    rig = make_rig(volume_count=0, memory_count=1)
    discard(rig, 1)
    rig.clock.pass_grace()
    rig.memories[0].faults.add(Call.DELETE, fault)

    assert run(sweeper(rig)).deferred_count == 1
    pass_time(rig, PUT_OFF_S + 1)
    assert run(sweeper(rig)).done_count == 1

    assert_all_gone(rig)


def test_the_tenth_failure_buries_a_key_and_keeps_its_bytes_counted(
    make_rig: MakeRig, caplog: pytest.LogCaptureFixture
) -> None:
    rig = make_rig(volume_count=0, memory_count=1)
    discard(rig, 1)
    held = orphan_bytes(rig)
    rig.clock.pass_grace()
    rig.memories[0].faults.add(Call.DELETE, Fault.UNAVAILABLE, count=ATTEMPT_COUNT_MAX)

    for number in range(ATTEMPT_COUNT_MAX):
        assert depth(rig).dead_count == 0, number
        assert run(sweeper(rig)).deferred_count == 1
        pass_time(rig, DAY_S + 1)

    assert (depth(rig).queued_count, depth(rig).dead_count) == (0, 1)
    assert orphan_bytes(rig) == held > 0
    assert [r.levelno for r in caplog.records if r.getMessage() == "cleanup.buried"] == [logging.ERROR]
    assert rig.fsck().is_clean
    (dead,) = rig.store.read(lambda tx: cleanup.list_dead(tx, after=0, count_max=10))
    rig.store.write(lambda tx: cleanup.requeue(tx, dead.cleanup_id))
    assert run(sweeper(rig)).done_count == 1
    assert_all_gone(rig)


def test_nothing_counts_as_deleted_on_a_disk_that_is_not_mounted(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    discard(rig, 3)
    rig.clock.pass_grace()
    mounted = rig.volumes[0].path
    away = mounted.with_name("away")
    mounted.rename(away)
    mounted.mkdir()

    progress = run(sweeper(rig))

    assert progress == Progress(deferred_count=3)
    assert depth(rig).queued_count == 3
    mounted.rmdir()
    away.rename(mounted)
    pass_time(rig, PUT_OFF_S + 1)
    assert run(sweeper(rig)).done_count == 3
    assert_all_gone(rig)


def test_keys_of_a_backend_that_is_not_configured_wait(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1, memory_count=1)
    discard(rig, 6)
    on_memory = len(rig.memories[0].storage_keys())
    rig.clock.pass_grace()

    progress = run(sweeper(rig, backends=type(rig.backends)(rig.volumes)))

    assert progress == Progress(done_count=6 - on_memory, deferred_count=on_memory)
    assert depth(rig).queued_count == on_memory > 0


def test_claims_of_a_dead_process_are_taken_up_when_they_are_stale(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1, memory_count=1)
    discard(rig, 4)
    rig.clock.pass_grace()
    rig.store.write(partial(cleanup.claim_due, process_id=uuid7(), count_max=100))

    assert run(sweeper(rig)) == Progress()
    pass_time(rig, CLAIM_STALE_S + 1)
    assert run(sweeper(rig)).done_count == 4

    assert_all_gone(rig)


def test_claims_under_a_lease_are_taken_up_as_soon_as_somebody_else_leads(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1, memory_count=1)
    discard(rig, 4)
    rig.clock.pass_grace()
    first = lead(rig.store, "cleanup")
    dying = WatchedBackends(rig.backends, die_at(3))
    with pytest.raises(Killed):
        run(sweeper(rig, backends=dying, fence=fence_of(first), lease=first))

    second = take_over(rig.store, "cleanup", rig.clock)
    progress = run(sweeper(rig, fence=fence_of(second), lease=second))

    assert progress.done_count == 4
    assert_all_gone(rig)


def test_a_run_that_begins_anew_under_its_lease_finishes_what_an_interruption_left(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1, memory_count=1)
    discard(rig, 4)
    rig.clock.pass_grace()
    lease = lead(rig.store, "cleanup")
    with pytest.raises(OutcomeUnknown):
        run(sweeper(rig, store=InterruptedStore(rig.store, at=1, is_committed=True), lease=lease))

    assert run(sweeper(rig, lease=lease)).done_count == 4
    assert_all_gone(rig)


@pytest.mark.parametrize("is_committed", [False, True])
@pytest.mark.parametrize("at", range(1, 9))
def test_an_interruption_at_any_write_is_made_up_for(make_rig: MakeRig, at: int, is_committed: bool) -> None:
    rig = make_rig(volume_count=1, memory_count=1)
    discard(rig, 8)
    rig.clock.pass_grace()
    store = InterruptedStore(rig.store, at=at, is_committed=is_committed)

    # Four batches of two are claimed and settled in eight writes.
    with pytest.raises((DatabaseUnavailable, OutcomeUnknown)):
        run(sweeper(rig, store=store, batch_count_max=2))

    assert rig.fsck().is_clean
    pass_time(rig, CLAIM_STALE_S + 1)
    run(sweeper(rig))
    assert_all_gone(rig)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_death_at_any_deletion_is_made_up_for(make_rig: MakeRig, number: int) -> None:
    rig = make_rig(volume_count=1, memory_count=1)
    discard(rig, 4)
    rig.clock.pass_grace()

    with pytest.raises(Killed):
        run(sweeper(rig, backends=WatchedBackends(rig.backends, die_at(number)), batch_count_max=3))

    assert rig.fsck().is_clean
    pass_time(rig, CLAIM_STALE_S + 1)
    run(sweeper(rig))
    assert_all_gone(rig)


def test_a_lease_lost_between_claiming_and_settling_settles_nothing(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1, memory_count=1)
    discard(rig, 4)
    rig.clock.pass_grace()
    first = lead(rig.store, "cleanup")
    second: list[Lease] = []

    def lose(storage_key: str) -> None:
        if not second:
            second.append(take_over(rig.store, "cleanup", rig.clock))

    unit = sweeper(rig, backends=WatchedBackends(rig.backends, lose), fence=fence_of(first))
    with pytest.raises(LeaseLost):
        unit.work()

    assert depth(rig).queued_count == 4
    with pytest.raises(LeaseLost):
        unit.work()
    pass_time(rig, CLAIM_STALE_S + 1)
    third = lead(rig.store, "cleanup")
    assert run(sweeper(rig, fence=fence_of(third))).done_count == 4
    assert_all_gone(rig)


class SteppedClock(TestClock):
    """Monotonic time that only a test moves."""

    def __init__(self) -> None:
        super().__init__()
        self.stood_s = 0.0

    def monotonic_s(self) -> float:
        return self.stood_s


def test_a_slow_backend_ends_a_unit_within_its_lease(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    discard(rig, 5)
    rig.clock.pass_grace()
    clock = SteppedClock()

    def be_slow(storage_key: str) -> None:
        clock.stood_s += UNIT_S_MAX * 0.6

    unit = sweeper(rig, backends=WatchedBackends(rig.backends, be_slow), clock=clock)
    steps = [unit.work() for _ in range(3)]

    assert [(step.done_count, step.deferred_count) for step in steps] == [(2, 0), (2, 0), (1, 0)]
    assert [step.has_more for step in steps] == [True, True, False]
    assert_all_gone(rig)


def test_a_record_that_is_not_ours_is_left_alone_and_told(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    discard(rig, 3)
    rig.clock.pass_grace()
    (path,) = rig.volumes[0].path.glob("*.volume")
    found: list[str] = []

    def spoil_first(storage_key: str) -> None:
        if not found:
            found.append(storage_key)
            with open(path, "r+b") as file:
                file.seek(read_storage_key(storage_key)[1])
                file.write(bytes(16))

    progress = run(sweeper(rig, backends=WatchedBackends(rig.backends, spoil_first)))

    # The others on that backend are deleted all the same: it is the record that is wrong, not the disk.
    assert progress == Progress(done_count=2, deferred_count=1)
    assert attempts(rig) == [1]
