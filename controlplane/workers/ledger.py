"""What runners keep in the database: leases, runs, and the operations that asked for a run."""

from functools import partial

from engine.metadata import leases, workers
from engine.metadata.operations import (
    TRIGGER_METHOD,
    OperationRow,
    begin_operations,
    end_operation,
    end_pending_operation,
    find_operation,
    is_any_cancelled,
)
from engine.metadata.store import Store, Tx
from engine.metadata.workers import WorkerStanding
from engine.records import Lease, Progress

WORK_LEFT = "ended with work left, which the next run goes on with"


TARGET_PREFIX = "workers/"


def trigger_target(worker: str) -> str:
    """Target of operations that ask for a run of that worker."""
    return f"{TARGET_PREFIX}{worker}"


def cancel_run(tx: Tx, operation: OperationRow) -> OperationRow:
    """Of a run that was asked for and is cancelled: one that has not begun never will; else the runner ends it."""
    if end_pending_operation(tx, operation.name):
        workers.clear_trigger(tx, operation.target.removeprefix(TARGET_PREFIX))
    return find_operation(tx, operation.name) or operation


class StoredLedger:
    """Implements `controlplane.workers.runner.Ledger` over the metadata, for one process. Safe for many threads."""

    def __init__(self, store: Store, *, holder: bytes) -> None:
        """`holder` is the id of this process."""
        self._store = store
        self._holder = holder
        # Operations a run answers for, by run. A process that dies leaves them to whoever leads next, who fails them.
        self._operations: dict[int, list[str]] = {}

    def is_due(self, worker: str) -> bool:
        """Whether a run is due and nobody is known to lead, so that followers need not write to learn it."""
        return self._store.read(partial(_is_due, worker=worker))

    def standing(self, worker: str) -> WorkerStanding | None:
        """What the configuration and operators say about it now."""
        return self._store.read(partial(workers.find_standing, name=worker))

    def acquire(self, worker: str, ttl_s: float) -> Lease | None:
        return self._store.write(partial(leases.acquire, worker=worker, holder=self._holder, ttl_s=ttl_s))

    def renew(self, lease: Lease, ttl_s: float) -> Lease:
        """Raises LeaseLost."""
        return self._store.write(partial(leases.renew, lease=lease, ttl_s=ttl_s))

    def release(self, lease: Lease) -> None:
        self._store.write(partial(leases.release, lease=lease))

    def begin(self, lease: Lease) -> int:
        """A run begins, and with it every operation that was accepted for it. Raises LeaseLost."""
        run_id, operations = self._store.write(partial(_begin, lease=lease))
        self._operations[run_id] = operations
        return run_id

    def is_cancelled(self, run_id: int) -> bool:
        """Whether somebody who asked for the run wants it no more. Costs nothing for a run that nobody asked for."""
        operations = self._operations[run_id]
        return bool(operations) and self._store.read(partial(is_any_cancelled, names=operations))

    def end(self, lease: Lease, run_id: int, progress: Progress, error: str | None) -> None:
        """A run has ended, under its lease or after losing it: it only writes its own row and its own operations'.

        An operation whose run was stopped, or had more to do than one run may, has failed: who waits for it must know.
        """
        operations = self._operations.pop(run_id, [])

        def unit(tx: Tx) -> None:
            workers.end_run(tx, run_id, lease.worker, progress=progress, error=error)
            has_work_left = error is None and progress.has_more
            told = WORK_LEFT if has_work_left else error
            for name in operations:
                is_cancelled = has_work_left and is_any_cancelled(tx, [name])
                end_operation(tx, name, progress=progress, error=told, is_cancelled=is_cancelled)

        self._store.write(unit)


def _is_due(tx: Tx, worker: str) -> bool:
    for row in workers.list_workers(tx, worker):
        if row.lease_expires_at_us is not None and row.lease_expires_at_us > tx.now_us():
            return False
    return workers.is_due(tx, worker)


def _begin(tx: Tx, lease: Lease) -> tuple[int, list[str]]:
    leases.check(tx, lease)
    run_id = workers.begin_run(tx, lease)
    target = trigger_target(lease.worker)
    return run_id, begin_operations(tx, method=TRIGGER_METHOD, target=target)
