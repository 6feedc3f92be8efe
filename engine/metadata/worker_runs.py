"""The history of workers' runs."""

from dataclasses import dataclass
from typing import cast

from engine.metadata.store import Row, Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One run. `is_under_way`: its process still holds the lease; one that has not ended and is not has died."""

    run_id: int
    worker: str
    holder: bytes
    started_at_us: int
    finished_at_us: int | None
    done_count: int
    deferred_count: int
    error: str | None
    is_under_way: bool


def list_runs(tx: Tx, worker: str | None, *, before_id: int | None = None, count_max: int) -> list[RunRow]:
    """Runs of a worker, or of all, the newest first, before one."""
    rows = tx.rows("list_worker_runs", {"worker": worker, "before_id": before_id, "count_max": count_max})
    return [_read(row, tx.now_us()) for row in rows]


def find_run(tx: Tx, worker: str, run_id: int) -> RunRow | None:
    row = tx.row_or_none("find_worker_run", {"worker": worker, "run_id": run_id})
    return None if row is None else _read(row, tx.now_us())


def _read(row: Row, now_us: int) -> RunRow:
    expires_at_us = cast("int | None", row[8])
    return RunRow(
        run_id=cast(int, row[0]),
        worker=cast(str, row[1]),
        holder=cast(bytes, row[2]),
        started_at_us=cast(int, row[3]),
        finished_at_us=cast("int | None", row[4]),
        done_count=cast(int, row[5]),
        deferred_count=cast(int, row[6]),
        error=cast("str | None", row[7]),
        is_under_way=row[4] is None and expires_at_us is not None and expires_at_us > now_us,
    )
