"""Every worker of the roster does its work under its lease, and together they give back all that nothing points at."""

import threading
from dataclasses import replace
from functools import partial

import pytest

from controlplane.workers.backlog import backlog
from controlplane.workers.ledger import StoredLedger
from controlplane.workers.roster import InTurn, WorkerParts, make_roster
from controlplane.workers.runner import Job, Runner, Unit
from engine.clock import uuid7
from engine.errors import DatabaseUnavailable, LeaseLost, OutcomeUnknown
from engine.metadata import outbox, repairs, workers
from engine.metadata.intents import LATE_WRITE_S
from engine.metadata.processes import beat
from engine.metadata.repairs import RepairKind
from engine.metadata.store import Store
from engine.metadata.volumes import list_volumes
from engine.notifications.rules import Destination, NotificationRule
from engine.objects.multipart import UploadOrder
from engine.records import ObjectHeaders, Progress
from engine.settings.running import WorkerSettings, WorkersSettings
from engine.units import DAY_S
from engine.upkeep.away import HealPolicy
from engine.upkeep.long_work import Unpaced
from engine.upkeep.scrubbing import Agenda
from tests.integration.controlplane.workers.conftest import MakeRig
from tests.support.bodies import BytesBody
from tests.support.interruptions import InterruptedStore, lead, take_over
from tests.support.objects import BUCKET, GRACE_US, ObjectRig, key_of
from tests.support.pieces import payload_of, tail_of

NAMES = (
    "canary",
    "cleanup",
    "compaction",
    "intents",
    "multipart",
    "notifier",
    "reaper",
    "replicator",
    "scrubber",
    "trimmer",
    "usage",
)
DATA = payload_of(60_000)


def parts_of(rig: ObjectRig, *, store: Store | None = None) -> WorkerParts:
    return WorkerParts(
        store=store or rig.store,
        backends=rig.backends,
        process_id=rig.process_id,
        clock=rig.clock,
        read_grace_s=GRACE_US / 1_000_000,
        intent_ttl_s=600.0,
        scrub_period_s=30.0 * DAY_S,
        healing=HealPolicy(heal_after_s=600.0, default_scheme=rig.shape.scheme),
        integrity=replace(rig.integrity(), store=store or rig.store),
        agenda=Agenda(),
        audit_seal=lambda covered: covered,
        audit_keep_s=None,
        targets={},
        region="us-east-1",
        limits={},
    )


def jobs_of(rig: ObjectRig, *, store: Store | None = None) -> dict[str, Job]:
    return {job.name: job for job in make_roster(parts_of(rig, store=store))}


def know_workers(rig: ObjectRig) -> None:
    for job in jobs_of(rig).values():
        rig.store.write(
            partial(workers.apply_worker, name=job.name, is_enabled=True, interval_s=job.interval_s)
        )


def run(rig: ObjectRig, worker: str, *, store: Store | None = None) -> Progress:
    """One run, asked for, as the worker's thread does it; only the worker's own writes go through `store`."""
    rig.store.write(partial(workers.trigger, name=worker))
    runner = Runner(jobs_of(rig, store=store)[worker], StoredLedger(rig.store, holder=uuid7()))
    progress = runner.run_if_due()
    assert progress is not None
    return progress


def work_to_the_end(unit: Unit) -> None:
    while unit.work().has_more:
        pass


def run_all(rig: ObjectRig) -> None:
    for name in ("intents", "multipart", "reaper", "cleanup", "compaction", "trimmer"):
        run(rig, name)


def pass_time(rig: ObjectRig, seconds: float) -> None:
    """The process that lives gives a sign of life after it."""
    rig.clock.ahead_us += int(seconds * 1_000_000)
    rig.store.write(partial(beat, process_id=rig.process_id, generation=None))


def leave_work(rig: ObjectRig) -> None:
    """Something for every worker: overwritten, deleted, aborted, announced by the dead, and mostly dead files."""
    know_workers(rig)
    multipart = rig.objects.multipart
    upload_id = multipart.create(
        UploadOrder(bucket=BUCKET, key=key_of("p"), account_id=rig.account_id, headers=ObjectHeaders())
    )
    multipart.put_part(upload_id, BUCKET, key_of("p"), 1, BytesBody(DATA))
    multipart.abort(upload_id, BUCKET, key_of("p"))
    for number in range(6):
        rig.put(f"gone-{number}", DATA)
    rig.put("stays", DATA)
    for number in range(6):
        rig.delete(f"gone-{number}")
    memory = rig.memories[0]
    intent = rig.objects.holder.take(memory)
    assert intent is not None
    memory.store(memoryview(DATA), tail_of(DATA), storage_key=intent.storage_key)
    (stays,) = rig.find("stays").slices
    rig.store.write(
        partial(repairs.ask_repair, kind=RepairKind.TRIM, blob_id=stays.blob.blob_id, reason="asked")
    )
    # Nobody configured that target: the event waits for it, whatever else is done.
    rule = NotificationRule(rule_id="r", destination=Destination.TOPIC, target="hook", events=())
    rig.store.write(partial(outbox.tell_test, rules=[rule], bucket=BUCKET))
    for volume in rig.volumes:
        volume.close_volumes()
    rig.crash()


