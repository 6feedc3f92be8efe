"""Publishing: a finished upload becomes the key's current version, in one transaction with all it displaces."""

from collections.abc import Callable, Iterable, Sequence
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
from engine.metadata import journal, outbox, quota
from engine.metadata.buckets import BUCKET_COLUMN_COUNT, bucket_of
from engine.metadata.columns import write_checksums, write_headers
from engine.metadata.displacing import Displacing
from engine.metadata.images import STANDARD, VERSION
from engine.metadata.placements import Placements
from engine.metadata.repairs import RepairKind, ask_repair
from engine.metadata.store import Answer, JointUnit, Params, Row, RunAgain, SqlValue, Tx
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

_REFUSALS = (NoSuchBucket, NoSuchKey, PreconditionFailed, VersionLocked, PlacementRefused, BlobGone)

WRITTEN_BELOW = "written with fewer copies than its scheme asks for"

ToldSegment = tuple[bytes, int, int, int | None, str | None]
"""A segment as images tell it: its blob, where it begins in that, its length, its part, and that one's digest."""


class Publication(JointUnit[Published]):
    """The unit that publishes one version, alone or in one transaction with others."""

    __slots__ = ("new",)

    def __init__(self, new: NewVersion) -> None:
        self.new = new

    @property
    def subject(self) -> tuple[str, bytes]:
        return self.new.bucket, self.new.key

    def __call__(self, tx: Tx) -> Published:
        return publish(tx, self.new)

    @classmethod
    def run_together(cls, tx: Tx, units: "Sequence[Publication]") -> list[Published | Exception]:
        return publish_together(tx, [each.new for each in units])


def publish(tx: Tx, new: NewVersion) -> Published:
    """Make `new` the current version of its key. Repeating it after a rollback is safe, after a commit it is not.

    Raises NoSuchBucket, NoSuchKey (nothing is there to match), PreconditionFailed, VersionLocked, BucketQuotaExceeded,
    BackendQuotaExceeded, PlacementRefused, IntentLost, BlobGone. The displaced version's blobs are left for the reaper:
    bytes deleted here would be gone even if the transaction rolled back.
    A bucket of that name that belongs to another account by now is none of the writer's: NoSuchBucket.

    Three round trips: locks and all that is read under them, the rows, the journal with the commit.
    """
    lock_key(tx, new.bucket, new.key)
    (outcome,) = _publish(tx, [new], [_is_free])
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def publish_together(tx: Tx, news: Sequence[NewVersion]) -> list[Published | Exception]:
    """Publish versions of different keys in the round trips of one; what came of each, in their order.

    Whoever is refused before anything is written has that in its place, and the others go on: what `publish` raises
    of it, or RunAgain where somebody else is at the key, whom the others shall not wait for. What is found out later
    (as a quota without room) is raised, and then nothing of any may be committed.
    """
    for bucket in sorted({each.bucket for each in news}):
        tx.lock("lock_bucket", {"bucket": bucket})
    named: list[Params] = [{"bucket": each.bucket, "object_key": each.key} for each in news]
    return _publish(tx, news, [tx.try_lock("lock_key_if_free", each) for each in named])


def _publish(
    tx: Tx, news: Sequence[NewVersion], free: Sequence[Callable[[], bool]]
) -> list[Published | Exception]:
    """Step by step for all, so that each step is one round trip. `free` tell whose key is the caller's."""
    placements = Placements(tx, [each for new in news for each in locations_of(new.blobs)])
    publishings = [_Publishing(tx, new, placements, is_free) for new, is_free in zip(news, free, strict=True)]
    refused: dict[_Publishing, Exception] = {}
    for step in (_Publishing.look, _Publishing.check):
        for each in publishings:
            if each not in refused:
                try:
                    step(each)
                except (*_REFUSALS, RunAgain) as error:
                    refused[each] = error
    changes = quota.Changes()
    writing = [each for each in publishings if each not in refused]
    for each in writing:
        each.write(changes)
    check_room(tx, changes, [each.bucket for each in writing])
    published = {each: each.finish() for each in writing}
    return [refused[each] if each in refused else published[each] for each in publishings]


