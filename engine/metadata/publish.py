"""Publishing: a finished upload becomes the key's current version, in one transaction with all it displaces."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

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
from engine.metadata.displacing import Displaced, Displacing
from engine.metadata.images import VERSION
from engine.metadata.new_versions import InsertedVersions, ToldSegment, VersionRow, image_of
from engine.metadata.placements import Placements
from engine.metadata.repairs import RepairKind, ask_repair
from engine.metadata.store import Answer, JointUnit, Params, Row, RunAgain, SqlValue, Tx
from engine.notifications.messages import ObjectEvent
from engine.notifications.rules import EventType, NotificationRule, parse_rules
from engine.records import (
    ANY_ETAG,
    Bucket,
    Location,
    NewBlob,
    NewVersion,
    Published,
)

_REFUSALS = (NoSuchBucket, NoSuchKey, PreconditionFailed, VersionLocked, PlacementRefused, BlobGone)
"""What a publish is refused for before it writes a row."""

WRITTEN_BELOW = "written with fewer copies than its scheme asks for"


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
    of it, or RunAgain where somebody else is at the key or the bucket, whom the others shall not wait for. What is
    found out later (as a quota without room) is raised, and then nothing of any may be committed.
    """
    buckets = {
        each: tx.try_lock("lock_bucket_if_free", {"bucket": each}) for each in {new.bucket for new in news}
    }
    keys = [tx.try_lock("lock_key_if_free", {"bucket": each.bucket, "object_key": each.key}) for each in news]
    return _publish(
        tx,
        news,
        [
            partial(_are_free, buckets[new.bucket], is_key_free)
            for new, is_key_free in zip(news, keys, strict=True)
        ],
    )


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
    writing = [each for each in publishings if each not in refused]
    published = dict(zip(writing, _write(tx, writing), strict=True))
    return [refused[each] if each in refused else published[each] for each in publishings]


def _write(tx: Tx, publishings: Sequence["_Publishing"]) -> list[Published]:
    """Raises RunAgain, IntentLost, BucketQuotaExceeded, BackendQuotaExceeded: then nothing may be committed."""
    changes = quota.Changes()
    intents = insert_blobs(tx, [each for one in publishings for each in one.new.blobs], changes)
    rows = [each.row for each in publishings]
    displaced = Displaced(tx, [each.displacing for each in rows], changes)
    inserted = InsertedVersions(tx, rows)
    for each in rows:
        changes.use(quota.bucket_subject(each.bucket.bucket_id), size_bytes=each.new.size_bytes, objects=1)
    check_room(tx, changes, [each.bucket for each in rows])
    made = inserted.published()
    displaced.check()
    intents.check()
    told = list(zip(publishings, made, strict=True))
    journal.append_all(
        tx, VERSION.name, [image_of(one.row, published, one.told_segments()) for one, published in told]
    )
    for one, published in told:
        tell_made(tx, one.rules, one.row.bucket, one.new, published)
    tx.ask_many("insert_segment", [each for one, published in told for each in one.segment_rows(published)])
    return made


class _Publishing:
    """One version on its way. What is refused of it is refused by `look` and `check`, before anything is written."""

    def __init__(self, tx: Tx, new: NewVersion, placements: Placements, is_free: Callable[[], bool]) -> None:
        self.new = new
        self._tx = tx
        self._placements = placements
        self._is_free = is_free
        self._joined = {
            each.blob_id: tx.ask("find_blob_size", {"blob_id": each.blob_id}) for each in new.joined
        }
        self._found = ask_for_write(tx, new.bucket, new.key)

    def look(self) -> None:
        """Raises NoSuchBucket, NoSuchKey, PreconditionFailed, PlacementRefused, BlobGone, RunAgain."""
        new = self.new
        if not self._is_free():
            raise RunAgain
        bucket, current, self.rules = read_for_write(self._found, new.bucket)
        if bucket.account_id != new.account_id:
            raise NoSuchBucket(bucket=new.bucket)
        check_conditions(new, current)
        self._placements.check(locations_of(new.blobs))
        displacing = Displacing(self._tx, bucket, new.key, current)
        self.row = VersionRow(bucket=bucket, new=new, displacing=displacing, blob_id=self._whole_blob_id())

    def check(self) -> None:
        """Raises VersionLocked."""
        self.row.displacing.look(self._tx)

    def told_segments(self) -> list[ToldSegment]:
        return [
            (each.blob_id, each.blob_offset, each.length, each.part_number, None)
            for each in self.new.segments
        ]

    def segment_rows(self, published: Published) -> list[Params]:
        """None where the version's row names its one blob."""
        if self.row.blob_id is not None:
            return []
        return [
            {
                "version_seq": published.version_seq,
                "ordinal": each.ordinal,
                "start_offset": each.start_offset,
                "blob_id": each.blob_id,
                "blob_offset": each.blob_offset,
                "length": each.length,
                "part_number": each.part_number,
                "part_digest": None,
            }
            for each in self.new.segments
        ]

    def _whole_blob_id(self) -> bytes | None:
        """The blob that is all of the version, so that its row can name it without a segment row. Raises BlobGone."""
        new = self.new
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


def _is_free() -> bool:
    """Whoever waited for the key has it."""
    return True


def _are_free(is_bucket_free: Callable[[], bool], is_key_free: Callable[[], bool]) -> bool:
    return is_bucket_free() and is_key_free()


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
    tx.ask_many(
        "insert_blob",
        [
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
            }
            for blob in (new.blob for new in blobs)
        ],
    )
    locations = locations_of(blobs)
    tx.ask_many(
        "insert_location",
        [
            {
                "blob_id": each.blob_id,
                "piece_index": each.piece_index,
                "backend_id": each.backend_id,
                "storage_key": each.storage_key,
                "stored_bytes": each.stored_bytes,
                "card_key_id": each.card_key_id,
                "now_us": now_us,
            }
            for each in locations
        ],
    )
    for each in locations:
        changes.use(quota.backend_subject(each.backend_id), size_bytes=each.stored_bytes, objects=1)
    for new in blobs:
        if len(new.locations) < new.blob.scheme.count:
            ask_repair(tx, RepairKind.HEAL, new.blob.blob_id, reason=WRITTEN_BELOW)
    return Intents(tx, [intent_id for new in blobs for intent_id in new.intent_ids])
