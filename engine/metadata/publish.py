"""Publishing: a finished upload becomes the key's current version, in one transaction with all it displaces."""

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from engine.clock import uuid7
from engine.errors import (
    BackendQuotaExceeded,
    BlobGone,
    BucketQuotaExceeded,
    IntentLost,
    NoSuchBucket,
    NoSuchKey,
    PlacementRefused,
    PreconditionFailed,
    VersionLocked,
)
from engine.metadata import journal, quota
from engine.metadata.buckets import find_bucket
from engine.metadata.columns import write_checksums, write_headers
from engine.metadata.store import Row, SqlValue, Tx
from engine.metadata.volumes import volume_of
from engine.records import (
    NULL_VERSION_ID,
    BackendState,
    Bucket,
    NewBlob,
    NewVersion,
    Published,
    Versioning,
    VolumeState,
)

_TAKES_PLACEMENTS = (VolumeState.OPEN.value, VolumeState.CLOSED.value)


def publish(tx: Tx, new: NewVersion) -> Published:
    """Make `new` the current version of its key. Repeating it after a rollback is safe, after a commit it is not.

    Raises NoSuchBucket, NoSuchKey (nothing is there to match), PreconditionFailed, VersionLocked, BucketQuotaExceeded,
    BackendQuotaExceeded, PlacementRefused, IntentLost, BlobGone. The displaced version's blobs are left for the reaper:
    bytes deleted here would be gone even if the transaction rolled back.
    A bucket of that name that belongs to another account by now is none of the writer's: NoSuchBucket.
    """
    bucket = find_bucket(tx, new.bucket)
    if bucket.account_id != new.account_id:
        raise NoSuchBucket(bucket=new.bucket)
    current = tx.row_or_none("find_current_for_write", {"bucket_id": bucket.bucket_id, "object_key": new.key})
    check_conditions(new, current)
    insert_blobs(tx, new.blobs)
    blob_sizes = {each.blob.blob_id: each.blob.size_bytes for each in new.blobs}
    for joined in new.joined:
        row = tx.row_or_none("find_blob_size", {"blob_id": joined.blob_id})
        if row is None:
            raise BlobGone(blob_id=joined.blob_id)
        blob_sizes[joined.blob_id] = cast(int, row[0])
    single = new.segments[0].blob_id if len(new.segments) == 1 and _is_whole(new, blob_sizes) else None
    published = insert_version(tx, bucket, new, current, blob_id=single)
    named = [(each.blob_id, each.blob_offset, each.length, each.part_number) for each in new.segments]
    append_image(tx, bucket, new, published, named)
    if single is None:
        for segment in new.segments:
            tx.run(
                "insert_segment",
                {
                    "version_seq": published.version_seq,
                    "ordinal": segment.ordinal,
                    "start_offset": segment.start_offset,
                    "blob_id": segment.blob_id,
                    "blob_offset": segment.blob_offset,
                    "length": segment.length,
                    "part_number": segment.part_number,
                },
            )
    if not quota.take(tx, quota.bucket_subject(bucket.bucket_id), size_bytes=new.size_bytes, objects=1):
        raise BucketQuotaExceeded(bucket=bucket.name, wanted_bytes=new.size_bytes)
    return published


def insert_version(
    tx: Tx, bucket: Bucket, new: NewVersion, current: Row | None, *, blob_id: bytes | None
) -> Published:
    """Displace what must give way and insert the version row; the caller adds its segments and its journal image."""
    replaced_seq = displace(tx, bucket, new.key, current)
    version_id = uuid7().hex() if bucket.versioning is Versioning.ENABLED else NULL_VERSION_ID
    now_us = tx.now_us()
    (version_seq,) = tx.row(
        "insert_version",
        {
            "bucket_id": bucket.bucket_id,
            "object_key": new.key,
            "version_id": version_id,
            "is_delete_marker": 0,
            "size_bytes": new.size_bytes,
            "etag": new.etag,
            **write_headers(new.headers),
            "checksums": write_checksums(new.checksums),
            "part_count": new.part_count,
            "sse_kind": new.sse_kind,
            "account_id": new.account_id,
            "now_us": now_us,
            "blob_id": blob_id,
        },
    )
    return Published(
        version_seq=cast(int, version_seq),
        version_id=version_id,
        created_at_us=now_us,
        replaced_version_seq=replaced_seq,
    )


def append_image(
    tx: Tx,
    bucket: Bucket,
    new: NewVersion,
    published: Published,
    segments: Iterable[tuple[bytes, int, int, int | None]],
) -> None:
    """The version's after-image; of a segment its blob, where it begins in that, its length, its part."""
    journal.append(
        tx,
        "version",
        {
            "seq": published.version_seq,
            "bucket": bucket.bucket_id,
            "key": new.key.hex(),
            "version": published.version_id,
            "size": new.size_bytes,
            "etag": new.etag,
            "account": new.account_id,
            "at_us": published.created_at_us,
            **{name: value for name, value in write_headers(new.headers).items() if value is not None},
            "checksums": write_checksums(new.checksums),
            "part_count": new.part_count,
            "segments": [(blob_id.hex(), offset, length, part) for blob_id, offset, length, part in segments],
        },
    )


