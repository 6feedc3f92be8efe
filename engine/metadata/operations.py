"""Rows of long-running admin actions: accepted, at work, ended; readable by any instance."""

import json
from dataclasses import dataclass
from enum import Enum
from typing import cast

from engine.metadata.store import Row, Tx
from engine.records import Progress


class OperationState(Enum):
    """Where an operation stands."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in (OperationState.SUCCEEDED, OperationState.FAILED, OperationState.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRow:
    """An operation as the database knows it."""

    name: str
    method: str
    target: str
    state: OperationState
    progress: Progress
    error: str | None
    created_at_us: int
    finished_at_us: int | None


def accept_operation(tx: Tx, *, name: str, method: str, target: str) -> OperationRow:
    """Accept an action, or return the one of its kind that was accepted before and has not begun."""
    waiting = tx.row_or_none("find_pending_operation", {"target": target, "method": method})
    if waiting is not None:
        return _read(waiting)
    now_us = tx.now_us()
    tx.run(
        "insert_operation",
        {"name": name, "method": method, "target": target, "request": "{}", "now_us": now_us},
    )
    return _read(tx.row("find_operation", {"name": name}))


def find_operation(tx: Tx, name: str) -> OperationRow | None:
    row = tx.row_or_none("find_operation", {"name": name})
    return None if row is None else _read(row)


def begin_operations(tx: Tx, *, method: str, target: str) -> list[str]:
    """What was accepted for a resource is at work now; what a dead process left at work has failed. The names begun."""
    tx.run("fail_interrupted_operations", {"target": target, "method": method, "now_us": tx.now_us()})
    return [cast(str, name) for (name,) in tx.rows("begin_operations", {"target": target, "method": method})]


def end_operation(tx: Tx, name: str, *, progress: Progress, error: str | None) -> None:
    """Repeating it is harmless: an operation ends once."""
    counts = {"done_count": progress.done_count, "deferred_count": progress.deferred_count}
    state = OperationState.SUCCEEDED if error is None else OperationState.FAILED
    tx.run(
        "end_operation",
        {
            "name": name,
            "state": state.value,
            "progress": json.dumps(counts),
            "error": error,
            "now_us": tx.now_us(),
        },
    )


def _read(row: Row) -> OperationRow:
    name, method, target, state, progress, error, created_at_us, finished_at_us = row
    return OperationRow(
        name=cast(str, name),
        method=cast(str, method),
        target=cast(str, target),
        state=OperationState(state),
        progress=Progress(**json.loads(cast(str, progress))) if progress is not None else Progress(),
        error=cast("str | None", error),
        created_at_us=cast(int, created_at_us),
        finished_at_us=cast("int | None", finished_at_us),
    )
