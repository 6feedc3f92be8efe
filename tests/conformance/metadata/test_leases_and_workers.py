"""Leases with fencing tokens, and what workers and operations leave in rows: one leader, whose writes alone count."""

from dataclasses import replace
from functools import partial

import pytest

from engine.errors import LeaseLost
from engine.metadata import leases, operations, workers
from engine.metadata.operations import OperationRow, OperationState
from engine.metadata.store import Store, Tx
from engine.records import Lease, Progress
from tests.conformance.metadata.conftest import OpenStore
from tests.support.metadata import START_US, SetClock, run_sql

ONE, OTHER = b"process-1-------", b"process-2-------"
TTL_S = 30.0


def acquire(store: Store, holder: bytes = ONE) -> Lease | None:
    return store.write(partial(leases.acquire, worker="reaper", holder=holder, ttl_s=TTL_S))


def lead(store: Store, holder: bytes = ONE) -> Lease:
    lease = acquire(store, holder)
    assert lease is not None
    return lease


def test_only_one_leads(open_store: OpenStore) -> None:
    near, far = open_store(), open_store()

    assert lead(near).token == 1
    assert acquire(far, OTHER) is None
    assert acquire(near, ONE) is None


def test_jobs_are_led_apart(store: Store) -> None:
    lead(store)

    assert store.write(partial(leases.acquire, worker="cleanup", holder=OTHER, ttl_s=TTL_S)) is not None


def test_a_lease_runs_out_by_the_databases_clock_and_the_token_grows(store: Store, clock: SetClock) -> None:
    first = lead(store)
    clock.move(TTL_S - 0.001)
    assert acquire(store, OTHER) is None
    store.write(partial(leases.check, lease=first))

    clock.move(0.001)
    with pytest.raises(LeaseLost):
        store.write(partial(leases.check, lease=first))
    second = lead(store, OTHER)

    assert second.token == first.token + 1
    assert second.expires_at_us == clock.now_us() + 30_000_000


def test_a_released_lease_is_free_and_its_token_is_never_used_again(store: Store) -> None:
    first = lead(store)

    store.write(partial(leases.release, lease=first))
    second = lead(store, OTHER)
    store.write(partial(leases.release, lease=first))

    assert second.token > first.token
    store.write(partial(leases.check, lease=second))


def test_renewing_keeps_the_token_and_moves_the_end(store: Store, clock: SetClock) -> None:
    first = lead(store)
    clock.move(20)

    renewed = store.write(partial(leases.renew, lease=first, ttl_s=TTL_S))
    clock.move(20)

    assert renewed.token == first.token
    store.write(partial(leases.check, lease=renewed))


def test_a_lease_that_ran_out_is_not_renewed_even_if_nobody_took_it(store: Store, clock: SetClock) -> None:
    first = lead(store)
    clock.move(TTL_S)

    with pytest.raises(LeaseLost):
        store.write(partial(leases.renew, lease=first, ttl_s=TTL_S))


def test_what_a_leader_that_lost_its_lease_writes_is_rolled_back(store: Store, clock: SetClock) -> None:
    stale = lead(store)
    clock.move(TTL_S)
    lead(store, OTHER)

    def unit(tx: Tx) -> None:
        workers.apply_worker(tx, "reaper", is_enabled=True, interval_s=1.0)
        leases.check(tx, stale)

    with pytest.raises(LeaseLost):
        store.write(unit)
    assert store.read(workers.list_workers) == []


def test_a_token_of_another_time_or_holder_is_refused(store: Store) -> None:
    lease = lead(store)

    for wrong in (replace(lease, token=lease.token + 1), replace(lease, holder=OTHER)):
        with pytest.raises(LeaseLost):
            store.write(partial(leases.check, lease=wrong))
        with pytest.raises(LeaseLost):
            store.write(partial(leases.renew, lease=wrong, ttl_s=TTL_S))


# --- workers ---


def apply(store: Store, *, is_enabled: bool = True, interval_s: float = 60.0) -> None:
    store.write(partial(workers.apply_worker, name="reaper", is_enabled=is_enabled, interval_s=interval_s))


def is_due(store: Store) -> bool:
    return store.read(partial(workers.is_due, name="reaper"))


def run(store: Store, lease: Lease, *, error: str | None = None) -> None:
    run_id = store.write(partial(workers.begin_run, lease=lease))
    end = partial(
        workers.end_run,
        run_id=run_id,
        worker="reaper",
        progress=Progress(done_count=3, deferred_count=1),
        error=error,
    )
    store.write(end)


def test_a_worker_is_due_at_first_and_again_after_its_interval(store: Store, clock: SetClock) -> None:
    assert not is_due(store)
    apply(store)
    assert is_due(store)

    run(store, lead(store))
    assert not is_due(store)
    clock.move(59.9)
    assert not is_due(store)
    clock.move(0.1)

    assert is_due(store)


