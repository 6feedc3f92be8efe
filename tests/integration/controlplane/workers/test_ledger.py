"""The ledger: one leader at a time, runs when they are due, and every operation told how its run ended."""

import pytest

from controlplane.workers.ledger import WORK_LEFT, StoredLedger
from engine.clock import uuid7
from engine.errors import LeaseLost
from engine.metadata.operations import OperationState
from engine.metadata.sqlite.store import SqliteStore
from engine.metadata.workers import apply_worker
from engine.records import Lease, Progress
from tests.integration.controlplane.workers.asking import ask, look, operation
from tests.integration.controlplane.workers.conftest import INTERVAL_S, WORKER
from tests.support.deployments import TestClock

TTL_S = 30.0
DONE = Progress(done_count=3, deferred_count=1)


def ledger(store: SqliteStore) -> StoredLedger:
    """That of another process each time."""
    return StoredLedger(store, holder=uuid7())


def lease_of(made: StoredLedger) -> Lease:
    lease = made.acquire(WORKER, TTL_S)
    assert lease is not None
    return lease


def run_once(made: StoredLedger) -> None:
    lease = lease_of(made)
    made.end(lease, made.begin(lease), Progress(), None)
    made.release(lease)


def test_a_worker_is_due_at_first_and_after_every_interval(store: SqliteStore, clock: TestClock) -> None:
    made = ledger(store)
    assert made.is_due(WORKER)

    run_once(made)

    assert not made.is_due(WORKER)
    clock.ahead_us += int(INTERVAL_S * 1_000_000)
    assert made.is_due(WORKER)


def test_one_that_was_asked_for_is_due_whatever_its_interval(store: SqliteStore) -> None:
    made = ledger(store)
    run_once(made)

    ask(store, WORKER)
    assert made.is_due(WORKER)

    run_once(made)
    assert not made.is_due(WORKER)


def test_one_that_is_disabled_or_unknown_is_never_due(store: SqliteStore) -> None:
    store.write(lambda tx: apply_worker(tx, WORKER, is_enabled=False, interval_s=INTERVAL_S))
    ask(store, WORKER)

    assert not ledger(store).is_due(WORKER)
    assert not ledger(store).is_due("juggler")


def test_nobody_is_asked_to_run_what_somebody_leads(store: SqliteStore, clock: TestClock) -> None:
    leader, follower = ledger(store), ledger(store)
    lease = lease_of(leader)
    ask(store, WORKER)

    assert not follower.is_due(WORKER)
    assert follower.acquire(WORKER, TTL_S) is None

    leader.release(lease)
    assert follower.is_due(WORKER)
    lease_of(follower)
    # That one dies, so its lease runs out.
    clock.ahead_us += int(TTL_S * 1_000_000)
    assert leader.is_due(WORKER)
    assert lease_of(leader).token > lease.token


@pytest.mark.parametrize(
    ("progress", "error", "state", "told"),
    [
        (DONE, None, OperationState.SUCCEEDED, None),
        (DONE, "BackendUnavailable: gone", OperationState.FAILED, "BackendUnavailable: gone"),
        (Progress(done_count=3, has_more=True), None, OperationState.FAILED, WORK_LEFT),
    ],
)
def test_an_operation_begins_and_ends_with_its_run(
    store: SqliteStore, progress: Progress, error: str | None, state: OperationState, told: str | None
) -> None:
    made = ledger(store)
    name = ask(store, WORKER)
    assert ask(store, WORKER) == name
    assert operation(store, name).state is OperationState.PENDING
    lease = lease_of(made)

    run_id = made.begin(lease)
    assert operation(store, name).state is OperationState.RUNNING
    made.end(lease, run_id, progress, error)

    ended = operation(store, name)
    assert (ended.state, ended.error) == (state, told)
    assert ended.progress.done_count == progress.done_count
    assert ended.finished_at_us is not None
    assert look(store, WORKER).last_error == error


def test_one_that_is_accepted_during_a_run_waits_for_the_next(store: SqliteStore) -> None:
    made = ledger(store)
    lease = lease_of(made)
    run_id = made.begin(lease)

    name = ask(store, WORKER)
    made.end(lease, run_id, DONE, None)
    made.release(lease)

    assert operation(store, name).state is OperationState.PENDING
    assert made.is_due(WORKER)
    run_once(made)
    assert operation(store, name).state is OperationState.SUCCEEDED


def test_one_whose_process_died_fails_when_somebody_else_leads(store: SqliteStore, clock: TestClock) -> None:
    dead, heir = ledger(store), ledger(store)
    name = ask(store, WORKER)
    dead.begin(lease_of(dead))
    clock.ahead_us += int(TTL_S * 1_000_000)

    lease = lease_of(heir)
    later = ask(store, WORKER)
    run_id = heir.begin(lease)

    assert operation(store, name).state is OperationState.FAILED
    assert operation(store, later).state is OperationState.RUNNING
    heir.end(lease, run_id, DONE, None)
    assert operation(store, later).state is OperationState.SUCCEEDED


def test_a_run_does_not_begin_under_a_lease_that_was_lost(store: SqliteStore, clock: TestClock) -> None:
    late, heir = ledger(store), ledger(store)
    name = ask(store, WORKER)
    lost = lease_of(late)
    clock.ahead_us += int(TTL_S * 1_000_000)
    lease_of(heir)

    with pytest.raises(LeaseLost):
        late.begin(lost)

    assert operation(store, name).state is OperationState.PENDING
    assert look(store, WORKER).last_started_us is None
    assert look(store, WORKER).triggered_at_us is not None


def test_a_run_that_lost_its_lease_ends_its_own_row_and_nobody_elses_operation(
    store: SqliteStore, clock: TestClock
) -> None:
    late, heir = ledger(store), ledger(store)
    first = ask(store, WORKER)
    lost = lease_of(late)
    late_run = late.begin(lost)
    clock.ahead_us += int(TTL_S * 1_000_000)
    lease = lease_of(heir)
    second = ask(store, WORKER)
    run_id = heir.begin(lease)

    late.end(lost, late_run, Progress(), "LeaseLost: the lease is somebody else's")
    late.release(lost)

    assert operation(store, first).state is OperationState.FAILED
    assert operation(store, second).state is OperationState.RUNNING
    assert look(store, WORKER).leader == lease.holder
    heir.end(lease, run_id, DONE, None)
    assert operation(store, second).state is OperationState.SUCCEEDED
