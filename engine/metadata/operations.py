"""Rows of long-running admin actions: accepted, at work, ended; readable by any instance."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any, cast

from engine.errors import MalformedField, NoSuchResource, OperationOpen
from engine.metadata.store import Row, Tx
from engine.records import Progress
from engine.units import DAY_S

TRIGGER_METHOD = "penstock.admin.v1.WorkerService/TriggerWorker"
"""Method of operations that ask for a run of a worker: the worker's runner carries them out, and one may wait while
another runs. All others are long work, of which one is open for a method and a target."""

KEEP_S = 30.0 * DAY_S
KEEP_COUNT = 1000
"""Ended operations are kept so long, and so many of them."""

DROP_COUNT_MAX = 500


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
class OperationProgress:
    """How far an operation is. Totals are null where they are not known; rates are those of the last half minute."""

    done_count: int = 0
    deferred_count: int = 0
    failed_count: int = 0
    done_bytes: int = 0
    is_measured: bool = False
    total_count: int | None = None
    total_bytes: int | None = None
    items_per_second: float = 0.0
    bytes_per_second: float = 0.0
    stage: str = ""
    current_item: str = ""
    warning_count: int = 0
    """All warnings, those included that are not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRow:
    """An operation as the database knows it. `holder` is the process that took it up last."""

    name: str
    method: str
    target: str
    request: Mapping[str, Any] = field(hash=False)
    state: OperationState
    progress: OperationProgress
    cursor: str | None
    is_cancel_requested: bool
    warnings: tuple[str, ...]
    result: Mapping[str, Any] | None = field(hash=False)
    error: str | None
    error_reason: str | None
    creator: str | None
    request_id: str | None
    cancelled_by: str | None
    holder: bytes | None
    created_at_us: int
    started_at_us: int | None
    finished_at_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationFilter:
    """Which operations a list is of; null asks for all."""

    state: OperationState | None = None
    method: str | None = None
    target: str | None = None


def start(
    tx: Tx,
    *,
    name: str,
    method: str,
    target: str,
    request: Mapping[str, object],
    creator: str | None,
    request_id: str | None = None,
) -> OperationRow:
    """Accept long work under a fresh name, `operations/{id}`; `request` is a JSON object that its kind understands.

    While one of that method and target is open, that one is answered, whatever its request; and what a `request_id`
    started is answered to the same one again, ended or not. So who compares names knows whether it is new. Raises
    MalformedField for a `request_id` that stood for something else.
    """
    if request_id is not None:
        found = tx.row_or_none("find_operation_by_request", {"method": method, "request_id": request_id})
        if found is not None:
            known = read_operation(found)
            if (known.target, known.request) != (target, json.loads(json.dumps(request))):
                raise MalformedField("request_id", f"it stands for another request, {known.name}")
            return known
    opened = find_open_operation(tx, method=method, target=target)
    if opened is not None:
        return opened
    # Two that find none at the same time: a unique index refuses the second, whose unit is run again.
    return _insert(tx, name, method, target, json.dumps(request, ensure_ascii=False), creator, request_id)


def accept_operation(
    tx: Tx, *, name: str, method: str, target: str, creator: str | None = None
) -> OperationRow:
    """Accept an action, or return the one of its kind that was accepted before and has not begun."""
    waiting = tx.row_or_none("find_pending_operation", {"target": target, "method": method})
    if waiting is not None:
        return read_operation(waiting)
    return _insert(tx, name, method, target, "{}", creator, None)


def find_operation(tx: Tx, name: str) -> OperationRow | None:
    row = tx.row_or_none("find_operation", {"name": name})
    return None if row is None else read_operation(row)


def find_open_operation(tx: Tx, *, method: str, target: str) -> OperationRow | None:
    """The long work of that kind on that resource that has not ended."""
    row = tx.row_or_none("find_open_operation", {"target": target, "method": method})
    return None if row is None else read_operation(row)


def list_operations(
    tx: Tx, wanted: OperationFilter, *, before: tuple[int, str] | None = None, count_max: int
) -> list[OperationRow]:
    """The newest first, from behind a position: creation time and name of the last one seen."""
    before_us, before_name = before or (None, None)
    params = {
        "state": None if wanted.state is None else wanted.state.value,
        "method": wanted.method,
        "target": wanted.target,
        "before_us": before_us,
        "before_name": before_name,
        "count_max": count_max,
    }
    return [read_operation(row) for row in tx.rows("list_operations", params)]