def assert_tidy(rig: ObjectRig) -> None:
    """Only what `stays` needs is left."""
    assert rig.get("stays") == DATA
    stays = {each.storage_key for each in rig.find("stays").slices[0].locations}
    left = {key for memory in rig.memories for key in memory.storage_keys()}
    assert left <= stays
    assert {name: backlog(rig.store, name) for name in NAMES} == {
        "canary": 0,
        "cleanup": 0,
        "compaction": 0,
        "intents": 0,
        "multipart": None,
        "notifier": 1,
        "reaper": 0,
        "replicator": 0,
        "scrubber": 0,
        "trimmer": 0,
        "usage": None,
    }
    on_disk = sum(len(list(volume.path.glob("*.volume"))) for volume in rig.volumes)
    rows = sum(
        len(rig.store.read(partial(list_volumes, backend_id=volume.backend_id))) for volume in rig.volumes
    )
    assert on_disk == rows <= len(stays)
    assert rig.fsck().is_clean


def finish(rig: ObjectRig) -> None:
    """Rounds as the hours go by, until everything's time has come."""
    for seconds in (60, GRACE_US / 1_000_000 + 1, LATE_WRITE_S + 1, DAY_S + 1, GRACE_US / 1_000_000 + 1):
        run_all(rig)
        pass_time(rig, seconds)
    run_all(rig)


def test_the_roster_is_what_the_settings_name(make_rig: MakeRig) -> None:
    settings = WorkersSettings()
    built = {
        name for name in type(settings).model_fields if isinstance(getattr(settings, name), WorkerSettings)
    }

    roster = make_roster(parts_of(make_rig()))

    assert {job.name for job in roster} == built == set(NAMES)
    assert all(job.description.endswith(".") and job.interval_s > 0 for job in roster)


def test_together_they_give_back_all_that_nothing_points_at(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2, memory_count=1)
    leave_work(rig)

    finish(rig)

    assert_tidy(rig)


def test_compaction_empties_files_and_sweeps_them_in_one_worker(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    know_workers(rig)
    for number in range(4):
        rig.put(f"gone-{number}", DATA)
    rig.put("stays", DATA)
    rig.volumes[0].close_volumes()
    (old,) = rig.volumes[0].path.glob("*.volume")
    for number in range(4):
        rig.delete(f"gone-{number}")
    run(rig, "reaper")
    pass_time(rig, GRACE_US / 1_000_000 + 1)
    run(rig, "cleanup")

    run(rig, "compaction")
    assert old.exists()
    assert backlog(rig.store, "compaction") == 1
    pass_time(rig, GRACE_US / 1_000_000 + 1)
    assert run(rig, "compaction").done_count == 1

    assert not old.exists()
    assert backlog(rig.store, "compaction") == 0
    assert rig.get("stays") == DATA
    run(rig, "cleanup")
    assert rig.fsck().is_clean


@pytest.mark.parametrize("is_committed", [False, True])
@pytest.mark.parametrize("worker", NAMES)
def test_a_worker_interrupted_at_any_write_leaves_work_that_ends_the_same(
    make_rig: MakeRig, worker: str, is_committed: bool
) -> None:
    for at in range(1, 20):
        rig = make_rig(volume_count=1, memory_count=1)
        leave_work(rig)
        # The worker's own work is due, as far as the others have gone by then.
        for seconds in (60, DAY_S + 1):
            pass_time(rig, seconds)
            for name in ("intents", "reaper", "cleanup", "compaction"):
                if name != worker:
                    run(rig, name)
        store = InterruptedStore(rig.store, at=at, is_committed=is_committed)

        try:
            run(rig, worker, store=store)
        except (DatabaseUnavailable, OutcomeUnknown):
            pass
        else:
            assert 0 < store.write_count < at
            return
        assert rig.fsck().is_clean, at
        finish(rig)
        assert_tidy(rig)
    raise AssertionError("a run has fewer writes than this")


@pytest.mark.parametrize("worker", NAMES)
def test_a_worker_whose_lease_is_somebody_elses_writes_nothing(make_rig: MakeRig, worker: str) -> None:
    rig = make_rig(volume_count=1, memory_count=1)
    leave_work(rig)
    pass_time(rig, DAY_S + 1)
    if worker == "compaction":
        for name in ("reaper", "cleanup"):
            run(rig, name)
            pass_time(rig, GRACE_US / 1_000_000 + 1)
    unit = jobs_of(rig)[worker].build(lead(rig.store, worker), Unpaced())
    take_over(rig.store, worker, rig.clock)
    waits = {name: backlog(rig.store, name) for name in NAMES}

    with pytest.raises(LeaseLost):
        work_to_the_end(unit)

    assert {name: backlog(rig.store, name) for name in NAMES} == waits
    assert rig.fsck().is_clean


def test_backlogs_tell_what_waits(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1, memory_count=1)
    leave_work(rig)

    assert backlog(rig.store, "reaper") == 7
    assert backlog(rig.store, "cleanup") == 0
    assert (backlog(rig.store, "intents") or 0) > 0
    assert backlog(rig.store, "compaction") == 0
    run(rig, "reaper")
    assert backlog(rig.store, "reaper") == 0
    assert backlog(rig.store, "cleanup") == 7
    assert backlog(rig.store, "juggler") is None


class Countdown:
    """A unit that has so many steps and says who did them."""

    def __init__(self, name: str, count: int, told: list[str]) -> None:
        self._name = name
        self._count = count
        self._told = told

    def work(self) -> Progress:
        self._told.append(self._name)
        self._count -= 1
        return Progress(done_count=1, has_more=self._count > 0)


def test_units_in_turn_each_run_to_their_end() -> None:
    told: list[str] = []
    unit = InTurn([Countdown("a", 2, told), Countdown("b", 1, told), Countdown("c", 2, told)])

    steps = [unit.work() for _ in range(5)]

    assert told == ["a", "a", "b", "c", "c"]
    assert [step.has_more for step in steps] == [True, True, True, True, False]


def test_a_round_leaves_no_thread_behind(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1, memory_count=1)
    leave_work(rig)
    before = threading.active_count()

    run_all(rig)

    assert threading.active_count() == before
