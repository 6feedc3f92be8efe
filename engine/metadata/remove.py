"""Removing: a key's current version goes, or a delete marker covers it."""

from collections.abc import Sequence
from typing import cast

from engine.clock import uuid7
from engine.errors import NoSuchBucket
from engine.metadata import journal, outbox, quota
from engine.metadata.columns import write_headers
from engine.metadata.displacing import Displaced, Displacing, retire
from engine.metadata.images import MARKER, REMOVED
from engine.metadata.publish import find_for_write, lock_key
from engine.metadata.remove_conditions import check_remove_conditions
from engine.metadata.store import Row, RunAgain, SqlValue, Tx
from engine.names import BucketName, ObjectKey
from engine.notifications.messages import ObjectEvent
from engine.notifications.rules import EventType, NotificationRule
from engine.records import NULL_VERSION_ID, Bucket, ObjectHeaders, RemoveConditions, Removed, Versioning


def remove(
    tx: Tx,
    bucket_name: BucketName,
    key: ObjectKey,
    account_id: int | None = None,
    *,
    conditions: RemoveConditions | None = None,
) -> Removed:
    """Remove the key's current version, if there is one. Raises NoSuchBucket, PreconditionFailed, VersionLocked.

    A bucket that is another account's than `account_id` is none. What it raises it raises before anything is changed.
    """
    lock_key(tx, bucket_name, key)
    bucket, current, rules = find_for_write(tx, bucket_name, key)
    if account_id is not None and bucket.account_id != account_id:
        raise NoSuchBucket(bucket=bucket_name)
    if conditions is not None:
        check_remove_conditions(tx, conditions, current)
    if bucket.versioning is not Versioning.OFF:
        return _cover(tx, bucket, key, current, rules)
    if current is None:
        return _nothing(bucket)
    return _retire(tx, bucket, key, current, rules)


def remove_version(
    tx: Tx,
    bucket_name: BucketName,
    key: ObjectKey,
    version_id: str,
    account_id: int | None = None,
    *,
    conditions: RemoveConditions | None = None,
) -> Removed:
    """Remove one version by its id, a marker too; the newest one left becomes current if this one was.

    One that is not there is removed already. `conditions` are asked of that very version.
    Raises NoSuchBucket, PreconditionFailed, VersionLocked.
    """
    lock_key(tx, bucket_name, key)
    bucket, current, rules = find_for_write(tx, bucket_name, key)
    if account_id is not None and bucket.account_id != account_id:
        raise NoSuchBucket(bucket=bucket_name)
    named: dict[str, SqlValue] = {"bucket_id": bucket.bucket_id, "object_key": key}
    row = tx.row_or_none("find_version_for_write", {**named, "version_id": version_id})
    if conditions is not None:
        check_remove_conditions(tx, conditions, row)
    if row is None:
        return _nothing(bucket)
    removed = _retire(tx, bucket, key, row, rules)
    if current is not None and current[0] == row[0]:
        tx.ask("set_newest_current", named)
    return removed


def _nothing(bucket: Bucket) -> Removed:
    return Removed(version_seq=None, version_id=None, is_delete_marker=False, versioning=bucket.versioning)


def _retire(tx: Tx, bucket: Bucket, key: ObjectKey, row: Row, rules: Sequence[NotificationRule]) -> Removed:
    changes = quota.Changes()
    retired = retire(tx, [(bucket, row)], changes)
    changes.apply(tx)
    if retired.count() != 1:
        raise RunAgain
    image = {"seq": row[0], "bucket": bucket.bucket_id, "key": key.hex(), "version": row[1]}
    journal.append(tx, REMOVED.name, image)
    removed = Removed(
        version_seq=cast(int, row[0]),
        version_id=cast(str, row[1]),
        is_delete_marker=bool(row[4]),
        versioning=bucket.versioning,
    )
    _tell(tx, rules, bucket, key, removed, EventType.DELETE)
    return removed


def _cover(
    tx: Tx, bucket: Bucket, key: ObjectKey, current: Row | None, rules: Sequence[NotificationRule]
) -> Removed:
    """A delete marker becomes the current version."""
    changes = quota.Changes()
    displacing = Displacing(tx, bucket, key, current)
    displacing.look(tx)
    displaced = Displaced(tx, [displacing], changes)
    version_id = uuid7().hex() if bucket.versioning is Versioning.ENABLED else NULL_VERSION_ID
    inserted = tx.ask(
        "insert_version",
        {
            "bucket_id": bucket.bucket_id,
            "object_key": key,
            "version_id": version_id,
            "is_delete_marker": 1,
            "size_bytes": 0,
            "etag": "",
            **write_headers(ObjectHeaders()),
            "checksums": None,
            "part_count": None,
            "sse_kind": None,
            "account_id": bucket.account_id,
            "now_us": tx.now_us(),
            "blob_id": None,
        },
    )
    # A marker has no bytes, so it has room.
    changes.use(quota.bucket_subject(bucket.bucket_id), size_bytes=0, objects=1)
    changes.apply(tx)
    displaced.check()
    version_seq = inserted.row()[0]
    image = {
        "seq": version_seq,
        "bucket": bucket.bucket_id,
        "key": key.hex(),
        "version": version_id,
        "account": bucket.account_id,
        "at_us": tx.now_us(),
    }
    journal.append(tx, MARKER.name, image)
    covered = Removed(
        version_seq=cast(int, version_seq),
        version_id=version_id,
        is_delete_marker=True,
        versioning=bucket.versioning,
    )
    _tell(tx, rules, bucket, key, covered, EventType.MARKER)
    return covered


def _tell(
    tx: Tx,
    rules: Sequence[NotificationRule],
    bucket: Bucket,
    key: ObjectKey,
    removed: Removed,
    event_type: EventType,
) -> None:
    if not rules or removed.version_seq is None:
        return
    event = ObjectEvent(
        type=event_type,
        bucket=bucket,
        key=key,
        version_seq=removed.version_seq,
        version_id=None if bucket.versioning is Versioning.OFF else removed.version_id,
        at_us=tx.now_us(),
        account_id=bucket.account_id,
    )
    outbox.tell(tx, rules, event)
