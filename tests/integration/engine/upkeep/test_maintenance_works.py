"""Recounting and full compaction as long work: right while others write, and gone on with where they stopped."""

import os
from collections.abc import Callable
from functools import partial

import pytest

from engine.errors import LeaseLost
from engine.metadata import quota, volumes
from engine.metadata.store import Tx
from engine.records import Copies
from engine.units import KIB, MIB
from engine.upkeep.full_compaction import STEP_S, FullCompaction
from engine.upkeep.long_work import Fence, Pace, Step, Unpaced
from engine.upkeep.recounting import Recount
from tests.integration.engine.upkeep.conftest import MakeRig
from tests.integration.engine.upkeep.test_fsck import BusyStore
from tests.integration.engine.upkeep.test_reconciling import work_through
from tests.support.deployments import no_fence
from tests.support.metadata import run_sql
from tests.support.objects import GRACE_US, ObjectRig
from tests.support.pieces import payload_of

# --- recount ---


def falsify(rig: ObjectRig, used_bytes: int, orphan_bytes: int = 0, objects: int = 0) -> None:
    run_sql(
        rig.store,
        "UPDATE backend_quotas SET used_bytes = used_bytes + :used, orphan_bytes = orphan_bytes + :orphan,"
        " object_count = object_count + :objects WHERE stripe = 0",
        {"used": used_bytes, "orphan": orphan_bytes, "objects": objects},
    )


@pytest.mark.parametrize("error", [(-5000, 0, -1), (5000, 300, 2), (0, 700, 0), (-9000, -100, 0)])
def test_accounts_that_are_wrong_are_put_right_and_told(
    make_rig: MakeRig, error: tuple[int, int, int]
) -> None:
    rig = make_rig(volume_count=2, scheme=Copies(count=2), backend_quota_bytes=10 * MIB)
    for number in range(5):
        rig.put(f"key-{number}", payload_of(9000 + number))
    rig.delete("key-0")
    rig.reap()
    falsify(rig, *error)
    assert not rig.fsck().is_clean

    last = work_through(Recount(rig.store, fence=no_fence))[-1]

    assert last.result == {"corrected_count": 3}
    assert rig.fsck().is_clean
    for volume in rig.volumes:
        told = rig.store.read(partial(quota.read_quota, subject=quota.backend_subject(volume.backend_id)))
        assert told is not None
        assert told.limit_bytes == 10 * MIB
    assert work_through(Recount(rig.store, fence=no_fence))[-1].result == {"corrected_count": 0}


def test_an_account_that_was_counted_far_too_low_takes_nothing_above_its_limit(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1, backend_quota_bytes=100 * KIB)
    rig.put("key", payload_of(60 * KIB))
    falsify(rig, -60 * KIB)
    rig.clock.ahead_us += 2_000_000
    rig.put("more", payload_of(80 * KIB))

    work_through(Recount(rig.store, fence=no_fence))

    assert rig.fsck().is_clean
    rig.delete("more")
    rig.reap()
    rig.clean_up()
    assert rig.fsck().is_clean
    shares = run_sql(rig.store, "SELECT SUM(share_bytes) FROM backend_quotas WHERE subject LIKE 'backend:%'")
    assert shares == [(100 * KIB,)]


def put_more(rig: ObjectRig) -> None:
    rig.put("fresh", payload_of(4000))


def overwrite(rig: ObjectRig) -> None:
    rig.put("key-1", payload_of(100))
    rig.reap()


def delete(rig: ObjectRig) -> None:
    rig.delete("key-2")
    rig.reap()
    rig.clean_up()


@pytest.mark.parametrize("change", [put_more, overwrite, delete])
def test_what_is_written_meanwhile_is_not_counted_twice(
    make_rig: MakeRig, change: Callable[[ObjectRig], None]
) -> None:
    for after in range(1, 8):
        rig = make_rig(volume_count=1)
        for number in range(3):
            rig.put(f"key-{number}", payload_of(9000 + number))
        falsify(rig, 1234, 56, 1)
        store = BusyStore(rig.store, after, partial(change, rig))

        work_through(Recount(store, fence=no_fence))

        assert rig.fsck().is_clean, after


