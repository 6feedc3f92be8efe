"""Long work in rows: one open for a method and a target, one holder at a time, one end, forgotten late."""

import threading
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from engine.errors import LeaseLost, MalformedField, NoSuchResource, OperationOpen
from engine.metadata import leases, operation_runs, operations
from engine.metadata.operation_runs import Claim, Ending
from engine.metadata.operations import (
    TRIGGER_METHOD,
    OperationFilter,
    OperationProgress,
    OperationRow,
    OperationState,
)
from engine.metadata.store import Store
from tests.conformance.metadata.conftest import OpenStore
from tests.support.metadata import SetClock, run_sql

ONE, OTHER = b"process-1-------", b"process-2-------"
TTL_S = 30.0
DRAIN = "penstock.admin.v1.BackendService/DrainBackend"
SCRUB = "penstock.admin.v1.ScrubService/RunScrub"
NEAR = "backends/near"
SUCCEEDED = Ending(state=OperationState.SUCCEEDED, result={"moved": 3})


def start(
    store: Store,
    name: str,
    *,
    method: str = DRAIN,
    target: str = NEAR,
    request: Mapping[str, object] | None = None,
    request_id: str | None = None,
) -> OperationRow:
    unit = partial(
        operations.start,
        name=name,
        method=method,
        target=target,
        request=request or {},
        creator="alice",
        request_id=request_id,
    )
    return store.write(unit)


def claim(store: Store, name: str, holder: bytes = ONE) -> Claim | None:
    return store.write(partial(operation_runs.claim, name=name, holder=holder, ttl_s=TTL_S))


def claimed(store: Store, name: str, holder: bytes = ONE) -> Claim:
    found = claim(store, name, holder)
    assert found is not None
    return found


def step(
    store: Store, held: Claim, cursor: str, *, done_count: int = 0, warnings: tuple[str, ...] = ()
) -> bool:
    unit = partial(
        operation_runs.store_step,
        lease=held.lease,
        cursor=cursor,
        progress=OperationProgress(done_count=done_count, is_measured=True, total_count=9),
        warnings=warnings,
    )
    return store.write(unit)


def finish(store: Store, held: Claim, ending: Ending = SUCCEEDED) -> None:
    unit = partial(
        operation_runs.finish, lease=held.lease, ending=ending, progress=OperationProgress(), warnings=()
    )
    store.write(unit)


def find(store: Store, name: str) -> OperationRow:
    row = store.read(partial(operations.find_operation, name=name))
    assert row is not None
    return row


def names(store: Store, **wanted: Any) -> list[str]:
    unit = partial(operations.list_operations, wanted=OperationFilter(**wanted), count_max=100)
    return [row.name for row in store.read(unit)]


# --- started ---


def test_what_was_accepted_stands_with_who_asked_for_what(store: Store, clock: SetClock) -> None:
    row = start(store, "operations/1", request={"prefix": "ü/", "max_bytes_per_second": 5})

    assert (row.name, row.method, row.target, row.creator) == ("operations/1", DRAIN, NEAR, "alice")
    assert row.request == {"prefix": "ü/", "max_bytes_per_second": 5}
    assert (row.state, row.created_at_us) == (OperationState.PENDING, clock.now_us())
    assert (row.started_at_us, row.finished_at_us, row.cursor, row.result) == (None, None, None, None)
    assert find(store, "operations/1") == row


def test_while_one_is_open_it_is_answered_and_another_target_or_method_is_another(store: Store) -> None:
    start(store, "operations/1")
    claimed(store, "operations/1")

    assert start(store, "operations/2", request={"other": 1}).name == "operations/1"
    assert start(store, "operations/3", target="backends/far").name == "operations/3"
    assert start(store, "operations/4", method=SCRUB).name == "operations/4"


def test_once_it_has_ended_the_next_one_is_new(store: Store) -> None:
    start(store, "operations/1")
    finish(store, claimed(store, "operations/1"))

    assert start(store, "operations/2").name == "operations/2"


def test_what_a_request_id_started_is_answered_even_when_it_has_ended(store: Store) -> None:
    start(store, "operations/1", request={"n": 1}, request_id="r1")
    finish(store, claimed(store, "operations/1"))

    again = start(store, "operations/2", request={"n": 1}, request_id="r1")

    assert (again.name, again.state) == ("operations/1", OperationState.SUCCEEDED)
    with pytest.raises(MalformedField, match="request_id"):
        start(store, "operations/3", request={"n": 2}, request_id="r1")
    assert start(store, "operations/4", request_id="r2").name == "operations/4"