def request_cancel(tx: Tx, name: str, *, creator: str | None) -> OperationRow:
    """Ask an operation to stop after the step at hand; one that has ended stays as it is. Raises NoSuchResource."""
    tx.run("cancel_operation", {"name": name, "creator": creator})
    return _known(tx, name)


def delete_operation(tx: Tx, name: str) -> None:
    """Forget one that has ended. Raises NoSuchResource, and OperationOpen for one that has not."""
    if not tx.run("delete_operation", {"name": name}):
        raise OperationOpen(name=_known(tx, name).name)


def drop_ended(tx: Tx, *, keep_count: int = KEEP_COUNT, count_max: int = DROP_COUNT_MAX) -> int:
    """Forget ended operations that are too old or too many; how many went."""
    before_us = tx.now_us() - int(KEEP_S * 1_000_000)
    return tx.run(
        "drop_operations", {"before_us": before_us, "keep_count": keep_count, "count_max": count_max}
    )


def begin_operations(tx: Tx, *, method: str, target: str) -> list[str]:
    """What was accepted for a resource is at work now; what a dead process left at work has failed. The names begun."""
    tx.run("fail_interrupted_operations", {"target": target, "method": method, "now_us": tx.now_us()})
    begun = tx.rows("begin_operations", {"target": target, "method": method, "now_us": tx.now_us()})
    return [cast(str, name) for (name,) in begun]


def end_pending_operation(tx: Tx, name: str) -> bool:
    """Cancelled before it began; false when it has begun."""
    return tx.run("end_pending_operation", {"name": name, "now_us": tx.now_us()}) == 1


def is_any_cancelled(tx: Tx, names: Sequence[str]) -> bool:
    """Whether one of these was asked to stop."""
    found = [find_operation(tx, name) for name in names]
    return any(each is not None and each.is_cancel_requested for each in found)


def end_operation(
    tx: Tx, name: str, *, progress: Progress, error: str | None, is_cancelled: bool = False
) -> None:
    """Repeating it is harmless: an operation ends once."""
    counts = OperationProgress(done_count=progress.done_count, deferred_count=progress.deferred_count)
    state = OperationState.SUCCEEDED if error is None else OperationState.FAILED
    if is_cancelled:
        state, error = OperationState.CANCELLED, None
    tx.run(
        "end_operation",
        {
            "name": name,
            "state": state.value,
            "progress": write_progress(counts),
            "error": error,
            "now_us": tx.now_us(),
        },
    )


def write_progress(progress: OperationProgress) -> str:
    return json.dumps(asdict(progress), ensure_ascii=False)


def read_operation(row: Row) -> OperationRow:
    """From the columns that every statement on operations answers."""
    return OperationRow(
        name=cast(str, row[0]),
        method=cast(str, row[1]),
        target=cast(str, row[2]),
        request=json.loads(cast(str, row[3])),
        state=OperationState(row[4]),
        progress=OperationProgress() if row[5] is None else _read_progress(cast(str, row[5])),
        cursor=cast("str | None", row[6]),
        is_cancel_requested=bool(row[7]),
        warnings=() if row[8] is None else tuple(json.loads(cast(str, row[8]))),
        result=None if row[9] is None else json.loads(cast(str, row[9])),
        error=cast("str | None", row[10]),
        error_reason=cast("str | None", row[11]),
        creator=cast("str | None", row[12]),
        request_id=cast("str | None", row[13]),
        cancelled_by=cast("str | None", row[14]),
        holder=cast("bytes | None", row[15]),
        created_at_us=cast(int, row[16]),
        started_at_us=cast("int | None", row[17]),
        finished_at_us=cast("int | None", row[18]),
    )


def _read_progress(text: str) -> OperationProgress:
    """What another version wrote may have more in it, or less."""
    known = OperationProgress.__dataclass_fields__
    return OperationProgress(**{name: value for name, value in json.loads(text).items() if name in known})


def _insert(
    tx: Tx,
    name: str,
    method: str,
    target: str,
    request: str,
    creator: str | None,
    request_id: str | None,
) -> OperationRow:
    tx.run(
        "insert_operation",
        {
            "name": name,
            "method": method,
            "target": target,
            "request": request,
            "creator": creator,
            "request_id": request_id,
            "now_us": tx.now_us(),
        },
    )
    return _known(tx, name)


def _known(tx: Tx, name: str) -> OperationRow:
    found = find_operation(tx, name)
    if found is None:
        raise NoSuchResource(name=name)
    return found