def test_a_triggered_worker_is_due_now_and_once(store: Store) -> None:
    apply(store)
    lease = lead(store)
    run(store, lease)

    assert store.write(partial(workers.trigger, name="reaper"))
    assert is_due(store)
    run(store, lease)

    assert not is_due(store)
    assert not store.write(partial(workers.trigger, name="unknown"))


def test_a_worker_that_is_off_or_paused_is_never_due(store: Store) -> None:
    apply(store, is_enabled=False)
    store.write(partial(workers.trigger, name="reaper"))
    assert not is_due(store)

    apply(store)
    run_sql(store, "UPDATE worker_settings SET paused_by = 'somebody'")

    assert not is_due(store)
    assert store.read(workers.list_workers)[0].is_paused


def test_settings_of_a_generation_replace_the_ones_before(store: Store) -> None:
    apply(store)
    apply(store, is_enabled=False, interval_s=5.5)

    (row,) = store.read(workers.list_workers)

    assert (row.worker, row.is_enabled, row.interval_s) == ("reaper", False, 5.5)


def test_a_worker_tells_its_leader_and_what_became_of_its_runs(store: Store, clock: SetClock) -> None:
    apply(store)
    lease = lead(store)
    run(store, lease)
    clock.move(1)
    run(store, lease, error="first")
    clock.move(1)
    run(store, lease, error="second")

    (row,) = store.read(workers.list_workers)

    assert (row.leader, row.lease_expires_at_us) == (ONE, lease.expires_at_us)
    assert (row.last_success_us, row.last_failure_us) == (START_US, START_US + 2_000_000)
    assert (row.last_error, row.consecutive_failure_count) == ("second", 2)
    run(store, lease)
    assert store.read(workers.list_workers)[0].consecutive_failure_count == 0


def test_a_run_that_has_not_ended_is_neither_success_nor_failure(store: Store) -> None:
    apply(store)
    store.write(partial(workers.begin_run, lease=lead(store)))

    (row,) = store.read(workers.list_workers)

    assert row.last_started_us == START_US
    assert (row.last_success_us, row.last_failure_us, row.consecutive_failure_count) == (None, None, 0)


def test_only_the_newest_runs_are_kept(store: Store) -> None:
    apply(store)
    lease = lead(store)
    for _ in range(workers.RUN_KEEP_COUNT + 3):
        run(store, lease)

    assert run_sql(store, "SELECT COUNT(*), MIN(run_id) FROM worker_runs") == [(workers.RUN_KEEP_COUNT, 4)]


# --- operations ---


def accept(
    store: Store, name: str, *, target: str = "workers/reaper", method: str = "Trigger"
) -> OperationRow:
    return store.write(partial(operations.accept_operation, name=name, method=method, target=target))


def begin(store: Store) -> list[str]:
    return store.write(partial(operations.begin_operations, method="Trigger", target="workers/reaper"))


def find(store: Store, name: str) -> OperationRow:
    row = store.read(partial(operations.find_operation, name=name))
    assert row is not None
    return row


def end(store: Store, name: str, *, error: str | None = None) -> None:
    store.write(partial(operations.end_operation, name=name, progress=Progress(done_count=2), error=error))


def test_what_waits_is_joined_not_doubled(store: Store) -> None:
    first = accept(store, "operations/1")

    assert accept(store, "operations/2") == first
    assert accept(store, "operations/3", target="workers/cleanup").name == "operations/3"
    assert accept(store, "operations/4", method="Pause").name == "operations/4"
    assert store.read(partial(operations.find_operation, name="operations/2")) is None


def test_an_operation_goes_from_pending_to_running_to_its_end(store: Store, clock: SetClock) -> None:
    assert accept(store, "operations/1").state is OperationState.PENDING
    assert begin(store) == ["operations/1"]
    assert find(store, "operations/1").state is OperationState.RUNNING
    clock.move(5)

    end(store, "operations/1")

    row = find(store, "operations/1")
    assert row.state is OperationState.SUCCEEDED
    assert row.state.is_final
    assert (row.progress.done_count, row.finished_at_us) == (2, START_US + 5_000_000)


def test_an_operation_ends_once(store: Store) -> None:
    accept(store, "operations/1")
    begin(store)
    end(store, "operations/1", error="it broke")

    end(store, "operations/1")

    row = find(store, "operations/1")
    assert (row.state, row.error) == (OperationState.FAILED, "it broke")


def test_what_was_accepted_and_never_begun_does_not_end(store: Store) -> None:
    accept(store, "operations/1")

    end(store, "operations/1")

    assert find(store, "operations/1").state is OperationState.PENDING


def test_what_a_dead_process_left_running_has_failed(store: Store) -> None:
    accept(store, "operations/1")
    begin(store)
    accept(store, "operations/2")

    assert begin(store) == ["operations/2"]

    assert find(store, "operations/1").state is OperationState.FAILED
    assert find(store, "operations/2").state is OperationState.RUNNING