def test_a_bucket_that_is_deleted_meanwhile_takes_its_account_with_it(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    falsify(rig, 100)
    subjects = [subject for subject, _ in rig.store.read(quota.list_limits)]
    (bucket,) = (subject for subject in subjects if quota.is_bucket(subject))

    def remove_bucket() -> None:
        rig.store.write(partial(quota.forget_subject, subject=bucket))

    store = BusyStore(rig.store, 4, remove_bucket)
    assert work_through(Recount(store, fence=no_fence))[-1].is_last


# --- full compaction ---


def thinned(rig: ObjectRig) -> None:
    """Files in which a fifth is dead, closed, and rested."""
    for number in range(20):
        rig.put(f"key-{number}", payload_of(20 * KIB, seed=number))
    for volume in rig.volumes:
        volume.close_volumes()
    for number in range(0, 20, 5):
        rig.delete(f"key-{number}")
    rig.reap()
    rig.clean_up()
    rig.clock.ahead_us += 2 * GRACE_US


def compaction(
    rig: ObjectRig,
    *,
    fence: Fence = no_fence,
    pace: Pace | None = None,
    is_dry_run: bool = False,
    step_s: float = STEP_S,
) -> FullCompaction:
    return FullCompaction(
        rig.store,
        rig.volumes,
        fence=fence,
        pace=pace or Unpaced(),
        clock=rig.clock,
        grace_us=GRACE_US,
        is_dry_run=is_dry_run,
        step_s=step_s,
    )


def disk_bytes(rig: ObjectRig) -> int:
    return sum(path.stat().st_size for volume in rig.volumes for path in volume.path.glob("*.volume"))


def all_read_back(rig: ObjectRig) -> bool:
    return all(
        rig.get(f"key-{number}") == payload_of(20 * KIB, seed=number) for number in range(20) if number % 5
    )


def test_every_file_with_dead_bytes_is_given_up_and_the_space_comes_back(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2, volume_size_max_bytes=100 * KIB)
    thinned(rig)
    before = disk_bytes(rig)
    rows = [
        row
        for volume in rig.volumes
        for row in rig.store.read(partial(volumes.list_volumes, backend_id=volume.backend_id))
        if row.dead_bytes
    ]
    files = [path for row in rows for path in rig.folder.glob(f"*/{row.volume_id.hex()}.volume")]
    assert len(files) > 2

    steps = work_through(compaction(rig))

    result = steps[-1].result
    assert result is not None
    assert result["volume_count"] == len(files)
    rig.clock.ahead_us += 2 * GRACE_US
    rig.sweep()
    assert not any(path.exists() for path in files)
    assert disk_bytes(rig) < before
    assert all_read_back(rig)
    rig.clean_up()
    assert rig.fsck().is_clean


@pytest.mark.parametrize("is_resumed", [False, True])
def test_a_file_may_take_many_steps_and_whoever_goes_on_with_them_counts_the_same(
    make_rig: MakeRig, is_resumed: bool
) -> None:
    rig = make_rig(volume_count=1, volume_size_max_bytes=100 * KIB)
    thinned(rig)
    told = work_through(compaction(rig, is_dry_run=True))[-1].result
    whole = compaction(rig, step_s=0.0)

    steps: list[Step] = []
    cursor = None
    while not steps or not steps[-1].is_last:
        work = compaction(rig, step_s=0.0) if is_resumed else whole
        steps.append(work.step(cursor))
        cursor = steps[-1].cursor

    assert told is not None
    assert steps[-1].result == told
    assert len(steps) > 2 * sum(step.item_count for step in steps) > 0
    assert all_read_back(rig)
    rig.clean_up()
    assert rig.fsck().is_clean


def test_a_compaction_that_is_called_off_ends_within_the_file_and_the_worker_goes_on_with_that(
    make_rig: MakeRig,
) -> None:
    class Over(Unpaced):
        is_over = True

    rig = make_rig(volume_count=1, volume_size_max_bytes=100 * KIB)
    thinned(rig)
    work = compaction(rig, pace=Over())

    step = work.step(None)
    work.cancelled()

    assert (step.is_last, step.item_count, step.stage) == (False, 0, "compacting")
    rows = rig.store.read(partial(volumes.list_volumes, backend_id=rig.volumes[0].backend_id))
    assert [row.state.value for row in rows].count("compacting") == 1
    assert all_read_back(rig)
    rig.compact()
    rows = rig.store.read(partial(volumes.list_volumes, backend_id=rig.volumes[0].backend_id))
    assert "compacting" not in {row.state.value for row in rows}
    assert all_read_back(rig)


def test_a_hole_in_a_file_is_nothing_written_to_it(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    for number in range(4):
        rig.put(f"key-{number}", payload_of(300 * KIB, seed=number))
    rig.volumes[0].close_volumes()
    (path,) = rig.volumes[0].path.glob("*.volume")
    written = path.stat()
    os.utime(path, ns=(written.st_atime_ns, written.st_mtime_ns - 3_600_000_000_000))

    rig.delete("key-0")
    rig.reap()
    rig.clean_up()

    assert path.stat().st_blocks < written.st_blocks
    assert path.stat().st_mtime_ns == written.st_mtime_ns - 3_600_000_000_000


def test_a_dry_run_tells_how_much_there_is_and_moves_nothing(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1, volume_size_max_bytes=100 * KIB)
    thinned(rig)
    before = [rig.find(f"key-{number}") for number in range(20) if number % 5]

    result = work_through(compaction(rig, is_dry_run=True))[-1].result

    assert result is not None
    assert result["reclaimed_bytes"] != 0
    assert [rig.find(f"key-{number}") for number in range(20) if number % 5] == before


def test_files_that_are_written_to_are_skipped_and_told(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    for number in range(4):
        rig.put(f"key-{number}", payload_of(20 * KIB, seed=number))
    rig.delete("key-0")
    rig.reap()
    rig.clean_up()

    in_use = work_through(compaction(rig))
    rig.volumes[0].close_volumes()
    fresh = work_through(compaction(rig))

    for steps, why in ((in_use, "a process writes to it"), (fresh, "written to within the read grace")):
        assert steps[-1].result == {"skipped_count": 1}
        assert why in "".join(warning for step in steps for warning in step.warnings)
    assert all(rig.get(f"key-{n}") == payload_of(20 * KIB, seed=n) for n in range(1, 4))


def test_a_compaction_that_lost_its_lease_changes_nothing(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1, volume_size_max_bytes=100 * KIB)
    thinned(rig)

    def lost(tx: Tx) -> None:
        raise LeaseLost("operation")

    with pytest.raises(LeaseLost):
        work_through(compaction(rig, fence=lost))

    rows = rig.store.read(partial(volumes.list_volumes, backend_id=rig.volumes[0].backend_id))
    assert {row.state.value for row in rows} == {"closed"}
    assert all_read_back(rig)