def displace(tx: Tx, bucket: Bucket, key: bytes, current: Row | None) -> int | None:
    """What a new current version displaces; the version that was retired, or null.

    Unversioned: the current version is retired. Suspended: the one null version is retired wherever it stands.
    Enabled: nothing is, the current version only ceases to be current.
    """
    named: dict[str, SqlValue] = {"bucket_id": bucket.bucket_id, "object_key": key}
    retired: int | None = None
    if bucket.versioning is not Versioning.ENABLED:
        is_null = current is not None and current[1] == NULL_VERSION_ID
        displaced = current if is_null else tx.row_or_none("find_null_version", named)
        if displaced is not None:
            retire(tx, bucket, displaced)
            retired = cast(int, displaced[0])
    if current is not None and current[0] != retired:
        tx.run("unset_current", {"version_seq": current[0]})
    return retired


def retire(tx: Tx, bucket: Bucket, row: Row) -> None:
    """Take a version out of the bucket, its listings and its quota at once; its bytes wait for the reaper."""
    version_seq, _, _, size_bytes, _, retention_mode, retain_until_us, legal_hold = row
    if is_locked(tx, retention_mode, retain_until_us, legal_hold):
        raise VersionLocked
    tx.run("retire_version", {"version_seq": version_seq})
    tx.run(
        "insert_retired",
        {"kind": "version", "target_seq": version_seq, "target_id": None, "now_us": tx.now_us()},
    )
    subject = quota.bucket_subject(bucket.bucket_id)
    quota.give_back(tx, subject, size_bytes=cast(int, size_bytes), objects=1)


def is_locked(tx: Tx, retention_mode: object, retain_until_us: object, legal_hold: object) -> bool:
    """Whether object lock keeps a version now, by the database's clock."""
    if legal_hold:
        return True
    return retention_mode is not None and cast(int, retain_until_us) > tx.now_us()


def check_conditions(new: NewVersion, current: Row | None) -> None:
    is_there = current is not None and not current[4]
    if new.if_none_match and is_there:
        raise PreconditionFailed(condition="If-None-Match")
    if new.if_match_etag is not None:
        if current is None or not is_there:
            raise NoSuchKey(bucket=new.bucket, key=new.key)
        if current[2] != new.if_match_etag:
            raise PreconditionFailed(condition="If-Match")


def insert_blobs(tx: Tx, blobs: Sequence[NewBlob]) -> None:
    """Rows of new blobs and their pieces: bytes are used, intents fulfilled, places fit to be named."""
    refused = []
    now_us = tx.now_us()
    for new in blobs:
        blob = new.blob
        tx.run(
            "insert_blob",
            {
                "blob_id": blob.blob_id,
                "size_bytes": blob.size_bytes,
                "stored_bytes": blob.stored_bytes,
                "content_hash": blob.content_hash,
                "dedup_domain": blob.dedup_domain,
                "scheme": str(blob.scheme),
                "key_id": blob.key_id,
                "wrapped_dek": blob.wrapped_dek,
                "frame_bytes": blob.frame_bytes,
                "block_crcs": blob.block_crcs,
                "now_us": now_us,
            },
        )
        for location in new.locations:
            if not _takes_placement(tx, location.backend_id, location.storage_key):
                refused.append(location.storage_key)
                continue
            tx.run(
                "insert_location",
                {
                    "blob_id": location.blob_id,
                    "piece_index": location.piece_index,
                    "backend_id": location.backend_id,
                    "storage_key": location.storage_key,
                    "stored_bytes": location.stored_bytes,
                    "card_key_id": location.card_key_id,
                    "now_us": now_us,
                },
            )
            subject = quota.backend_subject(location.backend_id)
            if not quota.take(tx, subject, size_bytes=location.stored_bytes, objects=1):
                raise BackendQuotaExceeded(backend_id=location.backend_id, wanted_bytes=location.stored_bytes)
        gone = sum(tx.run("delete_intent", {"intent_id": intent_id}) for intent_id in new.intent_ids)
        if gone != len(new.intent_ids):
            raise IntentLost("an intent of this write was recovered by another process")
    if refused:
        raise PlacementRefused(storage_keys=tuple(refused))


def _takes_placement(tx: Tx, backend_id: int, storage_key: str) -> bool:
    row = tx.row_or_none("find_backend_placement", {"backend_id": backend_id})
    if row is None or row[1] != BackendState.ACTIVE.value:
        return False
    if row[0] != "volume":
        return True
    volume_id = volume_of(storage_key)
    state = tx.row_or_none("find_volume_state", {"volume_id": volume_id})
    return state is not None and state[0] in _TAKES_PLACEMENTS


def _is_whole(new: NewVersion, blob_sizes: Mapping[bytes, int]) -> bool:
    """Whether the one segment is a whole blob, so that the version row can name it without a segment row."""
    segment = new.segments[0]
    if segment.blob_offset != 0 or segment.part_number is not None:
        return False
    return blob_sizes[segment.blob_id] == segment.length == new.size_bytes
