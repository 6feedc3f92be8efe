"""Reading versions: the current one of a key with all that serving it takes, in one read."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, cast

from engine.errors import IsDeleteMarker, NoSuchBucket, NoSuchKey, NoSuchVersion
from engine.metadata.buckets import bucket_of
from engine.metadata.columns import read_blob, read_checksums, read_headers
from engine.metadata.remembered import RememberedRows
from engine.metadata.store import Row, SqlValue, Store, Tx
from engine.names import ObjectKey
from engine.records import Blob, Location, LocationState, Segment, StoredSlice, StoredVersion, Version

REMEMBERED_COUNT = 1024
SLICE_COUNT_MAX = 64
"""Slices that come with a version; a reader asks for the rest as it gets there."""

_FIND_CURRENT = "find_current_version"
_FIND_VERSION = "find_version"
# Where the columns of the version and those of a piece begin in its rows.
_BUCKET_COLUMNS = 11
_MARKER_COLUMN = 13
_CREATED_COLUMN = 25
_LOCATION_COLUMN = 35
_SLICE_BLOB_COLUMN = 2
_BLOB_COLUMN = 26


def find_current(tx: Tx, bucket: str, key: bytes, *, count_max: int = SLICE_COUNT_MAX) -> StoredVersion:
    """The key's current version with its first slices; raises NoSuchBucket and NoSuchKey (a delete marker is none)."""
    rows = tx.rows(_FIND_CURRENT, {"bucket": bucket, "object_key": key})
    return _with_slices(tx, _read_current(tuple(rows), bucket, key), count_max)


def find_version(
    tx: Tx, bucket: str, key: bytes, version_id: str, *, count_max: int = SLICE_COUNT_MAX
) -> StoredVersion:
    """One version of a key by its id, as `find_current` gives the current one.

    Raises NoSuchBucket, NoSuchVersion, and IsDeleteMarker where there is nothing to read.
    """
    rows = tx.rows(_FIND_VERSION, {"bucket": bucket, "object_key": key, "version_id": version_id})
    if rows and rows[0][_BUCKET_COLUMNS] is None:
        raise NoSuchVersion(bucket=bucket, key=key, version_id=version_id)
    if rows and rows[0][_MARKER_COLUMN]:
        raise IsDeleteMarker(
            bucket=bucket,
            key=key,
            version_id=version_id,
            created_at_us=cast(int, rows[0][_CREATED_COLUMN]),
        )
    return _with_slices(tx, _read_current(tuple(rows), bucket, key), count_max)


def _with_slices(tx: Tx, stored: StoredVersion, count_max: int) -> StoredVersion:
    version = stored.version
    if stored.slices or not version.size_bytes:
        return stored
    slices = read_slices(tx, version.version_seq, count_max=count_max)
    covered = slices[-1].segment.start_offset + slices[-1].segment.length if slices else 0
    return replace(stored, slices=slices, has_more_slices=covered < version.size_bytes)


def look_up_current(store: Store, bucket: str, key: bytes) -> StoredVersion:
    """As `find_current`, in one statement for all versions but those of several blobs."""
    return read_looked_up(store, look_up_rows(store, bucket, key), bucket, key)


def look_up_rows(store: Store, bucket: str, key: bytes) -> tuple[Row, ...]:
    """What one statement says of a bucket and a key's current version, for `read_looked_up`."""
    return tuple(store.look(_FIND_CURRENT, {"bucket": bucket, "object_key": key}))


def read_looked_up(store: Store, rows: tuple[Row, ...], bucket: str, key: bytes) -> StoredVersion:
    """The version of looked-up rows, with its first slices; raises NoSuchBucket and NoSuchKey."""
    stored = _read_current(rows, bucket, key)
    if stored.slices or not stored.version.size_bytes:
        return stored
    return store.read(lambda tx: find_current(tx, bucket, key))


def gather_rows(tx: Tx, bucket: str, key: bytes, *, slice_count_max: int) -> RememberedRows | None:
    """All rows that reading a key takes; null when there is no version, or it has more slices than that."""
    rows = tuple(tx.rows(_FIND_CURRENT, {"bucket": bucket, "object_key": key}))
    if not holds_version(rows):
        return None
    stored = _read_current(rows, bucket, key)
    if stored.slices or not stored.version.size_bytes:
        return RememberedRows(version=rows)
    params: dict[str, SqlValue] = {
        "version_seq": stored.version.version_seq,
        "after_ordinal": -1,
        "count_max": slice_count_max + 1,
    }
    slices = tx.rows("list_version_slices", params)
    if len(slices) > slice_count_max:
        return None
    asked = [tx.ask("list_blob_locations", {"blob_id": row[_SLICE_BLOB_COLUMN]}) for row in slices]
    return RememberedRows(version=rows, slices=slices, pieces=[each.rows() for each in asked])


def holds_version(rows: Sequence[Row]) -> bool:
    """Whether looked-up rows tell of a version that can be read."""
    return bool(rows) and rows[0][_BUCKET_COLUMNS] is not None and not rows[0][_MARKER_COLUMN]


def is_whole(rows: Sequence[Row]) -> bool:
    """Whether the rows of a version are all that reading it takes: it has one blob, or no bytes."""
    return rows[0][_BLOB_COLUMN] is not None or not rows[0][_BUCKET_COLUMNS + 3]


