"""What a comparison of rows and bytes found, kept until it is settled or not found again."""

from dataclasses import dataclass
from enum import Enum
from typing import cast

from engine.metadata.store import Row, SqlValue, Tx

KEPT_COUNT_MAX = 10_000
"""Findings kept of one backend and direction; more are only counted."""


class Direction(Enum):
    """Which way one looks: whether what rows name stands, or whether rows name what stands."""

    ROWS = "rows"
    BYTES = "bytes"


class DiscrepancyKind(Enum):
    """What is wrong; the value is what the database says."""

    MISSING = "missing"
    ORPHAN = "orphan"
    SIZE = "size"
    CHECKSUM = "checksum"
    FOREIGN = "foreign"
    STATE = "state"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """One thing that is wrong. `subject` is a storage key, `volume <id>`, or a file's name."""

    backend_id: int
    direction: Direction
    kind: DiscrepancyKind
    subject: str
    size_bytes: int
    detail: str
    blob_id: bytes | None = None
    piece_index: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    """A kept finding. `resolution` says what was done about it; it stands until it has a time."""

    discrepancy_id: int
    mismatch: Mismatch
    found_at_us: int
    resolution: str | None
    resolved_at_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscrepancyCount:
    """How many findings of one sort there are on a backend."""

    backend_id: int
    direction: Direction
    kind: DiscrepancyKind
    is_settled: bool
    count: int
    size_bytes: int


def note(tx: Tx, mismatch: Mismatch, *, run_id: bytes) -> None:
    """Keep a finding; one that was kept before stands anew."""
    params: dict[str, SqlValue] = {
        "backend_id": mismatch.backend_id,
        "direction": mismatch.direction.value,
        "kind": mismatch.kind.value,
        "subject": mismatch.subject,
        "blob_id": mismatch.blob_id,
        "piece_index": mismatch.piece_index,
        "size_bytes": mismatch.size_bytes,
        "detail": mismatch.detail,
        "run_id": run_id,
        "now_us": tx.now_us(),
    }
    tx.run("upsert_discrepancy", params)


def find_discrepancy(tx: Tx, mismatch: Mismatch) -> Discrepancy | None:
    """The kept finding about the same; null when there is none."""
    params: dict[str, SqlValue] = {
        "backend_id": mismatch.backend_id,
        "kind": mismatch.kind.value,
        "subject": mismatch.subject,
    }
    row = tx.row_or_none("find_discrepancy", params)
    return None if row is None else _read(row)


def list_discrepancies(
    tx: Tx,
    *,
    after: int,
    count_max: int,
    backend_id: int | None = None,
    kind: DiscrepancyKind | None = None,
    only_open: bool = False,
) -> list[Discrepancy]:
    """In the order of finding."""
    params: dict[str, SqlValue] = {
        "after": after,
        "count_max": count_max,
        "backend_id": backend_id,
        "kind": None if kind is None else kind.value,
        "is_open": int(only_open),
    }
    return [_read(row) for row in tx.rows("list_discrepancies", params)]


def note_resolution(tx: Tx, discrepancy_id: int, resolution: str, *, is_settled: bool) -> None:
    """What was done; unsettled, it is found in the list again."""
    params: dict[str, SqlValue] = {
        "discrepancy_id": discrepancy_id,
        "resolution": resolution,
        "resolved_at_us": tx.now_us() if is_settled else None,
    }
    tx.run("note_resolution", params)


def forget_unseen(tx: Tx, *, backend_id: int, direction: Direction, run_id: bytes) -> int:
    """A comparison has ended: what it did not see is no more. How many findings that were."""
    params: dict[str, SqlValue] = {
        "backend_id": backend_id,
        "direction": direction.value,
        "run_id": run_id,
    }
    return tx.run("forget_discrepancies", params)


def count_discrepancies(tx: Tx) -> list[DiscrepancyCount]:
    return [
        DiscrepancyCount(
            backend_id=cast(int, backend_id),
            direction=Direction(direction),
            kind=DiscrepancyKind(kind),
            is_settled=bool(is_settled),
            count=cast(int, count),
            size_bytes=cast(int, size_bytes),
        )
        for backend_id, direction, kind, is_settled, count, size_bytes in tx.rows("count_discrepancies", {})
    ]


def _read(row: Row) -> Discrepancy:
    return Discrepancy(
        discrepancy_id=cast(int, row[0]),
        mismatch=Mismatch(
            backend_id=cast(int, row[1]),
            direction=Direction(row[2]),
            kind=DiscrepancyKind(row[3]),
            subject=cast(str, row[4]),
            blob_id=cast("bytes | None", row[5]),
            piece_index=cast("int | None", row[6]),
            size_bytes=cast(int, row[7]),
            detail=cast(str, row[8]),
        ),
        found_at_us=cast(int, row[9]),
        resolution=cast("str | None", row[10]),
        resolved_at_us=cast("int | None", row[11]),
    )