def test_of_many_that_start_the_same_at_once_one_is_made(open_store: OpenStore) -> None:
    stores = [open_store() for _ in range(4)]
    together = threading.Barrier(len(stores))
    found: list[str] = []

    def start_one(number: int) -> None:
        together.wait()
        found.append(start(stores[number], f"operations/{number}").name)

    threads = [threading.Thread(target=start_one, args=(number,)) for number in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == len(stores)
    assert len(set(found)) == 1
    assert names(stores[0]) == [found[0]]


# --- listed ---


def test_the_newest_come_first_page_after_page(store: Store, clock: SetClock) -> None:
    for number in range(5):
        start(store, f"operations/{number}", target=f"backends/{number}")
        clock.move(1 if number % 2 else 0)
    unit = partial(operations.list_operations, wanted=OperationFilter(), count_max=2)

    first = store.read(unit)
    second = store.read(partial(unit, before=(first[-1].created_at_us, first[-1].name)))
    third = store.read(partial(unit, before=(second[-1].created_at_us, second[-1].name)))

    told = [row.name for row in (*first, *second, *third)]
    assert told == [f"operations/{number}" for number in (4, 3, 2, 1, 0)]


def test_a_list_is_of_a_state_a_method_a_target(store: Store) -> None:
    start(store, "operations/1")
    start(store, "operations/2", target="backends/far")
    start(store, "operations/3", method=SCRUB)
    finish(store, claimed(store, "operations/3"))

    assert names(store, state=OperationState.PENDING) == ["operations/2", "operations/1"]
    assert names(store, method=SCRUB) == ["operations/3"]
    assert names(store, target="backends/far") == ["operations/2"]
    assert names(store, target="backends/far", method=SCRUB) == []


def test_those_that_wait_are_told_with_whether_somebody_is_at_them(store: Store, clock: SetClock) -> None:
    start(store, "operations/1")
    start(store, "operations/2", target="backends/far")
    start(store, "operations/3", method=SCRUB)
    accept = partial(operations.accept_operation, name="operations/4", method=TRIGGER_METHOD, target="x")
    store.write(accept)
    claimed(store, "operations/1")
    finish(store, claimed(store, "operations/3"))
    store.write(partial(operations.request_cancel, name="operations/2", creator="bob"))

    def told() -> list[tuple[str, bool, bool]]:
        rows = store.read(operation_runs.list_open)
        return [(row.name, row.is_held, row.is_cancel_requested) for row in rows]

    assert told() == [("operations/1", True, False), ("operations/2", False, True)]
    clock.move(TTL_S)
    assert told() == [("operations/1", False, False), ("operations/2", False, True)]


# --- carried out ---


def test_one_holder_at_a_time_goes_on_where_the_last_step_ended(
    open_store: OpenStore, clock: SetClock
) -> None:
    near, far = open_store(), open_store()
    start(near, "operations/1")
    first = claimed(near, "operations/1")
    assert not step(near, first, "a", done_count=4, warnings=("w",))
    assert claim(far, "operations/1", OTHER) is None

    clock.move(TTL_S)
    second = claimed(far, "operations/1", OTHER)

    assert (second.operation.cursor, second.operation.progress.done_count) == ("a", 4)
    assert (second.operation.warnings, second.operation.holder) == (("w",), OTHER)
    assert second.operation.started_at_us == first.operation.started_at_us
    with pytest.raises(LeaseLost):
        step(near, first, "b")
    with pytest.raises(LeaseLost):
        finish(near, first)
    assert find(near, "operations/1").cursor == "a"


def test_one_that_was_left_is_taken_up_at_once(store: Store) -> None:
    start(store, "operations/1")
    held = claimed(store, "operations/1")

    store.write(partial(leases.release, lease=held.lease))

    assert claimed(store, "operations/1", OTHER).lease.token > held.lease.token


def test_claims_without_a_step_between_them_are_counted(store: Store, clock: SetClock) -> None:
    start(store, "operations/1")
    counts = []
    for number in range(4):
        held = claimed(store, "operations/1")
        counts.append(held.claim_count)
        if number == 1:
            step(store, held, "a")
        clock.move(TTL_S)

    assert counts == [1, 2, 1, 2]


def test_whoever_was_cut_off_from_the_database_goes_on_if_nobody_else_did(
    store: Store, clock: SetClock
) -> None:
    start(store, "operations/1")
    held = claimed(store, "operations/1")
    step(store, held, "a")
    clock.move(TTL_S / 2)

    resumed = store.write(partial(operation_runs.resume, lease=held.lease, ttl_s=TTL_S))
    clock.move(TTL_S - 1)
    step(store, held, "b")

    assert resumed.cursor == "a"
    clock.move(1)
    with pytest.raises(LeaseLost):
        store.write(partial(operation_runs.resume, lease=held.lease, ttl_s=TTL_S))


def test_one_that_ended_is_taken_up_by_nobody_and_leaves_no_lease(store: Store) -> None:
    start(store, "operations/1")
    held = claimed(store, "operations/1")
    finish(store, held)

    row = find(store, "operations/1")
    assert (row.state, row.result) == (OperationState.SUCCEEDED, {"moved": 3})
    assert row.finished_at_us is not None
    assert claim(store, "operations/1", OTHER) is None
    with pytest.raises(LeaseLost):
        finish(store, held)
    with pytest.raises(LeaseLost):
        store.write(partial(leases.check, lease=held.lease))
    assert run_sql(store, "SELECT worker FROM worker_leases") == []


def test_progress_of_another_version_is_read_as_far_as_it_is_known(store: Store) -> None:
    start(store, "operations/1")
    progress = '{"done_count": 7, "entropy": 3}'
    run_sql(store, "UPDATE operations SET progress = :progress", {"progress": progress})

    assert find(store, "operations/1").progress == OperationProgress(done_count=7)


def test_why_it_failed_is_told_to_people_and_programs(store: Store) -> None:
    start(store, "operations/1")
    held = claimed(store, "operations/1")

    finish(store, held, Ending(state=OperationState.FAILED, error="no room", error_reason="NO_SPACE"))

    row = find(store, "operations/1")
    assert (row.state, row.error, row.error_reason) == (OperationState.FAILED, "no room", "NO_SPACE")


# --- cancelled, deleted, forgotten ---


def test_whoever_carries_it_out_learns_with_its_step_that_it_was_cancelled(store: Store) -> None:
    start(store, "operations/1")
    held = claimed(store, "operations/1")
    assert not step(store, held, "a")

    told = store.write(partial(operations.request_cancel, name="operations/1", creator="bob"))
    store.write(partial(operations.request_cancel, name="operations/1", creator="carol"))

    assert (told.is_cancel_requested, told.cancelled_by, told.state) == (True, "bob", OperationState.RUNNING)
    assert step(store, held, "b")
    assert find(store, "operations/1").cancelled_by == "bob"


def test_one_that_has_ended_is_not_cancelled(store: Store) -> None:
    start(store, "operations/1")
    finish(store, claimed(store, "operations/1"))

    told = store.write(partial(operations.request_cancel, name="operations/1", creator="bob"))

    assert (told.state, told.is_cancel_requested) == (OperationState.SUCCEEDED, False)
    with pytest.raises(NoSuchResource):
        store.write(partial(operations.request_cancel, name="operations/9", creator="bob"))


def test_only_what_has_ended_is_deleted(store: Store) -> None:
    start(store, "operations/1")
    delete = partial(operations.delete_operation, name="operations/1")
    with pytest.raises(OperationOpen):
        store.write(delete)
    held = claimed(store, "operations/1")
    with pytest.raises(OperationOpen):
        store.write(delete)

    finish(store, held)
    store.write(delete)

    assert names(store) == []
    with pytest.raises(NoSuchResource):
        store.write(delete)


def test_old_ones_and_too_many_are_forgotten_and_open_ones_never(store: Store, clock: SetClock) -> None:
    for number in range(6):
        start(store, f"operations/{number}", target=f"backends/{number}")
        if number:
            finish(store, claimed(store, f"operations/{number}"))
        clock.move(1)

    assert store.write(partial(operations.drop_ended, keep_count=3, count_max=1)) == 1
    assert store.write(partial(operations.drop_ended, keep_count=3)) == 1
    assert store.write(partial(operations.drop_ended, keep_count=3)) == 0
    assert names(store) == [f"operations/{number}" for number in (5, 4, 3, 0)]
    clock.move(operations.KEEP_S + 1)
    assert store.write(operations.drop_ended) == 3

    assert names(store) == ["operations/0"]
