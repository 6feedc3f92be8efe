"""Workers' settings and the history of their runs."""

from dataclasses import dataclass
from typing import cast

from engine.metadata.store import SqlValue, Tx
from engine.records import Lease, Progress

RUN_KEEP_COUNT = 100
"""Runs that are kept of each worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """A worker as the database knows it. Times are null when there was no such run."""

    worker: str
    is_enabled: bool
    interval_s: float
    triggered_at_us: int | None
    is_paused: bool
    leader: bytes | None
    lease_expires_at_us: int | None
    last_started_us: int | None
    last_success_us: int | None
    last_failure_us: int | None
    last_error: str | None
    consecutive_failure_count: int


def apply_worker(tx: Tx, name: str, *, is_enabled: bool, interval_s: float) -> None:
    """A worker's settings as a generation has them."""
    params: dict[str, SqlValue] = {"worker": name, "is_enabled": int(is_enabled), "interval_s": interval_s}
    if not tx.run("insert_worker", params):
        tx.run("update_worker", params)


def list_workers(tx: Tx, name: str | None = None) -> list[WorkerRow]:
    """All workers by name, or the one of that name."""
    return [
        WorkerRow(
            worker=cast(str, row[0]),
            is_enabled=bool(row[1]),
            interval_s=cast(float, row[2]),
            triggered_at_us=cast("int | None", row[3]),
            is_paused=row[4] is not None,
            leader=cast("bytes | None", row[5]),
            lease_expires_at_us=cast("int | None", row[6]) if row[5] is not None else None,
            last_started_us=cast("int | None", row[7]),
            last_success_us=cast("int | None", row[8]),
            last_failure_us=cast("int | None", row[9]),
            last_error=cast("str | None", row[10]),
            consecutive_failure_count=cast(int, row[11]),
        )
        for row in tx.rows("list_workers", {"worker": name})
    ]


def is_due(tx: Tx, name: str) -> bool:
    """Whether it is enabled and not paused, and was triggered or has rested for its interval."""
    for row in list_workers(tx, name):
        if not row.is_enabled or row.is_paused:
            return False
        if row.triggered_at_us is not None or row.last_started_us is None:
            return True
        return tx.now_us() - row.last_started_us >= row.interval_s * 1_000_000
    return False


def trigger(tx: Tx, name: str) -> bool:
    """Ask for a run now; false when there is no such worker."""
    return tx.run("trigger_worker", {"worker": name, "now_us": tx.now_us()}) == 1


def begin_run(tx: Tx, lease: Lease) -> int:
    """A run begins; what was triggered before is this run. Its id."""
    tx.run("clear_trigger", {"worker": lease.worker})
    row = tx.row(
        "begin_run",
        {"worker": lease.worker, "holder": lease.holder, "token": lease.token, "now_us": tx.now_us()},
    )
    return cast(int, row[0])


def end_run(tx: Tx, run_id: int, worker: str, *, progress: Progress, error: str | None) -> None:
    tx.run(
        "end_run",
        {
            "run_id": run_id,
            "done_count": progress.done_count,
            "deferred_count": progress.deferred_count,
            "error": error,
            "now_us": tx.now_us(),
        },
    )
    tx.run("forget_runs", {"worker": worker, "keep_count": RUN_KEEP_COUNT})
