"""Operations outlast databases that go away, leases that are lost and whatever fails, and nothing counts twice."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar, cast

import pytest

from controlplane.operations import attempt
from controlplane.operations.pace import Budgets
from controlplane.operations.runner import OperationRunner
from engine.deployment.opening import OpenDeployment
from engine.errors import DatabaseUnavailable, EngineError, LeaseLost, OutcomeUnknown
from engine.metadata import leases, operation_runs
from engine.metadata.operations import OperationState
from engine.metadata.store import Store, Tx
from tests.integration.controlplane.operations.running import WAIT_S, ended, running
from tests.integration.controlplane.operations.works import Counting, CountingWork, Gate, begin, look
from tests.support.control import wait_until
from tests.support.interruptions import InterruptedStore
from tests.support.metadata import run_sql

T = TypeVar("T")


@pytest.mark.parametrize("error", [DatabaseUnavailable("gone"), OutcomeUnknown("gone")])
def test_a_database_that_is_away_is_waited_out(deployment: OpenDeployment, error: Exception) -> None:
    failures = [error, error]

    def fail(work: CountingWork, number: int) -> None:
        if number == 3 and failures:
            raise failures.pop()

    counting = Counting(at=fail)
    name = begin(deployment.store, 5)
    with running(deployment, counting):
        row = ended(deployment, name)

    assert (row.state, counting.counted) == (OperationState.SUCCEEDED, [1, 2, 3, 4, 5])
    assert row.progress.done_count == 5


def test_after_a_database_that_was_away_for_longer_than_the_lease_it_is_taken_up_anew(
    deployment: OpenDeployment,
) -> None:
    failures = [DatabaseUnavailable("gone")]

    def fail(work: CountingWork, number: int) -> None:
        if number == 3 and failures:
            run_sql(deployment.store, "UPDATE worker_leases SET expires_at_us = 1")
            raise failures.pop()

    counting = Counting(at=fail)
    name = begin(deployment.store, 5)
    with running(deployment, counting):
        row = ended(deployment, name)

    assert (row.state, counting.counted) == (OperationState.SUCCEEDED, [1, 2, 3, 4, 5])


def test_who_lost_the_lease_writes_nothing_more(deployment: OpenDeployment) -> None:
    gate = Gate(number=2)
    counting = Counting(at=gate)
    name = begin(deployment.store, 5)
    heirs: list[operation_runs.Claim] = []

    with running(deployment, counting):
        assert gate.reached.wait(WAIT_S)
        heirs.append(_taken_away(deployment, name))
        gate.opened.set()

    row = look(deployment.store, name)
    assert (counting.counted, row.cursor) == ([1], "1")
    assert (row.state, row.holder) == (OperationState.RUNNING, heirs[0].lease.holder)


def _taken_away(deployment: OpenDeployment, name: str) -> operation_runs.Claim:
    """As if the process had slept for longer than its lease."""
    store = deployment.store
    store.write(lambda tx: tx.run("release_lease", _lease_of(deployment, name)))
    claim = store.write(partial(operation_runs.claim, name=name, holder=b"o" * 16, ttl_s=60.0))
    assert claim is not None
    return claim


def _lease_of(deployment: OpenDeployment, name: str) -> dict[str, str | bytes | int]:
    return {"worker": name, "holder": deployment.process_id, "token": 1}


def test_a_step_that_takes_long_keeps_its_lease(deployment: OpenDeployment) -> None:
    gate = Gate(number=2)
    name = begin(deployment.store, 3)

    def expiry() -> int:
        ((found,),) = run_sql(
            deployment.store, f"SELECT expires_at_us FROM worker_leases WHERE worker = '{name}'"
        )
        assert isinstance(found, int)
        return found

    with running(deployment, Counting(at=gate), renew_every_s=0.0):
        assert gate.reached.wait(WAIT_S)
        first = expiry()
        wait_until(lambda: expiry() > first, "the lease to be renewed")
        gate.opened.set()
        assert ended(deployment, name).state is OperationState.SUCCEEDED


def test_a_work_that_ends_its_process_again_and_again_fails(
    deployment: OpenDeployment,
) -> None:
    name = begin(deployment.store, 3)
    for _ in range(attempt.CLAIM_COUNT_MAX):
        claim = deployment.store.write(partial(operation_runs.claim, name=name, holder=b"o" * 16, ttl_s=60.0))
        assert claim is not None
        deployment.store.write(partial(leases.release, lease=claim.lease))

    with running(deployment, Counting()):
        row = ended(deployment, name)

    assert (row.state, row.error_reason) == (OperationState.FAILED, "GIVEN_UP")


class FailingReads:
    """A store whose first reads fail."""

    def __init__(self, store: Store, errors: list[Exception]) -> None:
        self._store = store
        self._errors = errors
        self.write = store.write

    def read(self, unit: Callable[[Tx], T], /) -> T:
        if self._errors:
            raise self._errors.pop()
        return self._store.read(unit)


def test_the_runner_outlives_whatever_goes_wrong(deployment: OpenDeployment) -> None:
    store = deployment.store
    name = begin(store, 2)
    deployment.store = cast(Store, FailingReads(store, [LookupError("a bug"), LeaseLost("gone")]))

    with running(deployment, Counting()):
        deployment.store = store
        assert ended(deployment, name).state is OperationState.SUCCEEDED


@pytest.mark.parametrize("is_committed", [False, True], ids=["before the commit", "after it"])
@pytest.mark.parametrize("at", range(1, 10))
def test_whichever_write_fails_every_number_counts_once(
    deployment: OpenDeployment, at: int, is_committed: bool
) -> None:
    store = deployment.store
    name = begin(store, 3)
    deployment.store = InterruptedStore(store, at=at, is_committed=is_committed)
    counting = Counting()
    made = OperationRunner(deployment, Budgets(), kinds=[counting.kind])

    def has_ended() -> bool:
        try:
            made.look()
        except EngineError:
            # A claim whose commit nobody heard of ends with its lease.
            run_sql(store, "UPDATE worker_leases SET expires_at_us = 1")
        return look(store, name).state.is_final

    wait_until(has_ended, "the end of the operation")
    assert made.stop(WAIT_S)

    row = look(store, name)
    assert (row.state, row.result) == (OperationState.SUCCEEDED, {"counted_to": 3})
    assert (row.progress.done_count, row.progress.done_bytes, row.progress.warning_count) == (3, 3000, 2)
    assert sorted(set(counting.counted)) == [1, 2, 3]
    assert len(counting.counted) <= 4
    assert run_sql(store, "SELECT worker FROM worker_leases WHERE worker LIKE 'operations/%'") == []
