"""Multipart uploads under way: their rows and their parts."""

from typing import cast

from engine.errors import NoSuchUpload
from engine.metadata import quota
from engine.metadata.buckets import find_bucket
from engine.metadata.columns import read_checksums, read_headers, write_checksums, write_headers
from engine.metadata.listing import BATCH_COUNT_FIRST, successor
from engine.metadata.placements import Placements
from engine.metadata.publish import check_room, insert_blobs, locations_of
from engine.metadata.store import Row, SqlValue, Tx
from engine.names import BucketName, ObjectKey
from engine.records import NewPart, NewUpload, Part, Upload, UploadsPage, read_scheme
from engine.streams import ChecksumAlgorithm, ChecksumType

LAST_ID = b"\xff" * 16
"""After every upload id."""


def create_upload(tx: Tx, new: NewUpload) -> None:
    """Begin an upload; raises NoSuchBucket."""
    bucket = find_bucket(tx, new.bucket)
    tx.run(
        "insert_upload",
        {
            "upload_id": new.upload_id,
            "bucket_id": bucket.bucket_id,
            "object_key": new.key,
            "account_id": new.account_id,
            **write_headers(new.headers),
            "checksum_algorithm": None if new.checksum_algorithm is None else new.checksum_algorithm.value,
            "checksum_type": None if new.checksum_type is None else new.checksum_type.value,
            "scheme": str(new.scheme),
            "is_sealed": int(new.is_sealed),
            "now_us": tx.now_us(),
        },
    )


def find_upload(tx: Tx, *, upload_id: bytes, bucket: BucketName, key: ObjectKey) -> Upload:
    """The open upload of that id for that key of that bucket; raises NoSuchBucket, NoSuchUpload."""
    bucket_id = find_bucket(tx, bucket).bucket_id
    return _find_upload(tx, upload_id=upload_id, bucket_id=bucket_id, key=key)


def _find_upload(tx: Tx, *, upload_id: bytes, bucket_id: int, key: ObjectKey) -> Upload:
    row = tx.row_or_none(
        "find_open_upload", {"upload_id": upload_id, "bucket_id": bucket_id, "object_key": key}
    )
    if row is None:
        raise NoSuchUpload(upload_id=upload_id.hex())
    return _read_upload(row)


def put_part(tx: Tx, new: NewPart) -> Part:
    """Store a part; one of the same number gives way to it. Raises NoSuchUpload and what placing blobs may raise."""
    tx.lock("lock_bucket", {"bucket": new.bucket})
    tx.lock("lock_upload_for_part", {"upload_id": new.upload_id})
    placements = Placements(tx, locations_of(new.blobs))
    asked = tx.ask("find_live_part", {"upload_id": new.upload_id, "part_number": new.part_number})
    bucket = find_bucket(tx, new.bucket)
    _find_upload(tx, upload_id=new.upload_id, bucket_id=bucket.bucket_id, key=new.key)
    placements.check()
    changes = quota.Changes()
    intents = insert_blobs(tx, new.blobs, changes)
    subject = quota.bucket_subject(bucket.bucket_id)
    before = asked.row_or_none()
    if before is not None:
        # Two that replace the same part both do this, and the index of live parts lets one of them go on.
        tx.ask("retire_part", {"part_seq": before[0]})
        tx.ask(
            "insert_retired",
            {"kind": "part", "target_seq": before[0], "target_id": None, "now_us": tx.now_us()},
        )
        changes.use(subject, size_bytes=-cast(int, before[1]))
    changes.use(subject, size_bytes=new.size_bytes)
    inserted = tx.ask(
        "insert_part",
        {
            "upload_id": new.upload_id,
            "part_number": new.part_number,
            "size_bytes": new.size_bytes,
            "etag": new.etag,
            "checksums": write_checksums(new.checksums),
            "now_us": tx.now_us(),
        },
    )
    check_room(tx, changes, [bucket])
    intents.check()
    (part_seq,) = inserted.row()
    for segment in new.segments:
        tx.ask(
            "insert_part_segment",
            {
                "part_seq": part_seq,
                "ordinal": segment.ordinal,
                "start_offset": segment.start_offset,
                "blob_id": segment.blob_id,
                "length": segment.length,
            },
        )
    return Part(
        part_seq=cast(int, part_seq),
        part_number=new.part_number,
        size_bytes=new.size_bytes,
        etag=new.etag,
        checksums=new.checksums,
        created_at_us=tx.now_us(),
    )


def list_parts(tx: Tx, upload_id: bytes, *, after: int, count_max: int) -> list[Part]:
    """Standing parts after a number, in order."""
    rows = tx.rows("list_live_parts", {"upload_id": upload_id, "after": after, "count_max": count_max})
    return [
        Part(
            part_seq=cast(int, part_seq),
            part_number=cast(int, part_number),
            size_bytes=cast(int, size_bytes),
            etag=cast(str, etag),
            checksums=read_checksums(checksums),
            created_at_us=cast(int, created_at_us),
        )
        for part_seq, part_number, size_bytes, etag, checksums, created_at_us in rows
    ]


