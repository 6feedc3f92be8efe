"""Publishing: a finished upload becomes the key's current version, in one transaction with all it displaces."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast

from engine.clock import uuid7
from engine.errors import (
    BackendQuotaExceeded,
    BlobGone,
    BucketQuotaExceeded,
    IntentLost,
    NoSuchBucket,
    NoSuchKey,
    PreconditionFailed,
    VersionLocked,
)
from engine.metadata import journal, outbox, quota
from engine.metadata.buckets import BUCKET_COLUMN_COUNT, bucket_of
from engine.metadata.columns import write_checksums, write_headers
from engine.metadata.images import STANDARD, VERSION
from engine.metadata.placements import Placements
from engine.metadata.repairs import RepairKind, ask_repair
from engine.metadata.store import Answer, Row, RunAgain, SqlValue, Tx
from engine.notifications.messages import ObjectEvent
from engine.notifications.rules import EventType, NotificationRule, parse_rules
from engine.records import (
    ANY_ETAG,
    NULL_VERSION_ID,
    Bucket,
    Location,
    NewBlob,
    NewVersion,
    Published,
    Versioning,
)

WRITTEN_BELOW = "written with fewer copies than its scheme asks for"

ToldSegment = tuple[bytes, int, int, int | None, str | None]
"""A segment as images tell it: its blob, where it begins in that, its length, its part, and that one's digest."""


def publish(tx: Tx, new: NewVersion) -> Published:
    """Make `new` the current version of its key. Repeating it after a rollback is safe, after a commit it is not.

    Raises NoSuchBucket, NoSuchKey (nothing is there to match), PreconditionFailed, VersionLocked, BucketQuotaExceeded,
    BackendQuotaExceeded, PlacementRefused, IntentLost, BlobGone. The displaced version's blobs are left for the reaper:
    bytes deleted here would be gone even if the transaction rolled back.
    A bucket of that name that belongs to another account by now is none of the writer's: NoSuchBucket.

    Three round trips: locks and all that is read under them, the rows, the journal with the commit.
    """
    lock_key(tx, new.bucket, new.key)
    placements = Placements(tx, locations_of(new.blobs))
    joined = {each.blob_id: tx.ask("find_blob_size", {"blob_id": each.blob_id}) for each in new.joined}
    bucket, current, rules = find_for_write(tx, new.bucket, new.key)
    if bucket.account_id != new.account_id:
        raise NoSuchBucket(bucket=new.bucket)
    check_conditions(new, current)
    placements.check()
    blob_sizes = {each.blob.blob_id: each.blob.size_bytes for each in new.blobs}
    for blob_id, asked in joined.items():
        row = asked.row_or_none()
        if row is None:
            raise BlobGone(blob_id=blob_id)
        blob_sizes[blob_id] = cast(int, row[0])
    single = new.segments[0].blob_id if len(new.segments) == 1 and _is_whole(new, blob_sizes) else None
    changes = quota.Changes()
    gone = insert_blobs(tx, new.blobs, changes)
    displaced = Displacing(tx, bucket, new.key, current, changes)
    subject = quota.bucket_subject(bucket.bucket_id)
    changes.use(subject, size_bytes=new.size_bytes, objects=1)
    inserted = insert_version(tx, bucket, new, displaced, blob_id=single)
    check_room(tx, changes, bucket)
    published = inserted()
    displaced.check()
    gone.check()
    named = [(each.blob_id, each.blob_offset, each.length, each.part_number, None) for each in new.segments]
    append_image(tx, bucket, new, published, named, blob_id=single)
    tell_made(tx, rules, bucket, new, published)
    if single is None:
        for segment in new.segments:
            tx.ask(
                "insert_segment",
                {
                    "version_seq": published.version_seq,
                    "ordinal": segment.ordinal,
                    "start_offset": segment.start_offset,
                    "blob_id": segment.blob_id,
                    "blob_offset": segment.blob_offset,
                    "length": segment.length,
                    "part_number": segment.part_number,
                    "part_digest": None,
                },
            )
    return published


def lock_key(tx: Tx, bucket: str, key: bytes) -> None:
    """Locks that spare writers of one key the error; the unique index on current versions decides."""
    named: dict[str, SqlValue] = {"bucket": bucket, "object_key": key}
    tx.lock("lock_bucket", {"bucket": bucket})
    tx.lock("lock_key", named)