def read_remembered(rows: RememberedRows, bucket: str, key: bytes, *, age_s: float) -> StoredVersion:
    """The version that remembered rows describe, whole, and marked with their age."""
    stored = _read_current(tuple(rows.version), bucket, key)
    slices = tuple(
        _read_slice(row, read_pieces(cast(bytes, row[_SLICE_BLOB_COLUMN]), pieces))
        for row, pieces in zip(rows.slices, rows.pieces, strict=True)
    )
    return replace(stored, slices=stored.slices or slices, degraded_age_s=age_s)


@lru_cache(maxsize=REMEMBERED_COUNT)
def _read_current(rows: tuple[Row, ...], bucket: str, key: bytes) -> StoredVersion:
    """What `find_current_version` or its like gave; a version of several blobs is left without its slices.

    Remembered by all that was read: rows are asked for every time, only taking the same ones apart again is spared.
    """
    if not rows:
        raise NoSuchBucket(bucket=bucket)
    # Columns come untyped; this is the hottest of all reads, so they are not cast one by one.
    first: Any = rows[0]
    (
        version_seq,
        version_id,
        is_delete_marker,
        size_bytes,
        etag,
        content_type,
        headers,
        user_metadata,
        tags,
        checksums,
        part_count,
        storage_class,
        sse_kind,
        account_id,
        created_at_us,
        blob_id,
        stored_bytes,
        scheme,
        key_id,
        wrapped_dek,
        frame_bytes,
        block_crcs,
        content_hash,
        dedup_domain,
    ) = first[_BUCKET_COLUMNS:_LOCATION_COLUMN]
    if version_seq is None:
        raise NoSuchKey(bucket=bucket, key=key)
    if is_delete_marker:
        raise NoSuchKey(bucket=bucket, key=key, marker_version_id=version_id)
    found = bucket_of((first[0], bucket, *first[1:_BUCKET_COLUMNS]))
    version = Version(
        version_seq=version_seq,
        bucket_id=found.bucket_id,
        key=ObjectKey(key),
        version_id=version_id,
        size_bytes=size_bytes,
        etag=etag,
        headers=read_headers(content_type, headers, user_metadata, tags, storage_class),
        checksums=read_checksums(checksums),
        part_count=part_count,
        sse_kind=sse_kind,
        account_id=account_id,
        created_at_us=created_at_us,
    )
    slices: tuple[StoredSlice, ...] = ()
    if blob_id is not None:
        blob = read_blob(
            blob_id,
            size_bytes,
            stored_bytes,
            scheme,
            key_id,
            wrapped_dek,
            frame_bytes,
            block_crcs,
            content_hash,
            dedup_domain,
        )
        locations = read_pieces(blob_id, [row[_LOCATION_COLUMN:] for row in rows])
        segment = Segment(ordinal=0, start_offset=0, blob_id=blob_id, blob_offset=0, length=size_bytes)
        slices = (StoredSlice(segment=segment, blob=blob, locations=locations),)
    return StoredVersion(bucket=found, version=version, slices=slices, has_more_slices=False)


def read_slices(
    tx: Tx, version_seq: int, *, after_ordinal: int = -1, count_max: int = SLICE_COUNT_MAX
) -> list[StoredSlice]:
    """Slices of a segmented version after an ordinal, in order."""
    params: dict[str, SqlValue] = {
        "version_seq": version_seq,
        "after_ordinal": after_ordinal,
        "count_max": count_max,
    }
    rows = tx.rows("list_version_slices", params)
    asked = [tx.ask("list_blob_locations", {"blob_id": row[_SLICE_BLOB_COLUMN]}) for row in rows]
    return [
        _read_slice(row, read_pieces(cast(bytes, row[_SLICE_BLOB_COLUMN]), each.rows()))
        for row, each in zip(rows, asked, strict=True)
    ]


def _read_slice(row: Row, locations: tuple[Location, ...]) -> StoredSlice:
    ordinal, start_offset, blob_id, blob_offset, length, part_number, *blob_columns = row
    blob = read_blob(blob_id, *blob_columns)
    segment = Segment(
        ordinal=cast(int, ordinal),
        start_offset=cast(int, start_offset),
        blob_id=blob.blob_id,
        blob_offset=cast(int, blob_offset),
        length=cast(int, length),
        part_number=cast("int | None", part_number),
    )
    return StoredSlice(segment=segment, blob=blob, locations=locations)


def find_ordinal_at(tx: Tx, version_seq: int, offset: int) -> int:
    """Ordinal of the slice that holds a byte of a segmented version."""
    (ordinal,) = tx.row("find_ordinal_at", {"version_seq": version_seq, "offset": offset})
    return cast(int, ordinal)


def read_locations(tx: Tx, blob_id: bytes) -> tuple[Location, ...]:
    """Pieces of a blob in order; none when the reaper took it."""
    return read_pieces(blob_id, tx.rows("list_blob_locations", {"blob_id": blob_id}))


def read_pieces(blob_id: bytes, rows: Sequence[Any]) -> tuple[Location, ...]:
    """Rows of a blob's pieces; one without a piece is what an outer join gives for a blob without any."""
    return tuple(
        [
            Location(
                blob_id=blob_id,
                piece_index=piece_index,
                backend_id=backend_id,
                storage_key=storage_key,
                stored_bytes=stored_bytes,
                card_key_id=card_key_id,
                state=LocationState.LIVE if state == "live" else LocationState(state),
            )
            for piece_index, backend_id, storage_key, stored_bytes, card_key_id, state in rows
            if piece_index is not None
        ]
    )


def find_blob(tx: Tx, blob_id: bytes) -> Blob | None:
    row = tx.row_or_none("find_blob", {"blob_id": blob_id})
    return None if row is None else read_blob(blob_id, *row)
