"""Removing a remote backend waits for what is still to be deleted there, tells of it, and goes on by itself."""

from collections.abc import Iterator

from engine.backends.memory import Call, Fault
from engine.metadata import backends, cleanup
from engine.metadata.store import Tx
from engine.records import BackendState
from engine.upkeep.long_work import Step
from engine.upkeep.removal import WAIT_COUNT_MAX, Removal
from tests.integration.engine.upkeep.conftest import MakeRig
from tests.support.deployments import no_fence
from tests.support.moving import set_state, state_of
from tests.support.objects import ObjectRig

COUNT = 3


def leave_behind(rig: ObjectRig, backend_id: int, *, after_s: float) -> None:
    """Keys that may be deleted from then on, as writes leave them that were given up."""

    def unit(tx: Tx) -> None:
        for number in range(COUNT):
            cleanup.enqueue(
                tx,
                backend_id=backend_id,
                storage_key=f"pieces/00/{number}",
                size_bytes=0,
                reason="intent",
                not_before_us=tx.now_us() + int(after_s * 1_000_000),
            )

    rig.store.write(unit)


def removal_of(rig: ObjectRig, backend_id: int) -> Removal:
    """Of a drained backend; time that it rests passes at once."""

    def rest(seconds: float) -> None:
        rig.clock.ahead_us += int(seconds * 1_000_000)

    (row,) = [each for each in rig.store.read(backends.list_backends) if each.backend_id == backend_id]
    return Removal(rig.store, rig.backends, row, purges_data=True, fence=no_fence, rest=rest)


def steps_of(work: Removal) -> Iterator[Step]:
    cursor: str | None = None
    while True:
        step = work.step(cursor)
        yield step
        if step.is_last:
            return
        cursor = step.cursor


def drained(make_rig: MakeRig) -> tuple[ObjectRig, int]:
    rig = make_rig(volume_count=1, memory_count=1)
    backend_id = rig.memories[0].backend_id
    set_state(rig, backend_id, BackendState.DRAINED)
    return rig, backend_id


def test_it_tells_until_when_late_writes_are_waited_for(make_rig: MakeRig) -> None:
    rig, backend_id = drained(make_rig)
    leave_behind(rig, backend_id, after_s=3.0)

    told: list[Step] = []
    for step in steps_of(removal_of(rig, backend_id)):
        told.append(step)
        if step.stage == "waiting for deletions":
            rig.clean_up()

    assert told[0].stage == "waiting for readers and late writes"
    assert f"{COUNT} pieces wait to be deleted" in told[0].current_item
    assert state_of(rig, backend_id) is BackendState.REMOVED


def test_however_long_the_deletions_take_it_ends_with_them(make_rig: MakeRig) -> None:
    rig, backend_id = drained(make_rig)
    leave_behind(rig, backend_id, after_s=0.0)
    waits = 0

    for step in steps_of(removal_of(rig, backend_id)):
        if step.stage == "waiting for deletions":
            assert step.current_item.startswith(f"{COUNT} pieces wait to be deleted, the next at ")
            waits += 1
            if waits > WAIT_COUNT_MAX:
                rig.clean_up()

    assert waits == WAIT_COUNT_MAX + 1
    assert state_of(rig, backend_id) is BackendState.REMOVED


def test_what_could_not_be_deleted_stays_and_is_told_of(make_rig: MakeRig) -> None:
    rig, backend_id = drained(make_rig)
    leave_behind(rig, backend_id, after_s=0.0)
    rig.memories[0].faults.add(Call.DELETE, Fault.UNAVAILABLE, count=1000)

    warnings: list[str] = []
    for step in steps_of(removal_of(rig, backend_id)):
        warnings += step.warnings
        if step.stage == "waiting for deletions":
            rig.clock.ahead_us += int(cleanup.BACKOFF_MAX_S * 1_000_000)
            rig.clean_up()

    assert warnings == [f"{COUNT} pieces could not be deleted, and stay there"]
    assert state_of(rig, backend_id) is BackendState.REMOVED