def find_for_write(
    tx: Tx, bucket: str, key: bytes
) -> tuple[Bucket, Row | None, tuple[NotificationRule, ...]]:
    """The bucket, of the key's current version what a write looks at, and who is to be told; raises NoSuchBucket."""
    row = tx.row_or_none("find_for_write", {"bucket": bucket, "object_key": key})
    if row is None:
        raise NoSuchBucket(bucket=bucket)
    *found, document = row[BUCKET_COLUMN_COUNT:]
    current = None if found[0] is None else tuple(found)
    rules = () if document is None else parse_rules(cast(str, document))
    return bucket_of(row[:BUCKET_COLUMN_COUNT]), current, rules


def tell_made(
    tx: Tx, rules: Sequence[NotificationRule], bucket: Bucket, new: NewVersion, published: Published
) -> None:
    """Those who asked for it are told of the new version."""
    if not rules:
        return
    event = ObjectEvent(
        type=EventType(f"s3:ObjectCreated:{new.made_by.value}"),
        bucket=bucket,
        key=new.key,
        version_seq=published.version_seq,
        version_id=published.shown_version_id,
        at_us=published.created_at_us,
        account_id=new.account_id,
        size_bytes=new.size_bytes,
        etag=new.etag,
    )
    outbox.tell(tx, rules, event)


def check_room(tx: Tx, changes: quota.Changes, bucket: Bucket) -> None:
    """Do what a write does to accounts; raises BucketQuotaExceeded and BackendQuotaExceeded."""
    full = changes.apply(tx)
    if full is None:
        return
    wanted_bytes = changes.wanted_bytes(full)
    if full == quota.bucket_subject(bucket.bucket_id):
        raise BucketQuotaExceeded(bucket=bucket.name, wanted_bytes=wanted_bytes)
    raise BackendQuotaExceeded(backend_id=quota.backend_of(full), wanted_bytes=wanted_bytes)


def insert_version(
    tx: Tx, bucket: Bucket, new: NewVersion, displaced: "Displacing", *, blob_id: bytes | None
) -> Callable[[], Published]:
    """Insert the version row; the caller adds segments and the journal image. What it gives reads what came of it."""
    version_id = uuid7().hex() if bucket.versioning is Versioning.ENABLED else NULL_VERSION_ID
    created_at_us = tx.now_us() if new.created_at_us is None else new.created_at_us
    asked = tx.ask(
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
            "now_us": created_at_us,
            "blob_id": blob_id,
        },
    )

    def published() -> Published:
        return Published(
            version_seq=cast(int, asked.row()[0]),
            version_id=version_id,
            versioning=bucket.versioning,
            created_at_us=created_at_us,
            replaced_version_seq=displaced.retired_seq,
        )

    return published


def append_image(
    tx: Tx,
    bucket: Bucket,
    new: NewVersion,
    published: Published,
    segments: Iterable[ToldSegment],
    *,
    blob_id: bytes | None = None,
) -> None:
    """The version's after-image: the one blob that it is, or its segments."""
    image: dict[str, object] = {
        "seq": published.version_seq,
        "bucket": bucket.bucket_id,
        "key": new.key.hex(),
        "version": published.version_id,
        "size": new.size_bytes,
        "etag": new.etag,
        "account": new.account_id,
        "at_us": published.created_at_us,
        **write_headers(new.headers),
        "checksums": write_checksums(new.checksums),
        "part_count": new.part_count,
        "sse_kind": new.sse_kind,
    }
    if image["storage_class"] == STANDARD:
        del image["storage_class"]
    if blob_id is not None:
        image["blob"] = blob_id.hex()
    else:
        image["segments"] = [
            (each.hex(), offset, length, part)
            if digest is None
            else (each.hex(), offset, length, part, digest)
            for each, offset, length, part, digest in segments
        ]
    journal.append(tx, VERSION.name, image)


