"""Complete: the parts of an upload become segments of a version in one transaction; no byte is copied."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from engine.errors import InvalidPart, NoSuchUpload
from engine.metadata import journal, quota
from engine.metadata.buckets import find_bucket
from engine.metadata.displacing import Displaced, Displacing
from engine.metadata.images import VERSION
from engine.metadata.new_versions import InsertedVersions, ToldSegment, VersionRow, image_of
from engine.metadata.publish import (
    check_conditions,
    find_for_write,
    lock_key,
    tell_made,
)
from engine.metadata.store import Tx
from engine.metadata.uploads import find_upload
from engine.names import BucketName, ObjectKey
from engine.records import MadeBy, NewVersion, Part, Published
from engine.streams import Checksum


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteOrder:
    """An upload to complete with exactly these parts, as read before; `parts_digest` is of the client's list.

    `result` writes the answer that a repetition will get.
    """

    upload_id: bytes
    bucket: BucketName
    key: ObjectKey
    parts: Sequence[Part]
    parts_digest: bytes
    etag: str
    checksums: Sequence[Checksum]
    result: Callable[[Published], str]
    if_none_match: bool = False
    if_match_etag: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResult:
    """The answer of a Complete that happened before."""

    parts_digest: bytes
    result: str


def find_result(tx: Tx, *, upload_id: bytes, bucket: BucketName, key: ObjectKey) -> StoredResult | None:
    """What an upload was completed with; null when it was not. Raises NoSuchBucket."""
    bucket_id = find_bucket(tx, bucket).bucket_id
    row = tx.row_or_none(
        "find_finished_upload", {"upload_id": upload_id, "bucket_id": bucket_id, "object_key": key}
    )
    if row is None:
        return None
    return StoredResult(parts_digest=cast(bytes, row[0]), result=cast(str, row[1]))


def complete(tx: Tx, order: CompleteOrder) -> Published:
    """Publish the version. Raises NoSuchUpload, InvalidPart (a part changed since), PreconditionFailed, VersionLocked.

    The listed parts stay referenced by the version; the reaper walks the upload and frees only what nothing names.
    """
    lock_key(tx, order.bucket, order.key)
    tx.lock("lock_upload", {"upload_id": order.upload_id})
    upload = find_upload(tx, upload_id=order.upload_id, bucket=order.bucket, key=order.key)
    asked = [
        tx.ask("find_live_part", {"upload_id": order.upload_id, "part_number": part.part_number})
        for part in order.parts
    ]
    held = tx.ask("sum_live_parts", {"upload_id": order.upload_id})
    bucket, current, rules = find_for_write(tx, order.bucket, order.key)
    offset = 0
    listed: list[list[int | str | None]] = []
    for part, answer in zip(order.parts, asked, strict=True):
        row = answer.row_or_none()
        if row is None or row[0] != part.part_seq:
            raise InvalidPart(part_number=part.part_number)
        listed.append([part.part_seq, part.part_number, offset, _digest(part, order.checksums)])
        offset += part.size_bytes
    new = NewVersion(
        bucket=order.bucket,
        key=order.key,
        account_id=upload.account_id,
        size_bytes=offset,
        etag=order.etag,
        headers=upload.headers,
        checksums=order.checksums,
        segments=(),
        blobs=(),
        part_count=len(order.parts),
        sse_kind="AES256" if upload.is_sealed else None,
        if_none_match=order.if_none_match,
        if_match_etag=order.if_match_etag,
        made_by=MadeBy.COMPLETE,
    )
    check_conditions(new, current)
    changes = quota.Changes()
    displacing = Displacing(tx, bucket, new.key, current)
    displacing.look(tx)
    displaced = Displaced(tx, [displacing], changes)
    version = VersionRow(bucket=bucket, new=new, displacing=displacing)
    inserted = InsertedVersions(tx, [version])
    # The listed parts hold their room already; only what the others held comes back.
    unlisted_bytes = cast(int, held.row()[1]) - offset
    changes.use(quota.bucket_subject(bucket.bucket_id), size_bytes=-unlisted_bytes, objects=1)
    (published,) = inserted.published()
    displaced.check()
    tx.ask("insert_segments_of_parts", {"version_seq": published.version_seq, "parts": json.dumps(listed)})
    segments = tx.rows("list_version_segments", {"version_seq": published.version_seq})
    image = image_of(version, published, cast("list[ToldSegment]", segments))
    journal.append(tx, VERSION.name, image)
    tell_made(tx, rules, bucket, new, published)
    changes.apply(tx)
    changed = tx.run(
        "finish_upload",
        {
            "upload_id": order.upload_id,
            "state": "completed",
            "parts_digest": order.parts_digest,
            "result": order.result(published),
            "now_us": tx.now_us(),
        },
    )
    if not changed:
        raise NoSuchUpload(upload_id=order.upload_id.hex())
    tx.ask(
        "insert_retired",
        {"kind": "upload", "target_seq": None, "target_id": order.upload_id, "now_us": tx.now_us()},
    )
    return published


def _digest(part: Part, checksums: Sequence[Checksum]) -> str | None:
    """The part's own checksum of the algorithm that the object has one of."""
    for whole in checksums:
        for each in part.checksums:
            if each.algorithm is whole.algorithm:
                return base64.b64encode(each.digest).decode("ascii")
    return None
