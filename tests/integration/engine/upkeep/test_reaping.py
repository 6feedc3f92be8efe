"""The reaper frees what nothing points at any more, in bounded steps, and never what something points at."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from engine.errors import DatabaseUnavailable, LeaseLost, NoSuchKey, OutcomeUnknown
from engine.metadata import cleanup, reaper
from engine.metadata.store import Store, Tx
from engine.objects.copy import CopyOrder
from engine.objects.multipart import UploadOrder
from engine.records import ObjectHeaders, Progress, StoredVersion
from engine.units import MIB
from engine.upkeep import reaping
from engine.upkeep.reaping import STEP_ROW_COUNT_MAX, WORK_S_MAX, Reaper
from tests.conformance.metadata.watched import RecordingTx
from tests.integration.engine.upkeep.conftest import MakeRig
from tests.support.bodies import BytesBody
from tests.support.deployments import TestClock, no_fence
from tests.support.interruptions import InterruptedStore, fence_of, lead, take_over
from tests.support.metadata import run_sql
from tests.support.objects import BUCKET, GRACE_US, ObjectRig, key_of
from tests.support.pieces import payload_of

SLICE_BYTES = 64
T = TypeVar("T")


def make_reaper(rig: ObjectRig, **options: Any) -> Reaper:
    given = {"store": rig.store, "fence": no_fence, "grace_us": GRACE_US, "clock": rig.clock, **options}
    return Reaper(given.pop("store"), **given)


def run(unit: Reaper) -> Progress:
    """One run, as a runner does it."""
    done = deferred = 0
    for _ in range(1000):
        progress = unit.work()
        done += progress.done_count
        deferred += progress.deferred_count
        if not progress.has_more:
            return Progress(done_count=done, deferred_count=deferred)
    raise AssertionError("the reaper never ends")


def copy(rig: ObjectRig, source: StoredVersion, key: str) -> None:
    rig.objects.copier.copy(
        CopyOrder(source=source, bucket=BUCKET, key=key_of(key), account_id=rig.account_id)
    )


def waiting(rig: ObjectRig) -> tuple[int, int]:
    return rig.store.read(reaper.waiting)


def queued(rig: ObjectRig) -> int:
    return rig.store.read(cleanup.depth).queued_count


def segmented(make_rig: MakeRig, count: int) -> tuple[ObjectRig, bytes]:
    """An object `k` of that many segments."""
    rig = make_rig(volume_count=1, chunk_bytes=SLICE_BYTES, inline_buffer_bytes=MIB)
    data = payload_of(SLICE_BYTES * count)
    rig.put("k", data)
    return rig, data


def test_what_was_overwritten_deleted_and_aborted_is_freed(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1, memory_count=1)
    rig.put("k", payload_of(5000, seed=1))
    rig.put("k", payload_of(5000, seed=2))
    rig.put("gone", payload_of(5000, seed=3))
    rig.delete("gone")
    upload_id = rig.objects.multipart.create(
        UploadOrder(bucket=BUCKET, key=key_of("parts"), account_id=rig.account_id, headers=ObjectHeaders())
    )
    for seed in (4, 5):
        # The second one takes the place of the first.
        rig.objects.multipart.put_part(
            upload_id, BUCKET, key_of("parts"), 1, BytesBody(payload_of(5000, seed=seed))
        )
    rig.objects.multipart.abort(upload_id, BUCKET, key_of("parts"))

    assert run(make_reaper(rig)).done_count == 4

    assert waiting(rig) == (0, 0)
    assert queued(rig) == 4
    assert rig.get("k") == payload_of(5000, seed=2)
    assert rig.fsck().is_clean


class RecordingStore(InterruptedStore):
    """Remembers the statements of its last write."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, at=0, is_committed=False)
        self.names: list[str] = []

    def write(self, unit: Callable[[Tx], T], /, **options: Any) -> T:
        def recorded(tx: Tx) -> T:
            recording = RecordingTx(tx)
            result = unit(recording)
            self.names = recording.names()
            return result

        return super().write(recorded, **options)


