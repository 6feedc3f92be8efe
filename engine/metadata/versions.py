"""Reading versions: the current one of a key with all that serving it takes, in one read."""

from typing import cast

from engine.errors import NoSuchBucket, NoSuchKey
from engine.metadata.buckets import read_bucket
from engine.metadata.columns import read_blob, read_checksums, read_headers
from engine.metadata.store import Tx
from engine.names import ObjectKey
from engine.records import Blob, Location, LocationState, Segment, StoredSlice, StoredVersion, Version

SLICE_COUNT_MAX = 64
"""Slices that come with a version; a reader asks for the rest as it gets there."""

_BUCKET_COLUMNS = 12


def find_current(tx: Tx, bucket: str, key: bytes, *, count_max: int = SLICE_COUNT_MAX) -> StoredVersion:
    """The key's current version with its first slices; raises NoSuchBucket and NoSuchKey (a delete marker is none)."""
    row = tx.row_or_none("find_current_version", {"bucket": bucket, "object_key": key})
    if row is None:
        raise NoSuchBucket(bucket=bucket)
    (
        version_seq,
        version_id,
        is_delete_marker,
        size_bytes,
        etag,
        content_type,
        headers,
        user_metadata,
        checksums,
        part_count,
        storage_class,
        sse_kind,
        account_id,
        created_at_us,
        blob_id,
        *blob_columns,
    ) = row[11:]
    if version_seq is None or is_delete_marker:
        raise NoSuchKey(bucket=bucket, key=key)
    found = read_bucket((row[0], bucket, *row[1:11]))
    version = Version(
        version_seq=cast(int, version_seq),
        bucket_id=found.bucket_id,
        key=ObjectKey(key),
        version_id=cast(str, version_id),
        is_current=True,
        is_delete_marker=False,
        size_bytes=cast(int, size_bytes),
        etag=cast(str, etag),
        headers=read_headers(content_type, headers, user_metadata, storage_class),
        checksums=read_checksums(checksums),
        part_count=cast("int | None", part_count),
        sse_kind=cast("str | None", sse_kind),
        account_id=cast(int, account_id),
        created_at_us=cast(int, created_at_us),
    )
    if blob_id is not None:
        stored_bytes, scheme, key_id, wrapped_dek, frame_bytes, block_crcs, content_hash, dedup_domain = (
            blob_columns
        )
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
        segment = Segment(
            ordinal=0, start_offset=0, blob_id=blob.blob_id, blob_offset=0, length=blob.size_bytes
        )
        slices = [StoredSlice(segment=segment, blob=blob, locations=read_locations(tx, blob.blob_id))]
        return StoredVersion(bucket=found, version=version, slices=slices, has_more_slices=False)
    slices = [] if not size_bytes else read_slices(tx, version.version_seq, count_max=count_max)
    covered = slices[-1].segment.start_offset + slices[-1].segment.length if slices else 0
    return StoredVersion(
        bucket=found, version=version, slices=slices, has_more_slices=covered < version.size_bytes
    )


def read_slices(
    tx: Tx, version_seq: int, *, after_ordinal: int = -1, count_max: int = SLICE_COUNT_MAX
) -> list[StoredSlice]:
    """Slices of a segmented version after an ordinal, in order."""
    slices = []
    for row in tx.rows(
        "list_version_slices",
        {"version_seq": version_seq, "after_ordinal": after_ordinal, "count_max": count_max},
    ):
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
        slices.append(StoredSlice(segment=segment, blob=blob, locations=read_locations(tx, blob.blob_id)))
    return slices


def find_ordinal_at(tx: Tx, version_seq: int, offset: int) -> int:
    """Ordinal of the slice that holds a byte of a segmented version."""
    (ordinal,) = tx.row("find_ordinal_at", {"version_seq": version_seq, "offset": offset})
    return cast(int, ordinal)


def read_locations(tx: Tx, blob_id: bytes) -> tuple[Location, ...]:
    """Pieces of a blob in order; none when the reaper took it."""
    return tuple(
        Location(
            blob_id=blob_id,
            piece_index=cast(int, piece_index),
            backend_id=cast(int, backend_id),
            storage_key=cast(str, storage_key),
            stored_bytes=cast(int, stored_bytes),
            card_key_id=cast("bytes | None", card_key_id),
            state=LocationState.LIVE if state == "live" else LocationState(state),
        )
        for piece_index, backend_id, storage_key, stored_bytes, card_key_id, state in tx.rows(
            "list_blob_locations", {"blob_id": blob_id}
        )
    )


def find_blob(tx: Tx, blob_id: bytes) -> Blob | None:
    row = tx.row_or_none("find_blob", {"blob_id": blob_id})
    return None if row is None else read_blob(blob_id, *row)