def list_uploads(
    tx: Tx,
    *,
    bucket: BucketName,
    prefix: bytes,
    delimiter: bytes,
    after_key: bytes,
    after_upload_id: bytes,
    count_max: int,
) -> UploadsPage:
    """A page of open uploads by key and upload id; common prefixes as in listings. Raises NoSuchBucket."""
    bucket_id = find_bucket(tx, bucket).bucket_id
    before = successor(prefix)
    uploads: list[Upload] = []
    prefixes: list[bytes] = []
    if count_max == 0:
        return UploadsPage(uploads=uploads, common_prefixes=prefixes, next_key=None, next_upload_id=None)
    position = _start(prefix, delimiter, after_key, after_upload_id)
    last: tuple[bytes, bytes] = (b"", b"")
    batch = BATCH_COUNT_FIRST if delimiter else count_max + 1
    while True:
        params: dict[str, SqlValue] = {
            "bucket_id": bucket_id,
            "after_key": position[0],
            "after_upload_id": position[1],
            "before": before,
            "count_max": batch,
        }
        rows = tx.rows("list_open_uploads", params)
        for row in rows:
            if len(uploads) + len(prefixes) == count_max:
                return UploadsPage(
                    uploads=uploads, common_prefixes=prefixes, next_key=last[0], next_upload_id=last[1]
                )
            upload = _read_upload(row)
            cut = upload.key.find(delimiter, len(prefix)) if delimiter else -1
            if cut >= 0:
                common = upload.key[: cut + len(delimiter)]
                prefixes.append(common)
                last = (common, LAST_ID)
                position = (successor(common), b"")
                batch = BATCH_COUNT_FIRST
                break
            uploads.append(upload)
            last = position = (upload.key, upload.upload_id)
        else:
            if len(rows) < batch:
                return UploadsPage(
                    uploads=uploads, common_prefixes=prefixes, next_key=None, next_upload_id=None
                )
            batch = min(batch * 2, count_max + 1)


def _start(prefix: bytes, delimiter: bytes, after_key: bytes, after_upload_id: bytes) -> tuple[bytes, bytes]:
    """The key and upload id to begin behind; past a common prefix that the marker names whole."""
    if after_key < prefix or not after_key:
        return prefix, b""
    if delimiter and after_key.startswith(prefix):
        cut = after_key.find(delimiter, len(prefix))
        if cut >= 0 and cut + len(delimiter) == len(after_key):
            return successor(after_key), b""
    return after_key, after_upload_id


def abort_open_upload(tx: Tx, upload_id: bytes, bucket_id: int, changes: quota.Changes) -> bool:
    """Abort an open upload; its parts wait for the reaper. False when it was not open."""
    tx.lock("lock_upload", {"upload_id": upload_id})
    held = tx.ask("sum_live_parts", {"upload_id": upload_id})
    changed = tx.run(
        "finish_upload",
        {
            "upload_id": upload_id,
            "state": "aborted",
            "parts_digest": None,
            "result": None,
            "now_us": tx.now_us(),
        },
    )
    if not changed:
        return False
    changes.use(quota.bucket_subject(bucket_id), size_bytes=-cast(int, held.row()[1]))
    tx.ask(
        "insert_retired",
        {"kind": "upload", "target_seq": None, "target_id": upload_id, "now_us": tx.now_us()},
    )
    return True


def abort(tx: Tx, *, upload_id: bytes, bucket: BucketName, key: ObjectKey) -> None:
    """Abort the open upload of that key; raises NoSuchBucket, NoSuchUpload."""
    tx.lock("lock_bucket", {"bucket": bucket})
    tx.lock("lock_upload", {"upload_id": upload_id})
    upload = find_upload(tx, upload_id=upload_id, bucket=bucket, key=key)
    changes = quota.Changes()
    abort_open_upload(tx, upload_id, upload.bucket_id, changes)
    changes.apply(tx)


def abort_of_bucket(tx: Tx, bucket_id: int, *, count_max: int) -> int:
    """Abort open uploads of a bucket; how many."""
    rows = tx.rows("list_open_upload_ids", {"bucket_id": bucket_id, "count_max": count_max})
    changes = quota.Changes()
    aborted = sum(
        abort_open_upload(tx, cast(bytes, upload_id), bucket_id, changes) for (upload_id,) in sorted(rows)
    )
    changes.apply(tx)
    return aborted


def expire_open(tx: Tx, *, before_us: int, count_max: int) -> int:
    """Abort uploads that began before a time; how many."""
    rows = tx.rows("list_stale_uploads", {"before_us": before_us, "count_max": count_max})
    changes = quota.Changes()
    aborted = sum(
        abort_open_upload(tx, cast(bytes, upload_id), cast(int, bucket_id), changes)
        for upload_id, bucket_id in sorted(rows)
    )
    changes.apply(tx)
    return aborted


def expire_finished(tx: Tx, *, before_us: int, count_max: int) -> int:
    """Forget uploads that ended before a time and whose parts the reaper has walked; how many were looked at."""
    rows = tx.rows("list_finished_uploads", {"before_us": before_us, "count_max": count_max})
    forgotten = 0
    for (upload_id,) in rows:
        if tx.row_or_none("has_upload_parts", {"upload_id": upload_id}) is None:
            forgotten += tx.run("delete_upload", {"upload_id": upload_id})
    return forgotten


def _read_upload(row: Row) -> Upload:
    (
        upload_id,
        bucket_id,
        key,
        account_id,
        account,
        content_type,
        headers,
        user_metadata,
        tags,
        storage_class,
        checksum_algorithm,
        checksum_type,
        scheme,
        is_sealed,
        created_at_us,
    ) = row
    return Upload(
        upload_id=cast(bytes, upload_id),
        bucket_id=cast(int, bucket_id),
        key=ObjectKey(cast(bytes, key)),
        account_id=cast(int, account_id),
        account=cast(str, account),
        headers=read_headers(content_type, headers, user_metadata, tags, storage_class),
        checksum_algorithm=None if checksum_algorithm is None else ChecksumAlgorithm(checksum_algorithm),
        checksum_type=None if checksum_type is None else ChecksumType(checksum_type),
        scheme=read_scheme(cast(str, scheme)),
        is_sealed=bool(is_sealed),
        created_at_us=cast(int, created_at_us),
    )
