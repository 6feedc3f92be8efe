"""Removing: a key's current version goes, or a delete marker covers it."""

from typing import cast

from engine.clock import uuid7
from engine.metadata import journal, quota
from engine.metadata.buckets import find_bucket
from engine.metadata.columns import write_headers
from engine.metadata.publish import displace, retire
from engine.metadata.store import SqlValue, Tx
from engine.names import BucketName, ObjectKey
from engine.records import NULL_VERSION_ID, ObjectHeaders, Removed, Versioning

_NOTHING = Removed(version_seq=None, version_id=None, is_delete_marker=False)


def remove(tx: Tx, bucket_name: BucketName, key: ObjectKey, account_id: int | None = None) -> Removed:
    """Remove the key's current version, if there is one. Raises NoSuchBucket, VersionLocked.

    A bucket that is another account's than `account_id` is none.
    """
    bucket = find_bucket(tx, bucket_name, account_id)
    named: dict[str, SqlValue] = {"bucket_id": bucket.bucket_id, "object_key": key}
    current = tx.row_or_none("find_current_for_write", named)
    if bucket.versioning is Versioning.OFF:
        if current is None:
            return _NOTHING
        retire(tx, bucket, current)
        journal.append(tx, "removed", {"seq": current[0], "bucket": bucket.bucket_id, "key": key.hex()})
        return Removed(
            version_seq=cast(int, current[0]), version_id=cast(str, current[1]), is_delete_marker=False
        )
    displace(tx, bucket, key, current)
    version_id = uuid7().hex() if bucket.versioning is Versioning.ENABLED else NULL_VERSION_ID
    (version_seq,) = tx.row(
        "insert_version",
        {
            **named,
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
    quota.take(tx, quota.bucket_subject(bucket.bucket_id), size_bytes=0, objects=1)
    journal.append(
        tx,
        "marker",
        {"seq": version_seq, "bucket": bucket.bucket_id, "key": key.hex(), "version": version_id},
    )
    return Removed(version_seq=cast(int, version_seq), version_id=version_id, is_delete_marker=True)


def remove_version(tx: Tx, bucket_name: BucketName, key: ObjectKey, version_id: str) -> Removed:
    """Remove one version by its id; the newest one left becomes current. Raises NoSuchBucket, VersionLocked."""
    bucket = find_bucket(tx, bucket_name)
    named: dict[str, SqlValue] = {"bucket_id": bucket.bucket_id, "object_key": key}
    row = tx.row_or_none("find_version_for_write", {**named, "version_id": version_id})
    if row is None:
        return _NOTHING
    retire(tx, bucket, row)
    tx.run("unset_all_current", named)
    tx.run("set_newest_current", named)
    journal.append(tx, "removed", {"seq": row[0], "bucket": bucket.bucket_id, "key": key.hex()})
    return Removed(version_seq=cast(int, row[0]), version_id=version_id, is_delete_marker=bool(row[4]))
