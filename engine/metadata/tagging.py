"""Tags of versions that are there already."""

from collections.abc import Mapping
from typing import cast

from engine.errors import IsDeleteMarker, NoSuchBucket, NoSuchKey, NoSuchVersion
from engine.metadata import journal, outbox
from engine.metadata.columns import write_tags
from engine.metadata.images import TAGGED
from engine.metadata.publish import find_for_write, lock_key
from engine.metadata.store import RunAgain, SqlValue, Tx
from engine.names import BucketName, ObjectKey
from engine.notifications.messages import ObjectEvent
from engine.notifications.rules import EventType
from engine.records import Bucket, Tagged, Versioning


def set_tags(
    tx: Tx,
    bucket_name: BucketName,
    key: ObjectKey,
    version_id: str | None,
    tags: Mapping[str, str],
    account_id: int,
    *,
    is_removal: bool = False,
) -> Tagged:
    """Give the key's current version, or the one of an id, these tags instead of those it had.

    `is_removal`: what was asked for was to take all tags away, and that is what those who listen are told.

    Raises NoSuchBucket, also for a bucket of another account; NoSuchKey, NoSuchVersion, IsDeleteMarker.
    """
    lock_key(tx, bucket_name, key)
    bucket, row, rules = find_for_write(tx, bucket_name, key)
    if bucket.account_id != account_id:
        raise NoSuchBucket(bucket=bucket_name)
    if version_id is not None:
        named: dict[str, SqlValue] = {
            "bucket_id": bucket.bucket_id,
            "object_key": key,
            "version_id": version_id,
        }
        row = tx.row_or_none("find_version_for_write", named)
        if row is None:
            raise NoSuchVersion(bucket=bucket_name, key=key, version_id=version_id)
    if row is None or row[4]:
        raise _nothing_to_tag(bucket, key, version_id, None if row is None else str(row[1]))
    version_seq, written = row[0], write_tags(tags)
    changed = tx.row_or_none("set_version_tags", {"version_seq": version_seq, "tags": written})
    if changed is None:
        raise RunAgain
    journal.append(tx, TAGGED.name, {"seq": version_seq, "tags": written, "revision": changed[0]})
    if rules:
        event = ObjectEvent(
            type=EventType.TAGS_DELETED if is_removal else EventType.TAGS_PUT,
            bucket=bucket,
            key=key,
            version_seq=cast(int, version_seq),
            version_id=None if bucket.versioning is Versioning.OFF else cast(str, row[1]),
            at_us=tx.now_us(),
            account_id=account_id,
            etag=cast(str, row[2]),
        )
        outbox.tell(tx, rules, event)
    return Tagged(version_id=str(row[1]), versioning=bucket.versioning)


def _nothing_to_tag(
    bucket: Bucket, key: ObjectKey, version_id: str | None, marker_id: str | None
) -> NoSuchKey | IsDeleteMarker:
    if version_id is None:
        return NoSuchKey(bucket=bucket.name, key=key, marker_version_id=marker_id)
    return IsDeleteMarker(bucket=bucket.name, key=key, version_id=version_id, created_at_us=None)
