"""Objects that lie on a backend already become versions where they are: rows are made, and no byte is read."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

from engine.clock import Ids
from engine.imported import ImportedObject, storage_keys_of
from engine.metadata import journal, quota
from engine.metadata.bucket_settings import OwnBucket
from engine.metadata.displacing import Displacing
from engine.metadata.images import VERSION
from engine.metadata.new_versions import InsertedVersions, VersionRow, image_of
from engine.metadata.placements import Placements
from engine.metadata.publish import (
    check_room,
    find_for_write,
    tell_made,
)
from engine.metadata.store import SqlValue, Tx
from engine.names import ObjectKey
from engine.notifications.rules import NotificationRule
from engine.records import Bucket, Copies, Location, NewVersion, ObjectHeaders, Segment

IMPORTED_SCHEME = Copies(count=1)
"""What is imported lies where it lies, once."""

BATCH_COUNT_MAX = 100
"""Objects of one transaction: each makes four rows."""


class Stand(Enum):
    """How an object stands that is to become a version."""

    FREE = "nothing speaks against it"
    KNOWN = "a version is that object already, or was until a moment ago"
    LEAVING = "it waits for its deletion"
    TAKEN = "its key has a version or a marker in the bucket"


@dataclass(frozen=True, slots=True, kw_only=True)
class Importable:
    """An object as it was just seen, and how old its version becomes. `is_etag_md5`: the ETag is its MD5."""

    key: ObjectKey
    source: ImportedObject
    size_bytes: int
    modified_at_us: int
    headers: ObjectHeaders
    is_etag_md5: bool = False


def stand_of(tx: Tx, bucket: OwnBucket, key: ObjectKey, *, backend_ids: Collection[int]) -> Stand:
    """Whether the object may become a version; `backend_ids` are all those that lie in its bucket.

    To be asked before the object is looked at, and again in the transaction that makes the version: what stood FREE
    before it was seen is no object that is about to be deleted here.
    """
    return _look(tx, bucket, key, backend_ids)[0]


def _look(
    tx: Tx, bucket: OwnBucket, key: ObjectKey, backend_ids: Collection[int]
) -> tuple[Stand, Bucket, Sequence[NotificationRule]]:
    row, current, rules = find_for_write(tx, bucket.name, key)
    own_keys = storage_keys_of(key.decode())
    bounds: dict[str, SqlValue] = {"after": own_keys, "before": own_keys[:-1] + chr(ord(own_keys[-1]) + 1)}
    for backend_id in sorted(backend_ids):
        # In this order: what is freed becomes a deletion, and never the other way round.
        if tx.row_or_none("has_location_in_range", {**bounds, "backend_id": backend_id}) is not None:
            return Stand.KNOWN, row, rules
        if tx.row_or_none("has_deletion_in_range", {**bounds, "backend_id": backend_id}) is not None:
            return Stand.LEAVING, row, rules
    return Stand.FREE if current is None else Stand.TAKEN, row, rules


def import_objects(
    tx: Tx,
    bucket: OwnBucket,
    objects: Sequence[Importable],
    *,
    backend_id: int,
    backend_ids: Collection[int],
    ids: Ids,
) -> list[Stand]:
    """Make versions of those that stand FREE; how each stood. Repeating it is harmless: they are KNOWN then.

    Raises NoSuchBucket, PlacementRefused when the backend takes nothing, BucketQuotaExceeded. The backend's own quota
    counts them and does not keep them out: their bytes are there.
    """
    bucket.require(tx)
    tx.lock("lock_bucket", {"bucket": bucket.name})
    blob_ids = [ids() for _ in objects]
    # All lie on one backend: one of them speaks for them all.
    ahead = [_location(*pair, backend_id) for pair in zip(objects[:1], blob_ids, strict=False)]
    Placements(tx, ahead).check()
    changes = quota.Changes()
    stands: list[Stand] = []
    made = []
    for each, blob_id in zip(objects, blob_ids, strict=True):
        stand, row, rules = _look(tx, bucket, each.key, backend_ids)
        stands.append(stand)
        if stand is not Stand.FREE:
            continue
        _insert_blob(tx, each, blob_id, backend_id, changes)
        new = _version(each, blob_id, bucket, row.account_id)
        version = VersionRow(
            bucket=row, new=new, displacing=Displacing(tx, row, each.key, None), blob_id=blob_id
        )
        changes.use(quota.bucket_subject(row.bucket_id), size_bytes=each.size_bytes, objects=1)
        made.append((version, rules))
    if not made:
        return stands
    inserted = InsertedVersions(tx, [version for version, _ in made])
    check_room(tx, changes, [version.bucket for version, _ in made])
    for (version, rules), published in zip(made, inserted.published(), strict=True):
        journal.append(tx, VERSION.name, image_of(version, published, ()))
        tell_made(tx, rules, version.bucket, version.new, published)
    return stands


def _insert_blob(tx: Tx, each: Importable, blob_id: bytes, backend_id: int, changes: quota.Changes) -> None:
    now_us = tx.now_us()
    tx.ask(
        "insert_blob",
        {
            "blob_id": blob_id,
            "size_bytes": each.size_bytes,
            "stored_bytes": each.size_bytes,
            "content_hash": None,
            "dedup_domain": None,
            "scheme": str(IMPORTED_SCHEME),
            "key_id": None,
            "wrapped_dek": None,
            "frame_bytes": None,
            "block_crcs": b"",
            "now_us": now_us,
        },
    )
    location = _location(each, blob_id, backend_id)
    tx.ask(
        "insert_imported_location",
        {
            "blob_id": blob_id,
            "backend_id": backend_id,
            "storage_key": location.storage_key,
            "stored_bytes": location.stored_bytes,
            "now_us": now_us,
        },
    )
    changes.find(quota.backend_subject(backend_id), used_bytes=location.stored_bytes, objects=1)


def _location(each: Importable, blob_id: bytes, backend_id: int) -> Location:
    return Location(
        blob_id=blob_id,
        piece_index=0,
        backend_id=backend_id,
        storage_key=each.source.storage_key,
        stored_bytes=each.size_bytes,
        card_key_id=None,
    )


def _version(each: Importable, blob_id: bytes, bucket: OwnBucket, account_id: int) -> NewVersion:
    whole = Segment(ordinal=0, start_offset=0, blob_id=blob_id, blob_offset=0, length=each.size_bytes)
    return NewVersion(
        bucket=bucket.name,
        key=each.key,
        account_id=account_id,
        size_bytes=each.size_bytes,
        etag=each.source.etag,
        headers=each.headers,
        checksums=(),
        segments=(whole,),
        blobs=(),
        created_at_us=each.modified_at_us,
    )
