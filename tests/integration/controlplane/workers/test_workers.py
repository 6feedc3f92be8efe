"""All workers of a process start with its settings, run when asked, take other settings, and stop together."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from controlplane.operations.pace import Budgets
from controlplane.workers.roster import WorkerParts, make_roster
from controlplane.workers.workers import Workers
from engine.metadata import workers as rows
from engine.metadata.operations import OperationState
from engine.settings.running import MovingWorkerSettings, WorkerSettings, WorkersSettings
from engine.units import DAY_S
from engine.upkeep.away import HealPolicy
from engine.upkeep.scrubbing import Agenda
from tests.integration.controlplane.workers.asking import ask, look, operation
from tests.integration.controlplane.workers.conftest import MakeRig
from tests.support.objects import ObjectRig
from tests.support.pieces import payload_of

WAIT_S = 30.0
POLL_S = 0.02
RESTING = WorkerSettings(interval=600.0)
MOVING = MovingWorkerSettings(interval=600.0)
SETTINGS = WorkersSettings(
    canary=RESTING,
    cleanup=RESTING,
    reaper=RESTING,
    intents=RESTING,
    multipart=RESTING,
    compaction=MOVING,
    replicator=MOVING,
    scrubber=MOVING,
    trimmer=MOVING,
    usage=RESTING,
)


def parts_of(rig: ObjectRig) -> WorkerParts:
    return WorkerParts(
        store=rig.store,
        backends=rig.backends,
        process_id=rig.process_id,
        clock=rig.clock,
        read_grace_s=0.0,
        intent_ttl_s=600.0,
        scrub_period_s=30.0 * DAY_S,
        healing=HealPolicy(heal_after_s=600.0, default_scheme=rig.shape.scheme),
        integrity=rig.integrity(),
        agenda=Agenda(),
        audit_seal=lambda covered: covered,
        audit_keep_s=None,
        targets={},
        region="us-east-1",
        limits={},
    )


@contextmanager
def running(rig: ObjectRig, settings: WorkersSettings = SETTINGS) -> Iterator[Workers]:
    made = Workers(lambda: parts_of(rig), settings, Budgets())
    made.start()
    try:
        yield made
    finally:
        assert made.stop(WAIT_S)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline_s, "it never came to hold"
        time.sleep(POLL_S)


def ended(rig: ObjectRig, worker: str) -> OperationState:
    """How a run that is asked for ends."""
    name = ask(rig.store, worker)
    wait_until(lambda: operation(rig.store, name).state.is_final)
    return operation(rig.store, name).state


def test_every_worker_runs_at_first_and_when_asked(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1, memory_count=1)
    with running(rig) as made:
        names = [job.name for job in made.jobs]
        wait_until(lambda: all(look(rig.store, name).last_success_us is not None for name in names))
        for number in range(4):
            rig.put(f"k{number}", payload_of(5000, seed=number))
            rig.delete(f"k{number}")

        assert ended(rig, "reaper") is OperationState.SUCCEEDED
        assert ended(rig, "cleanup") is OperationState.SUCCEEDED

    assert [memory.storage_keys() for memory in rig.memories] == [[]]
    assert [look(rig.store, name).consecutive_failure_count for name in names] == [0] * len(names)
    assert rig.fsck().is_clean


def test_settings_decide_who_runs_and_how_often(make_rig: MakeRig) -> None:
    rig = make_rig()
    own = {job.name: job.interval_s for job in make_roster(parts_of(rig))}
    settings = WorkersSettings(
        cleanup=WorkerSettings(enabled=False), reaper=RESTING, intents=RESTING, multipart=RESTING
    )

    with running(rig, settings):
        ask(rig.store, "cleanup")
        wait_until(lambda: look(rig.store, "reaper").last_success_us is not None)

    assert look(rig.store, "cleanup").last_started_us is None
    assert not look(rig.store, "cleanup").standing.is_enabled
    assert look(rig.store, "reaper").standing.interval_s == 600.0
    assert look(rig.store, "compaction").standing.interval_s == own["compaction"]


def test_other_settings_apply_while_it_runs(make_rig: MakeRig) -> None:
    rig = make_rig()
    off = WorkerSettings(enabled=False)
    with running(rig, SETTINGS.model_copy(update={"cleanup": off})) as made:
        name = ask(rig.store, "cleanup")

        made.apply(SETTINGS)

        wait_until(lambda: operation(rig.store, name).state is OperationState.SUCCEEDED)


def test_stopping_leaves_no_thread_and_no_lease(make_rig: MakeRig) -> None:
    rig = make_rig()
    before = threading.active_count()

    with running(rig):
        assert threading.active_count() > before

    assert threading.active_count() == before
    leaders = [row.leader for row in rig.store.read(rows.list_workers)]
    assert leaders == [None] * len(make_roster(parts_of(rig)))


def test_what_never_started_stops_at_once(make_rig: MakeRig) -> None:
    assert Workers(partial(parts_of, make_rig()), SETTINGS, Budgets()).stop(0.0)


def test_the_next_process_goes_on_where_a_stopped_one_was(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1, memory_count=1)
    with running(rig):
        pass
    rig.put("k", payload_of(5000))
    rig.delete("k")
    rig.restart()

    with running(rig):
        assert ended(rig, "reaper") is OperationState.SUCCEEDED
        assert ended(rig, "cleanup") is OperationState.SUCCEEDED

    assert [memory.storage_keys() for memory in rig.memories] == [[]]
    assert rig.fsck().is_clean
