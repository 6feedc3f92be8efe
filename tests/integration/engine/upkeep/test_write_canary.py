"""A store that answers reads and refuses writes is found out by a trial, gets no new pieces, and is read as before."""

from collections import Counter
from functools import partial
from typing import Any

import pytest

from engine.backends.memory import Call, Fault, MemoryBackend
from engine.errors import DatabaseUnavailable, LeaseLost, OutcomeUnknown
from engine.metadata.backend_removal import find_leftovers
from engine.metadata.backends import list_backends, set_state
from engine.metadata.store import Tx
from engine.objects.placing import VIEW_AGE_MAX_S
from engine.records import BackendState, Copies, Progress, UsageKind
from engine.upkeep.write_canary import COUNTS_PAUSES, TRY_COUNT, TRY_EVERY_S, WriteCanary
from tests.integration.engine.upkeep.conftest import MakeRig
from tests.support.deployments import no_fence
from tests.support.interruptions import InterruptedStore
from tests.support.objects import ObjectRig
from tests.support.pieces import payload_of

DATA = payload_of(5000)
TRIAL_CALLS = (Call.STORE, Call.READ)


def canary(rig: ObjectRig, **options: Any) -> WriteCanary:
    given = {"store": rig.store, "fence": no_fence, "limits": {}, **options}
    store = given.pop("store")
    return WriteCanary(store, rig.backends, rig.objects.holder, clock=rig.clock, ring=rig.ring, **given)


def run(rig: ObjectRig, **options: Any) -> Progress:
    """One run, as a runner does it."""
    unit, done, deferred = canary(rig, **options), 0, 0
    for _ in range(20):
        progress = unit.work()
        done += progress.done_count
        deferred += progress.deferred_count
        if not progress.has_more:
            return Progress(done_count=done, deferred_count=deferred)
    raise AssertionError("a run never ends")


def problems(rig: ObjectRig) -> dict[int, str]:
    rows = rig.store.read(list_backends)
    return {row.backend_id: row.write_problem for row in rows if row.write_problem is not None}


def pass_time(rig: ObjectRig, seconds: float) -> None:
    rig.clock.ahead_us += int(seconds * 1_000_000)


def refuse(memory: MemoryBackend, call: Call = Call.STORE, fault: Fault = Fault.UNAVAILABLE) -> None:
    memory.faults.add(call, fault, count=1000)


def new_places(rig: ObjectRig, count: int = 8) -> Counter[int]:
    """Where pieces of new objects lie."""
    pass_time(rig, 2 * VIEW_AGE_MAX_S)
    found: Counter[int] = Counter()
    for number in range(count):
        rig.put(f"new-{number}", DATA)
        found.update(each.backend_id for one in rig.find(f"new-{number}").slices for each in one.locations)
    return found


def test_a_store_that_takes_writes_is_left_as_it_was(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1, memory_count=2)

    progress = run(rig)

    assert progress.done_count == 2
    assert problems(rig) == {}
    assert [memory.storage_keys() for memory in rig.memories] == [[], []]
    assert rig.unaccounted() == set()
    for memory in rig.memories:
        # Nothing waits to be deleted again, which would hold up its removal.
        left = rig.store.read(partial(find_leftovers, backend_id=memory.backend_id))
        assert left.waiting_count == 0
    assert rig.settle().is_clean


@pytest.mark.parametrize("call", TRIAL_CALLS)
def test_one_that_refuses_gets_no_new_pieces_until_it_takes_a_trial_again(
    make_rig: MakeRig, call: Call
) -> None:
    rig = make_rig(volume_count=0, memory_count=2)
    bad, good = rig.memories
    rig.put("old", DATA)
    rig.put("older", DATA)
    refuse(bad, call)

    run(rig)

    assert call.value in problems(rig)[bad.backend_id] or "unreachable" in problems(rig)[bad.backend_id]
    bad.faults.clear()
    assert set(new_places(rig)) == {good.backend_id}
    assert rig.get("old") == rig.get("older") == DATA

    # It is tried in every run from now on, however short the time since the last one.
    assert run(rig).done_count == 1
    assert problems(rig) == {}
    assert bad.backend_id in new_places(rig)
    assert rig.settle().is_clean


