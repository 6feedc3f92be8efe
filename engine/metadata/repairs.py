"""Repairs: blobs that have too few or too many copies, from when that is noticed until rows say what they should."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import cast

from engine.metadata.store import Answer, Row, SqlValue, Tx
from engine.units import HOUR_S

BACKOFF_FIRST_S = 5
BACKOFF_MAX_S = 60
"""Tries that failed are repeated after 5 s, doubled up to a minute: what stood in the way may be back any time."""

REMEMBERED_S = HOUR_S
"""How long a repair that ended is remembered, so that people can see how long repairs take."""


class RepairKind(Enum):
    """What is wrong with a blob."""

    HEAL = "heal"
    """Copies are missing."""
    TRIM = "trim"
    """It has more copies than its scheme asks for."""


class RepairState(Enum):
    """How far a repair has come. One that is interrupted begins anew."""

    DETECTED = "detected"
    RECONSTRUCTING = "reconstructing"
    """Copies are being made, or read to see which are good."""
    PLACED = "placed"
    """Copies stand on their backends, synced; no row names them yet."""
    VERIFIED = "verified"
    """What was written was read back and is good."""
    SWITCHED = "switched"
    """Rows say what they should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """A repair that has not ended. `error` is why the last try failed, null when none has."""

    blob_id: bytes
    state: RepairState
    reason: str
    detected_at_us: int
    due_us: int
    attempt_count: int
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairCounts:
    """What waits of one kind, since when, and how long those took that ended within `REMEMBERED_S`."""

    waiting_count: int = 0
    oldest_us: int | None = None
    failing_count: int = 0
    ended_count: int = 0
    ended_total_us: int = 0
    slowest_us: int = 0


def ask_repair(tx: Tx, kind: RepairKind, blob_id: bytes, *, reason: str) -> Answer:
    """A blob is to be repaired; the answer counts none when it is waiting already. Repeating it is harmless."""
    return tx.ask(
        "insert_repair",
        {"kind": kind.value, "blob_id": blob_id, "reason": reason, "now_us": tx.now_us()},
    )


def list_due(tx: Tx, kind: RepairKind, *, count_max: int) -> list[Repair]:
    """Those to be tried now, the ones that wait longest first."""
    params: dict[str, SqlValue] = {"kind": kind.value, "now_us": tx.now_us(), "count_max": count_max}
    return [_read(row) for row in tx.rows("list_due_repairs", params)]


def list_repairs(tx: Tx, kind: RepairKind, *, after: bytes, count_max: int) -> list[Repair]:
    """Those that have not ended, in the order of their blobs."""
    params: dict[str, SqlValue] = {"kind": kind.value, "after": after, "count_max": count_max}
    return [_read(row) for row in tx.rows("list_repairs", params)]


def set_state(tx: Tx, kind: RepairKind, blob_ids: Sequence[bytes], state: RepairState) -> None:
    """How far they have come. Who has no row is passed over."""
    for blob_id in sorted(blob_ids):
        tx.ask("set_repair_state", {**_named(kind, blob_id), "state": state.value})


def postpone(tx: Tx, kind: RepairKind, repair: Repair, error: str) -> None:
    """A try failed: the next one comes later, as often as it takes."""
    pause_s = min(BACKOFF_FIRST_S * 2 ** min(repair.attempt_count, 10), BACKOFF_MAX_S)
    due_us = tx.now_us() + pause_s * 1_000_000
    tx.ask("postpone_repair", {**_named(kind, repair.blob_id), "due_us": due_us, "error": error})


def end(tx: Tx, kind: RepairKind, blob_id: bytes) -> None:
    """Rows say what they should. Ending it again is harmless."""
    tx.ask("end_repair", {**_named(kind, blob_id), "now_us": tx.now_us()})


def drop(tx: Tx, kind: RepairKind, blob_id: bytes) -> None:
    """There was nothing to repair, or the blob is gone."""
    tx.ask("drop_repair", _named(kind, blob_id))


def drop_all(tx: Tx, blob_ids: Sequence[bytes]) -> None:
    """The blobs are gone: where nothing can be repaired nobody would come to these for long.

    One that is asked for at this moment is dropped when its turn comes.
    """
    if not blob_ids or tx.row_or_none("has_repairs", {}) is None:
        return
    for blob_id in sorted(blob_ids):
        for kind in RepairKind:
            drop(tx, kind, blob_id)


def forget_ended(tx: Tx, *, count_max: int) -> int:
    """Repairs that ended long ago are remembered no more; how many went."""
    before_us = tx.now_us() - REMEMBERED_S * 1_000_000
    return tx.run("forget_repairs", {"before_us": before_us, "count_max": count_max})


def count_repairs(tx: Tx) -> dict[RepairKind, RepairCounts]:
    """What waits and what ended of late, of each kind."""
    found = {kind: RepairCounts() for kind in RepairKind}
    for kind, waiting, oldest, failing, ended, total, slowest in tx.rows("count_repairs", {}):
        found[RepairKind(kind)] = RepairCounts(
            waiting_count=cast(int, waiting),
            oldest_us=cast("int | None", oldest),
            failing_count=cast(int, failing),
            ended_count=cast(int, ended),
            ended_total_us=cast(int, total),
            slowest_us=cast(int, slowest),
        )
    return found


def _named(kind: RepairKind, blob_id: bytes) -> dict[str, SqlValue]:
    return {"kind": kind.value, "blob_id": blob_id}


def _read(row: Row) -> Repair:
    blob_id, state, reason, detected_at_us, due_us, attempt_count, error = row
    return Repair(
        blob_id=cast(bytes, blob_id),
        state=RepairState(state),
        reason=cast(str, reason),
        detected_at_us=cast(int, detected_at_us),
        due_us=cast(int, due_us),
        attempt_count=cast(int, attempt_count),
        error=cast("str | None", error),
    )