class Displacing:
    """What a new current version displaces, taken out of its way.

    Unversioned: the current version is retired. Suspended: the one null version is retired wherever it stands.
    Enabled: nothing is, the current version only ceases to be current.
    """

    def __init__(
        self, tx: Tx, bucket: Bucket, key: bytes, current: Row | None, changes: quota.Changes
    ) -> None:
        """Raises VersionLocked."""
        named: dict[str, SqlValue] = {"bucket_id": bucket.bucket_id, "object_key": key}
        self.retired_seq: int | None = None
        self._asked: list[Answer] = []
        if current is not None and bucket.versioning is not Versioning.ENABLED:
            is_null = current[1] == NULL_VERSION_ID
            displaced = current if is_null else tx.row_or_none("find_null_version", named)
            if displaced is not None:
                self._asked.append(retire(tx, bucket, displaced, changes))
                self.retired_seq = cast(int, displaced[0])
        if current is not None and current[0] != self.retired_seq:
            self._asked.append(tx.ask("unset_current", {"version_seq": current[0]}))

    def check(self) -> None:
        """Raises RunAgain when somebody else was quicker."""
        for asked in self._asked:
            if asked.count() != 1:
                raise RunAgain


def retire(tx: Tx, bucket: Bucket, row: Row, changes: quota.Changes) -> Answer:
    """Take a version out of the bucket, its listings and its quota at once; its bytes wait for the reaper.

    The answer counts one row, or none when somebody else was quicker. Raises VersionLocked.
    """
    version_seq, _, _, size_bytes, _, retention_mode, retain_until_us, legal_hold = row
    if is_locked(tx, retention_mode, retain_until_us, legal_hold):
        raise VersionLocked
    asked = tx.ask("retire_version", {"version_seq": version_seq})
    tx.ask(
        "insert_retired",
        {"kind": "version", "target_seq": version_seq, "target_id": None, "now_us": tx.now_us()},
    )
    changes.use(quota.bucket_subject(bucket.bucket_id), size_bytes=-cast(int, size_bytes), objects=-1)
    return asked


def is_locked(tx: Tx, retention_mode: object, retain_until_us: object, legal_hold: object) -> bool:
    """Whether object lock keeps a version now, by the database's clock."""
    if legal_hold:
        return True
    return retention_mode is not None and cast(int, retain_until_us) > tx.now_us()


def check_conditions(new: NewVersion, current: Row | None) -> None:
    is_there = current is not None and not current[4]
    if new.if_none_match and is_there:
        raise PreconditionFailed(condition="If-None-Match")
    if new.if_match_etag == ANY_ETAG:
        if not is_there:
            raise PreconditionFailed(condition="If-Match")
    elif new.if_match_etag is not None:
        if current is None or not is_there:
            raise NoSuchKey(bucket=new.bucket, key=new.key)
        if current[2] != new.if_match_etag:
            raise PreconditionFailed(condition="If-Match")


def locations_of(blobs: Sequence[NewBlob]) -> list[Location]:
    """All pieces of new blobs."""
    return [each for new in blobs for each in new.locations]


class Intents:
    """Intents that a write fulfils."""

    def __init__(self, tx: Tx, intent_ids: Sequence[bytes]) -> None:
        self._asked = [tx.ask("delete_intent", {"intent_id": each}) for each in intent_ids]

    def check(self) -> None:
        """Raises IntentLost unless every one of them stood."""
        if sum(each.count() for each in self._asked) != len(self._asked):
            raise IntentLost("an intent of this write was recovered by another process")


def insert_blobs(tx: Tx, blobs: Sequence[NewBlob], changes: quota.Changes) -> Intents:
    """Rows of new blobs and their pieces: bytes are used, intents fulfilled."""
    now_us = tx.now_us()
    for new in blobs:
        blob = new.blob
        tx.ask(
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
            tx.ask(
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
            changes.use(subject, size_bytes=location.stored_bytes, objects=1)
        if len(new.locations) < blob.scheme.count:
            ask_repair(tx, RepairKind.HEAL, blob.blob_id, reason=WRITTEN_BELOW)
    return Intents(tx, [intent_id for new in blobs for intent_id in new.intent_ids])


def _is_whole(new: NewVersion, blob_sizes: Mapping[bytes, int]) -> bool:
    """Whether the one segment is a whole blob, so that the version row can name it without a segment row."""
    segment = new.segments[0]
    if segment.blob_offset != 0 or segment.part_number is not None:
        return False
    return blob_sizes[segment.blob_id] == segment.length == new.size_bytes