def test_one_bad_second_is_no_problem(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=1)
    rig.memories[0].faults.add(Call.STORE, Fault.UNAVAILABLE, count=TRY_COUNT - 1)

    run(rig)

    assert problems(rig) == {}


@pytest.mark.parametrize("fault", [Fault.TIMEOUT_LOST, Fault.TIMEOUT_DONE, Fault.TIMEOUT_LATE, Fault.FULL])
def test_whatever_a_refused_trial_leaves_goes_away(make_rig: MakeRig, fault: Fault) -> None:
    rig = make_rig(volume_count=0, memory_count=1)
    (bad,) = rig.memories
    refuse(bad, fault=fault)

    run(rig)

    assert bad.backend_id in problems(rig)
    assert rig.unaccounted() == set()
    bad.faults.clear()
    bad.land_late()
    assert rig.settle().is_clean
    assert bad.storage_keys() == []


def test_one_that_does_not_delete_takes_writes_all_the_same(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=1)
    (backend,) = rig.memories
    refuse(backend, Call.DELETE)

    run(rig)

    assert problems(rig) == {}
    backend.faults.clear()
    assert rig.settle().is_clean
    assert backend.storage_keys() == []


def test_one_that_is_out_of_reach_or_rests_is_not_tried(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=2)
    away, resting = rig.memories
    refuse(away, Call.CHECK_IDENTITY)
    rig.store.write(
        partial(set_state, backend_id=resting.backend_id, state=BackendState.READ_ONLY, reason=None)
    )

    progress = run(rig)

    assert (progress.done_count, progress.deferred_count) == (0, 1)
    assert problems(rig) == {}


def test_a_good_one_is_tried_every_few_minutes_and_more_rarely_where_writes_are_limited(
    make_rig: MakeRig,
) -> None:
    rig = make_rig(volume_count=0, memory_count=2)
    limited = rig.memories[0].backend_id
    options = {"limits": {limited: {UsageKind.WRITE_REQUESTS: 10_000}}}
    assert run(rig, **options).done_count == 2

    pass_time(rig, TRY_EVERY_S / 2)
    assert run(rig, **options).done_count == 0
    pass_time(rig, TRY_EVERY_S)
    assert run(rig, **options).done_count == 1
    pass_time(rig, 90 * 60)
    assert run(rig, **options).done_count == 2


def test_what_nobody_looks_at_again_counts_for_a_while_only(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=1)
    refuse(rig.memories[0])
    run(rig)
    rig.memories[0].faults.clear()

    pass_time(rig, COUNTS_PAUSES * TRY_EVERY_S - 60)
    assert problems(rig)
    pass_time(rig, 120)

    assert problems(rig) == {}
    assert sum(new_places(rig).values()) == 8


def test_a_worker_that_lost_its_lease_notes_nothing(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=1)
    refuse(rig.memories[0])

    def lost(tx: Tx) -> None:
        raise LeaseLost("canary")

    with pytest.raises(LeaseLost):
        run(rig, fence=lost)

    assert problems(rig) == {}
    rig.memories[0].faults.clear()
    rig.crash()
    assert rig.settle().is_clean
    assert rig.unaccounted() == set()


@pytest.mark.parametrize("is_committed", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_an_interrupted_trial_leaves_nothing(make_rig: MakeRig, at: int, is_committed: bool) -> None:
    rig = make_rig(volume_count=0, memory_count=1, scheme=Copies(count=1))
    store = InterruptedStore(rig.store, at=at, is_committed=is_committed)

    with pytest.raises((DatabaseUnavailable, OutcomeUnknown)):
        run(rig, store=store)

    rig.crash()
    run(rig)
    assert problems(rig) == {}
    assert rig.settle().is_clean
    assert rig.memories[0].storage_keys() == []
    assert rig.unaccounted() == set()