def test_accounts_are_changed_once_and_last_however_many_steps_there_are(
    make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy machine must not cut the unit short.
    monkeypatch.setattr(reaping, "WORK_S_MAX", 60.0)
    rig = make_rig(volume_count=1)
    for number in range(6):
        rig.put(f"{number}", payload_of(5000, seed=number))
        rig.delete(f"{number}")
    store = RecordingStore(rig.store)

    assert make_reaper(rig, store=store).work().done_count == 6

    # Stripes of a second step would be locked out of order, and writers wait for each other in a circle.
    accounts = [index for index, name in enumerate(store.names) if name.endswith("_quota")]
    assert accounts == [len(store.names) - 1]


def test_a_version_of_many_segments_is_walked_in_steps(make_rig: MakeRig) -> None:
    rig, _ = segmented(make_rig, 1200)
    rig.delete("k")
    unit = make_reaper(rig, row_count_max=1)

    steps = []
    for expected in (500, 1000, 1200):
        steps.append(unit.work())
        assert queued(rig) == expected
        assert rig.fsck().is_clean

    assert [step.done_count for step in steps] == [500, 500, 200]
    assert unit.work() == Progress()
    assert waiting(rig) == (0, 0)


def test_blobs_that_a_copy_shares_survive_their_first_owner(make_rig: MakeRig) -> None:
    rig, data = segmented(make_rig, 40)
    copy(rig, rig.find("k"), "copy")
    rig.delete("k")

    assert run(make_reaper(rig)).done_count == 0

    assert rig.get("copy") == data
    assert queued(rig) == 0
    assert rig.fsck().is_clean
    rig.delete("copy")
    assert run(make_reaper(rig)).done_count == 40
    assert rig.fsck().is_clean


@pytest.mark.parametrize("step_count", range(4))
def test_a_copy_that_joins_while_the_reaper_walks_is_whole_or_refused(
    make_rig: MakeRig, step_count: int
) -> None:
    rig, data = segmented(make_rig, 1200)
    source = rig.find("k")
    rig.delete("k")
    unit = make_reaper(rig, row_count_max=1)
    for _ in range(step_count):
        unit.work()

    joined = True
    try:
        copy(rig, source, "copy")
    except NoSuchKey:
        joined = False
    run(make_reaper(rig))

    assert joined == (step_count == 0)
    assert rig.keys() == (["copy"] if joined else [])
    if joined:
        assert rig.get("copy") == data
    assert queued(rig) == (0 if joined else 1200)
    assert rig.fsck().is_clean


def test_the_reaper_stops_with_an_alarm_at_a_version_that_a_lock_holds(
    make_rig: MakeRig, caplog: pytest.LogCaptureFixture
) -> None:
    rig = make_rig(volume_count=1)
    rig.put("held", payload_of(5000, seed=1))
    held = rig.find("held")
    rig.put("free", payload_of(5000, seed=2))
    rig.delete("held")
    rig.delete("free")
    run_sql(
        rig.store,
        "UPDATE object_versions SET legal_hold = TRUE WHERE version_seq = :seq",
        {"seq": held.version.version_seq},
    )

    progress = run(make_reaper(rig))

    assert progress == Progress(done_count=1, deferred_count=1)
    (alarm,) = [record for record in caplog.records if record.getMessage() == "reaper.stopped"]
    assert alarm.levelno == logging.CRITICAL
    assert f"version {held.version.version_seq}: a lock still holds" in vars(alarm).values()
    assert waiting(rig) == (0, 1)
    assert queued(rig) == 1
    assert rig.read(held) == payload_of(5000, seed=1)
    assert rig.fsck().is_clean

    run_sql(rig.store, "UPDATE object_versions SET legal_hold = FALSE")
    assert run(make_reaper(rig)) == Progress(done_count=1)
    assert waiting(rig) == (0, 0)
    rig.clean_up()
    assert rig.fsck().is_clean


@pytest.mark.parametrize("is_committed", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_an_interruption_at_any_write_is_made_up_for(make_rig: MakeRig, at: int, is_committed: bool) -> None:
    rig = make_rig(volume_count=1, memory_count=1)
    for number in range(3):
        rig.put(f"k{number}", payload_of(100, seed=number))
        rig.delete(f"k{number}")
    store = InterruptedStore(rig.store, at=at, is_committed=is_committed)

    with pytest.raises((DatabaseUnavailable, OutcomeUnknown)):
        run(make_reaper(rig, store=store, row_count_max=1))
    assert rig.fsck().is_clean

    run(make_reaper(rig))
    assert waiting(rig) == (0, 0)
    assert queued(rig) == 3
    assert rig.fsck().is_clean


def test_a_reaper_that_lost_its_lease_frees_nothing(make_rig: MakeRig) -> None:
    rig, _ = segmented(make_rig, 1200)
    rig.delete("k")
    first = make_reaper(rig, fence=fence_of(lead(rig.store, "reaper")), row_count_max=1)
    first.work()
    second = take_over(rig.store, "reaper", rig.clock)

    with pytest.raises(LeaseLost):
        first.work()

    assert queued(rig) == 500
    assert run(make_reaper(rig, fence=fence_of(second))).done_count == 700
    assert rig.fsck().is_clean


class HurriedClock(TestClock):
    """Monotonic time of which every look takes more than a unit may."""

    def __init__(self) -> None:
        super().__init__()
        self.looked_s = 0.0

    def monotonic_s(self) -> float:
        self.looked_s += WORK_S_MAX * 1.1
        return self.looked_s


def test_a_transaction_ends_after_the_step_that_used_up_its_time(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    for number in range(2 * STEP_ROW_COUNT_MAX + 5):
        rig.put(f"k{number}", payload_of(100, seed=number))
        rig.delete(f"k{number}")
    unit = make_reaper(rig, clock=HurriedClock())

    steps = [unit.work() for _ in range(4)]

    assert [step.done_count for step in steps] == [STEP_ROW_COUNT_MAX, STEP_ROW_COUNT_MAX, 5, 0]
    assert [step.has_more for step in steps] == [True, True, True, False]


class StoppedClock(TestClock):
    """Monotonic time that does not pass."""

    def monotonic_s(self) -> float:
        return 1.0


def test_parts_and_uploads_among_versions_take_no_more_transactions(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    for number in range(12):
        rig.put(f"k{number}", payload_of(100, seed=number))
        rig.delete(f"k{number}")
        upload_id = rig.objects.multipart.create(
            UploadOrder(
                bucket=BUCKET, key=key_of("parts"), account_id=rig.account_id, headers=ObjectHeaders()
            )
        )
        rig.objects.multipart.abort(upload_id, BUCKET, key_of("parts"))

    step = make_reaper(rig, clock=StoppedClock()).work()

    assert (step.done_count, step.has_more) == (12, False)
