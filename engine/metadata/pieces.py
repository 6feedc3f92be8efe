"""Pieces as those who look after bytes see them: with their blob, and when their bytes were last known good."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from engine.metadata import quota
from engine.metadata.columns import read_blob
from engine.metadata.store import Row, SqlValue, Tx
from engine.metadata.volumes import read_location
from engine.records import Blob, Location, LocationState

AFTER_ALL = "\U0010ffff"
"""Behind every storage key."""

_LOCATION_COLUMN_COUNT = 7
_BEFORE_ALL = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingPiece:
    """A piece with all that checking it takes."""

    location: Location
    blob: Blob
    verified_at_us: int


def list_pieces(
    tx: Tx, *, backend_id: int, after: str, count_max: int, before: str = AFTER_ALL
) -> list[StandingPiece]:
    """Pieces of a backend in the order of their storage keys, which on a volume is that of the disk."""
    params: dict[str, SqlValue] = {
        "backend_id": backend_id,
        "after": after,
        "before": before,
        "count_max": count_max,
    }
    return [_read(row) for row in tx.rows("list_pieces_by_key", params)]


def find_piece(tx: Tx, *, backend_id: int, storage_key: str) -> StandingPiece | None:
    """The piece that a storage key names now; null once it was moved or freed."""
    row = tx.row_or_none("find_piece", {"backend_id": backend_id, "storage_key": storage_key})
    return None if row is None else _read(row)


def list_pieces_of(tx: Tx, blob_id: bytes) -> list[StandingPiece]:
    """The pieces of a blob in order; none when it was freed."""
    return [_read(row) for row in tx.rows("list_blob_pieces", {"blob_id": blob_id})]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobPosition:
    """Where a walk over the blobs of a bucket has come to: a slice of a version of a key."""

    key: bytes
    version_seq: int = _BEFORE_ALL
    ordinal: int = -1


def list_bucket_blobs(
    tx: Tx, bucket_id: int, *, after: BlobPosition, before_key: bytes, count_max: int
) -> list[tuple[BlobPosition, bytes | None]]:
    """Blobs that versions of a bucket are made of, by key; null for a version without bytes, such as a marker."""
    params: dict[str, SqlValue] = {
        "bucket_id": bucket_id,
        "after_key": after.key,
        "after_seq": after.version_seq,
        "after_ordinal": after.ordinal,
        "before_key": before_key,
        "count_max": count_max,
    }
    return [
        (
            BlobPosition(
                key=cast(bytes, key), version_seq=cast(int, version_seq), ordinal=cast(int, ordinal)
            ),
            cast("bytes | None", blob_id),
        )
        for key, version_seq, ordinal, blob_id in tx.rows("list_bucket_blobs", params)
    ]


def list_bad(tx: Tx, *, backend_id: int, after: str, count_max: int) -> list[StandingPiece]:
    """Pieces that reads do not trust, in the order of their storage keys."""
    params: dict[str, SqlValue] = {"backend_id": backend_id, "after": after, "count_max": count_max}
    return [_read(row) for row in tx.rows("list_bad_pieces", params)]


def count_bad(tx: Tx, backend_id: int) -> dict[LocationState, int]:
    """How many pieces of a backend reads do not trust, by state."""
    rows = tx.rows("count_bad_pieces", {"backend_id": backend_id})
    return {LocationState(state): cast(int, count) for state, count in rows}


def mark_verified(tx: Tx, locations: Sequence[Location]) -> None:
    """All their bytes were just read and are good; one that moved meanwhile is passed over."""
    now_us = tx.now_us()
    for each in locations:
        tx.ask("mark_piece_verified", {**_named(each), "now_us": now_us})


def correct_size(tx: Tx, location: Location, stored_bytes: int, changes: quota.Changes) -> bool:
    """The row said something else than the piece occupies; false when it moved meanwhile."""
    changed = tx.run(
        "correct_piece_size",
        {**_named(location), "stored_bytes": stored_bytes, "told_bytes": location.stored_bytes},
    )
    if changed:
        subject = quota.backend_subject(location.backend_id)
        changes.find(subject, used_bytes=stored_bytes - location.stored_bytes)
    return changed == 1


def _named(location: Location) -> dict[str, SqlValue]:
    return {
        "blob_id": location.blob_id,
        "piece_index": location.piece_index,
        "backend_id": location.backend_id,
        "storage_key": location.storage_key,
    }


def _read(row: Row) -> StandingPiece:
    location = read_location(row[:_LOCATION_COLUMN_COUNT])
    return StandingPiece(
        location=location,
        verified_at_us=cast(int, row[_LOCATION_COLUMN_COUNT]),
        blob=read_blob(location.blob_id, *row[_LOCATION_COLUMN_COUNT + 1 :]),
    )
