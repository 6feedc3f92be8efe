"""What runners keep in the database: leases, runs, and the operations that asked for a run."""

from functools import partial

from engine.metadata import leases, workers
from engine.metadata.operations import begin_operations, end_operation
from engine.metadata.store import Store, Tx
from engine.records import Lease, Progress

TRIGGER_METHOD = "penstock.admin.v1.WorkerService/TriggerWorker"
"""Method of operations that ask for a run."""

WORK_LEFT = "ended with work left, which the next run goes on with"


def trigger_target(worker: str) -> str:
    """Target of operations that ask for a run of that worker."""
    return f"workers/{worker}"


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

    def end(self, lease: Lease, run_id: int, progress: Progress, error: str | None) -> None:
        """A run has ended, under its lease or after losing it: it only writes its own row and its own operations'.

        An operation whose run was stopped, or had more to do than one run may, has failed: who waits for it must know.
        """
        operations = self._operations.pop(run_id, [])

        def unit(tx: Tx) -> None:
            workers.end_run(tx, run_id, lease.worker, progress=progress, error=error)
            told = WORK_LEFT if error is None and progress.has_more else error
            for name in operations:
                end_operation(tx, name, progress=progress, error=told)

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
