"""Fsck as long work says what fsck says, whoever goes on with it after whichever step."""

from functools import partial

import pytest

from engine.metadata import quota
from engine.records import Copies
from engine.units import KIB
from engine.upkeep.fsck import Fsck
from engine.upkeep.fsck_cards import RingCards
from engine.upkeep.fsck_work import STEP_S, TOLD_COUNT_MAX, FsckWork
from engine.upkeep.long_work import Step
from tests.integration.engine.upkeep.conftest import MakeRig
from tests.support.metadata import run_sql
from tests.support.objects import ObjectRig
from tests.support.pieces import payload_of


def make_work(rig: ObjectRig, *, step_s: float = STEP_S) -> FsckWork:
    fsck = Fsck(rig.store, list(rig.backends), volumes=rig.volumes, cards=RingCards(rig.ring))
    return FsckWork(fsck, step_s=step_s)


def steps_of(rig: ObjectRig, *, step_s: float, heir_every: int | None) -> list[Step]:
    """All steps; after every so many somebody else goes on who knows the cursor alone."""
    work, cursor, steps = make_work(rig, step_s=step_s), None, list[Step]()
    while not steps or not steps[-1].is_last:
        steps.append(work.step(cursor))
        cursor = steps[-1].cursor
        if heir_every is not None and len(steps) % heir_every == 0:
            work = make_work(rig, step_s=step_s)
    return steps


def damage(rig: ObjectRig) -> None:
    """Something of each kind: in files, beside them, in rows, on a store that cannot be listed, in accounts."""
    near, *_ = rig.volumes
    for number in range(0, 40, 7):
        for location in rig.find(f"key-{number}").slices[0].locations:
            if location.backend_id == near.backend_id:
                rig.damage(location.storage_key, 500)
    for volume in rig.volumes:
        volume.close_volumes()
    files = sorted(near.path.glob("*.volume"))
    assert len(files) > 3
    files[1].unlink()
    files[0].with_name("0" * 32 + ".volume").write_bytes(files[0].read_bytes())
    (far,) = rig.memories
    keys = sorted(far.storage_keys())
    far.flip_bit(keys[1], 500)
    far.delete(keys[-2], 1)
    # Rows that name a place at which no record begins, in a file that stands; and one in no file at all.
    run_sql(
        rig.store,
        "UPDATE object_locations SET storage_key = substr(storage_key, 1, 33) || 'ffff' || substr(storage_key, 38)"
        " WHERE storage_key IN (SELECT storage_key FROM object_locations WHERE storage_key LIKE :prefix"
        " ORDER BY storage_key LIMIT 2)",
        {"prefix": f"{files[2].stem}:%"},
    )
    subject = quota.backend_subject(near.backend_id)
    rig.store.write(partial(quota.take, subject=subject, size_bytes=7))


@pytest.mark.parametrize("heir_every", [None, 1, 3])
@pytest.mark.parametrize("step_s", [STEP_S, 0.0])
def test_it_finds_and_counts_what_fsck_does(make_rig: MakeRig, step_s: float, heir_every: int | None) -> None:
    rig = make_rig(volume_count=2, memory_count=1, scheme=Copies(count=2), volume_size_max_bytes=60 * KIB)
    for number in range(40):
        rig.put(f"key-{number}", payload_of(6000 + number, seed=number))
    damage(rig)
    report = rig.fsck()
    assert {each.problem.name for each in report.findings} >= {
        "BLOCK_DAMAGED",
        "COUNTER",
        "FILE_WITHOUT_ROW",
        "RECORD_MISSING",
        "ROW_WITHOUT_FILE",
    }

    steps = steps_of(rig, step_s=step_s, heir_every=heir_every)

    result = steps[-1].result
    assert result is not None
    assert result["counts"] == report.counts
    assert result["finding_count"] == report.finding_count
    assert result["findings"] == [
        {"problem": each.problem.name, "subject": each.subject, "detail": each.detail}
        for each in report.findings
    ]
    # What the operation adds up over its steps is no more than there was to do.
    assert sum(step.moved_bytes for step in steps) == report.counts["verified_bytes"]
    seen_count = report.counts["blob_count"] + report.counts["location_count"]
    assert sum(step.item_count for step in steps) == seen_count
    warned = [warning.split(":")[0] for step in steps for warning in step.warnings]
    assert warned == [each.problem.name for each in report.findings]


def test_a_cursor_stays_small_however_much_is_wrong(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    for number in range(TOLD_COUNT_MAX + 20):
        rig.put(f"key-{number}", payload_of(100, seed=number))
    run_sql(rig.store, "UPDATE object_locations SET storage_key = 'nowhere-' || storage_key")

    steps = steps_of(rig, step_s=0.0, heir_every=2)

    result = steps[-1].result
    assert result is not None
    assert isinstance(result["finding_count"], int)
    assert result["finding_count"] >= TOLD_COUNT_MAX + 20
    assert sum(len(step.warnings) for step in steps) == TOLD_COUNT_MAX
    assert max(len(step.cursor) for step in steps) < 64 * KIB
