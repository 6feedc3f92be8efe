"""What whoever carries a long operation out writes: taken up under a lease, a step stored after the other, ended."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from engine.metadata import leases
from engine.metadata.operations import (
    TRIGGER_METHOD,
    OperationProgress,
    OperationRow,
    OperationState,
    find_operation,
    write_progress,
)
from engine.metadata.store import Tx
from engine.records import Lease

OPEN_COUNT_MAX = 1000
"""Most open operations that are looked at at once, the oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOperation:
    """Long work that has not ended. `is_held`: somebody has its lease."""

    name: str
    method: str
    is_cancel_requested: bool
    is_held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An operation that is ours for as long as the lease is. `claim_count` claims, this one included, had no step."""

    lease: Lease
    operation: OperationRow
    claim_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an operation ended. `error` and its reason are for one that failed, `result` for one that succeeded."""

    state: OperationState
    result: Mapping[str, object] | None = None
    error: str | None = None
    error_reason: str | None = None


def list_open(tx: Tx) -> list[OpenOperation]:
    """Long work that has not ended, the oldest first."""
    now_us = tx.now_us()
    return [
        OpenOperation(
            name=cast(str, name),
            method=cast(str, method),
            is_cancel_requested=bool(is_cancel_requested),
            is_held=holder is not None and cast(int, expires_at_us) > now_us,
        )
        for name, method, is_cancel_requested, holder, expires_at_us in tx.rows(
            "list_open_operations", {"other_method": TRIGGER_METHOD, "count_max": OPEN_COUNT_MAX}
        )
    ]


def claim(tx: Tx, name: str, *, holder: bytes, ttl_s: float) -> Claim | None:
    """Take an operation up, or on where somebody left it; null while it is held, or when it has ended."""
    lease = leases.acquire(tx, worker=name, holder=holder, ttl_s=ttl_s)
    if lease is None:
        return None
    row = tx.row_or_none("claim_operation", {"name": name, "holder": holder, "now_us": tx.now_us()})
    operation = None if row is None else find_operation(tx, name)
    if row is None or operation is None:
        leases.forget(tx, name)
        return None
    return Claim(lease=lease, operation=operation, claim_count=cast(int, row[0]))


def resume(tx: Tx, lease: Lease, *, ttl_s: float) -> OperationRow:
    """Go on after the database was away: the lease for longer, and what was stored. Raises LeaseLost."""
    leases.renew(tx, lease, ttl_s=ttl_s)
    operation = find_operation(tx, lease.worker)
    assert operation is not None, "an open operation is not deleted, and the lease of an ended one is gone"
    return operation


def store_step(
    tx: Tx, lease: Lease, *, cursor: str | None, progress: OperationProgress, warnings: Sequence[str]
) -> bool:
    """Where the next step begins; whether somebody asked the operation to stop. Raises LeaseLost."""
    leases.check(tx, lease)
    row = tx.row(
        "store_operation_step",
        {
            "name": lease.worker,
            "cursor": cursor,
            "progress": write_progress(progress),
            "warnings": _write_warnings(warnings),
        },
    )
    return bool(row[0])


def finish(
    tx: Tx, lease: Lease, ending: Ending, *, progress: OperationProgress, warnings: Sequence[str]
) -> None:
    """The operation has ended, and its lease with it. Raises LeaseLost, also when it had ended before."""
    leases.check(tx, lease)
    tx.run(
        "finish_operation",
        {
            "name": lease.worker,
            "state": ending.state.value,
            "progress": write_progress(progress),
            "warnings": _write_warnings(warnings),
            "result": None if ending.result is None else json.dumps(ending.result, ensure_ascii=False),
            "error": ending.error,
            "error_reason": ending.error_reason,
            "now_us": tx.now_us(),
        },
    )
    leases.forget(tx, lease.worker)


def _write_warnings(warnings: Sequence[str]) -> str | None:
    return json.dumps(list(warnings), ensure_ascii=False) if warnings else None
