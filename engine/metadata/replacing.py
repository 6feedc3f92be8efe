"""An imported blob gives way to blobs of ours: versions that were it whole name those instead, by compare and set."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from engine.errors import BlobGone
from engine.metadata import journal, quota
from engine.metadata.buckets import find_bucket_of
from engine.metadata.images import STANDARD, VERSION
from engine.metadata.placements import Placements
from engine.metadata.publish import check_room, insert_blobs, locations_of
from engine.metadata.references import free_unreferenced
from engine.metadata.store import Row, SqlValue, Tx
from engine.names import ObjectKey
from engine.records import Bucket, NewBlob, Segment

VERSION_COUNT_MAX = 100
"""Versions changed in one transaction; of one that has many segments, fewer."""

ROW_COUNT_MAX = 500

_COLUMNS = (
    "version_seq",
    "bucket_id",
    "object_key",
    "version_id",
    "size_bytes",
    "etag",
    "account_id",
    "created_at_us",
    "content_type",
    "headers",
    "user_metadata",
    "tags",
    "storage_class",
    "checksums",
    "part_count",
)
_BYTES = frozenset({"object_key"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstUse:
    """A live version that is a blob whole: whose scheme and seal count, and what a card may say of it."""

    bucket: Bucket
    key: ObjectKey


def find_first_use(tx: Tx, blob_id: bytes) -> FirstUse | None:
    """Null when no live version is that blob: then it only waits to be freed."""
    row = tx.row_or_none("list_versions_of_blob", {"blob_id": blob_id, "count_max": 1})
    if row is None:
        return None
    return FirstUse(bucket=find_bucket_of(tx, cast(int, row[1])), key=ObjectKey(cast(bytes, row[2])))


def replace_blob(
    tx: Tx,
    old_blob_id: bytes,
    *,
    bucket: Bucket,
    blobs: Sequence[NewBlob],
    segments: Sequence[Segment],
    is_sealed: bool,
    grace_us: int,
) -> bool:
    """The first versions that are the old blob become these segments; whether there may be more of them.

    `blobs` are new with the first call, and none in calls that follow. The old blob is freed with the last version that
    names it, its piece deleted after `grace_us`. Repeating it after a rollback is safe. Raises BlobGone when one of
    the blobs was freed meanwhile or no live version is the old one, PlacementRefused, IntentLost, BackendQuotaExceeded.
    """
    placements = Placements(tx, locations_of(blobs))
    tx.lock("lock_blob", {"blob_id": old_blob_id})
    if tx.row_or_none("find_blob_size", {"blob_id": old_blob_id}) is None:
        raise BlobGone(blob_id=old_blob_id)
    placements.check()
    if not blobs:
        _require_all(tx, segments)
    changes = quota.Changes()
    intents = insert_blobs(tx, blobs, changes)
    count_max = max(1, min(VERSION_COUNT_MAX, ROW_COUNT_MAX // (len(segments) + 2)))
    rows = tx.rows("list_versions_of_blob", {"blob_id": old_blob_id, "count_max": count_max})
    sse_kind = "AES256" if is_sealed and segments else None
    replaced = [row for row in rows if _replace(tx, row, old_blob_id, segments, sse_kind)]
    if not replaced and blobs:
        # Nobody would name the new ones, and nobody would free them.
        raise BlobGone(blob_id=old_blob_id)
    has_more = len(rows) == count_max
    if not has_more:
        not_before_us = tx.now_us() + grace_us
        free_unreferenced(tx, [old_blob_id], changes, not_before_us=not_before_us, reason="replaced")
    check_room(tx, changes, [bucket])
    intents.check()
    return has_more


def _replace(tx: Tx, row: Row, old_blob_id: bytes, segments: Sequence[Segment], sse_kind: str | None) -> bool:
    """False when the version was retired meanwhile."""
    named = dict(zip(_COLUMNS, row, strict=True))
    version_seq = cast(int, named["version_seq"])
    whole = segments[0].blob_id if len(segments) == 1 else None
    params: dict[str, SqlValue] = {
        "version_seq": version_seq,
        "old_blob_id": old_blob_id,
        "new_blob_id": whole,
        "sse_kind": sse_kind,
    }
    if not tx.run("replace_version_blob", params):
        return False
    if whole is None:
        for segment in segments:
            tx.ask("insert_segment", {"version_seq": version_seq, **_told(segment)})
    _append_image(tx, named, whole, segments, sse_kind)
    return True


def _require_all(tx: Tx, segments: Sequence[Segment]) -> None:
    """Blobs that a call before has made may have been freed with the versions that it changed. Raises BlobGone."""
    for blob_id in sorted({each.blob_id for each in segments}):
        tx.lock("lock_blob", {"blob_id": blob_id})
        if tx.row_or_none("find_blob_size", {"blob_id": blob_id}) is None:
            raise BlobGone(blob_id=blob_id)


def _told(segment: Segment) -> dict[str, SqlValue]:
    return {
        "ordinal": segment.ordinal,
        "start_offset": segment.start_offset,
        "blob_id": segment.blob_id,
        "blob_offset": segment.blob_offset,
        "length": segment.length,
        "part_number": None,
        "part_digest": None,
    }


def _append_image(
    tx: Tx,
    named: dict[str, SqlValue],
    whole: bytes | None,
    segments: Sequence[Segment],
    sse_kind: str | None,
) -> None:
    """The version once more, with where its bytes lie now: a replay goes by the last image of a version."""
    image: dict[str, object] = {
        field.name: cast(bytes, named[field.column]).hex() if field.column in _BYTES else named[field.column]
        for field in VERSION.fields
        if field.column in named
    }
    image["sse_kind"] = sse_kind
    if image["storage_class"] == STANDARD:
        del image["storage_class"]
    if whole is not None:
        image["blob"] = whole.hex()
    else:
        image["segments"] = [(each.blob_id.hex(), each.blob_offset, each.length, None) for each in segments]
    journal.append(tx, VERSION.name, image)