class _Publishing:
    """One version on its way. What is refused of it is refused by `look` and `check`, before anything is written."""

    def __init__(self, tx: Tx, new: NewVersion, placements: Placements, is_free: Callable[[], bool]) -> None:
        self._tx = tx
        self._new = new
        self._placements = placements
        self._is_free = is_free
        self._joined = {
            each.blob_id: tx.ask("find_blob_size", {"blob_id": each.blob_id}) for each in new.joined
        }
        self._found = ask_for_write(tx, new.bucket, new.key)

    def look(self) -> None:
        """Raises NoSuchBucket, NoSuchKey, PreconditionFailed, PlacementRefused, BlobGone, RunAgain."""
        new = self._new
        if not self._is_free():
            raise RunAgain
        self.bucket, current, self._rules = read_for_write(self._found, new.bucket)
        if self.bucket.account_id != new.account_id:
            raise NoSuchBucket(bucket=new.bucket)
        check_conditions(new, current)
        self._placements.check(locations_of(new.blobs))
        self._blob_id = self._whole_blob_id()
        self._displacing = Displacing(self._tx, self.bucket, new.key, current)

    def check(self) -> None:
        """Raises VersionLocked."""
        self._displacing.look(self._tx)

    def write(self, changes: quota.Changes) -> None:
        """Ask for the rows."""
        tx, new = self._tx, self._new
        self._intents = insert_blobs(tx, new.blobs, changes)
        self._displacing.displace(tx, changes)
        changes.use(quota.bucket_subject(self.bucket.bucket_id), size_bytes=new.size_bytes, objects=1)
        self._inserted = insert_version(tx, self.bucket, new, self._displacing, blob_id=self._blob_id)

    def finish(self) -> Published:
        """Raises RunAgain, IntentLost: then nothing may be committed."""
        tx, new = self._tx, self._new
        published = self._inserted()
        self._displacing.check()
        self._intents.check()
        named = [
            (each.blob_id, each.blob_offset, each.length, each.part_number, None) for each in new.segments
        ]
        append_image(tx, self.bucket, new, published, named, blob_id=self._blob_id)
        tell_made(tx, self._rules, self.bucket, new, published)
        if self._blob_id is None:
            self._insert_segments(published)
        return published

    def _whole_blob_id(self) -> bytes | None:
        """The blob that is all of the version, so that its row can name it without a segment row. Raises BlobGone."""
        new = self._new
        sizes = {each.blob.blob_id: each.blob.size_bytes for each in new.blobs}
        for blob_id, asked in self._joined.items():
            row = asked.row_or_none()
            if row is None:
                raise BlobGone(blob_id=blob_id)
            sizes[blob_id] = cast(int, row[0])
        if len(new.segments) != 1:
            return None
        (segment,) = new.segments
        if segment.blob_offset != 0 or segment.part_number is not None:
            return None
        return segment.blob_id if sizes[segment.blob_id] == segment.length == new.size_bytes else None

    def _insert_segments(self, published: Published) -> None:
        for segment in self._new.segments:
            self._tx.ask(
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


def _is_free() -> bool:
    """Whoever waited for the key has it."""
    return True


def lock_key(tx: Tx, bucket: str, key: bytes) -> None:
    """Locks that spare writers of one key the error; the unique index on current versions decides."""
    named: dict[str, SqlValue] = {"bucket": bucket, "object_key": key}
    tx.lock("lock_bucket", {"bucket": bucket})
    tx.lock("lock_key", named)


def find_for_write(
    tx: Tx, bucket: str, key: bytes
) -> tuple[Bucket, Row | None, tuple[NotificationRule, ...]]:
    """The bucket, of the key's current version what a write looks at, and who is to be told; raises NoSuchBucket."""
    return read_for_write(ask_for_write(tx, bucket, key), bucket)


def ask_for_write(tx: Tx, bucket: str, key: bytes) -> Answer:
    """What `read_for_write` reads."""
    return tx.ask("find_for_write", {"bucket": bucket, "object_key": key})


def read_for_write(asked: Answer, bucket: str) -> tuple[Bucket, Row | None, tuple[NotificationRule, ...]]:
    """As `find_for_write`."""
    row = asked.row_or_none()
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


def check_room(tx: Tx, changes: quota.Changes, buckets: Sequence[Bucket]) -> None:
    """Do what writes to these do to accounts; raises BucketQuotaExceeded and BackendQuotaExceeded."""
    full = changes.apply(tx)
    if full is None:
        return
    wanted_bytes = changes.wanted_bytes(full)
    for bucket in buckets:
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
