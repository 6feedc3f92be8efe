"""Deleting everything behind a prefix, and whole buckets: key by key, as if a client had asked for each."""

from collections.abc import Sequence

from engine.errors import NoSuchBucket
from engine.metadata import bucket_settings, prefixes, uploads
from engine.metadata.bucket_settings import OwnBucket
from engine.metadata.prefixes import RemovedPage
from engine.metadata.store import Store, Tx
from engine.names import BucketName
from engine.records import HISTORY_START, HistoryPosition
from engine.upkeep.long_work import Extent, Fence, Step

BATCH_COUNT_MAX = 100
"""Versions looked at in one transaction: each that goes changes some five rows."""

COUNT_MAX = 1_000_000
"""So far is counted; beyond it only that there is more is known."""

GONE = "the bucket is gone, or another one of its name"


class PrefixDeletion:
    """Implements `engine.upkeep.long_work.LongWork`; a step is one page of the history in one transaction.

    A step that is repeated finds what it removed removed. The bucket is told by its number: one that was made again
    under its name is left alone, and so is every version newer than `up_to_seq`.
    """

    def __init__(
        self,
        store: Store,
        *,
        fence: Fence,
        bucket: BucketName,
        bucket_id: int,
        prefix: bytes,
        all_versions: bool,
        up_to_seq: int | None,
        batch_count_max: int = BATCH_COUNT_MAX,
    ) -> None:
        """`up_to_seq` null: whatever comes along goes too."""
        self._store = store
        self._fence = fence
        self._bucket = OwnBucket(name=bucket, bucket_id=bucket_id)
        self._prefix = prefix
        self._all_versions = all_versions
        self._up_to_seq = up_to_seq
        self._batch_count_max = batch_count_max

    def measure(self) -> Extent:
        found = prefixes.count_prefix(
            self._store,
            bucket_id=self._bucket.bucket_id,
            prefix=self._prefix,
            all_versions=self._all_versions,
            count_max=COUNT_MAX,
        )
        return Extent() if found.is_partial else Extent(item_count=found.count, size_bytes=found.size_bytes)

    def step(self, cursor: str | None, /) -> Step:
        after = HISTORY_START if cursor is None else read_position(cursor)
        try:
            page = self._store.write(lambda tx: self._remove(tx, after))
        except NoSuchBucket:
            return Step(cursor=cursor or "", is_last=True, warnings=(GONE,))
        return Step(
            cursor="" if page.next_after is None else write_position(page.next_after),
            is_last=page.next_after is None,
            item_count=page.count,
            failed_count=len(page.locked),
            moved_bytes=page.size_bytes,
            stage="deleting",
            current_item="" if page.next_after is None else page.next_after.key.decode(),
            warnings=_locked(page.locked),
        )

    def cancelled(self) -> None:
        """What is gone is gone, and the rest stays."""

    def _remove(self, tx: Tx, after: HistoryPosition) -> RemovedPage:
        self._fence(tx)
        self._bucket.require(tx)
        return prefixes.remove_page(
            tx,
            bucket=self._bucket.name,
            prefix=self._prefix,
            after=after,
            up_to_seq=self._up_to_seq,
            all_versions=self._all_versions,
            count_max=self._batch_count_max,
        )


class BucketDeletion:
    """Implements `engine.upkeep.long_work.LongWork`: all versions go, then open uploads, then the bucket.

    The cursor is the stage, and within the first one the position in the history. What is written meanwhile ends it
    with BucketNotEmpty: it is somebody's who was not asked.
    """

    def __init__(
        self,
        store: Store,
        *,
        fence: Fence,
        bucket: BucketName,
        bucket_id: int,
        batch_count_max: int = BATCH_COUNT_MAX,
    ) -> None:
        self._store = store
        self._fence = fence
        self._bucket = OwnBucket(name=bucket, bucket_id=bucket_id)
        self._batch_count_max = batch_count_max
        self._emptying = PrefixDeletion(
            store,
            fence=fence,
            bucket=bucket,
            bucket_id=bucket_id,
            prefix=b"",
            all_versions=True,
            up_to_seq=None,
            batch_count_max=batch_count_max,
        )

    def measure(self) -> Extent:
        return self._emptying.measure()

    def step(self, cursor: str | None, /) -> Step:
        if cursor is None or cursor.startswith(_VERSIONS):
            return self._empty(None if cursor is None else cursor.removeprefix(_VERSIONS))
        try:
            count = self._store.write(self._abort_uploads)
            if count:
                return Step(cursor=_UPLOADS, is_last=False, stage="aborting uploads")
            self._store.write(self._delete)
        except NoSuchBucket:
            # A step before did it, and its end was not stored.
            pass
        return Step(cursor=_UPLOADS, is_last=True, stage="deleting the bucket")

    def cancelled(self) -> None:
        """What is gone is gone; the bucket stays with the rest."""

    def _empty(self, position: str | None) -> Step:
        step = self._emptying.step(position)
        if GONE in step.warnings:
            return step
        return Step(
            cursor=_UPLOADS if step.is_last else _VERSIONS + step.cursor,
            is_last=False,
            item_count=step.item_count,
            failed_count=step.failed_count,
            moved_bytes=step.moved_bytes,
            stage=step.stage,
            current_item=step.current_item,
            warnings=step.warnings,
        )

    def _abort_uploads(self, tx: Tx) -> int:
        self._fence(tx)
        self._bucket.require(tx)
        return uploads.abort_of_bucket(tx, self._bucket.bucket_id, count_max=self._batch_count_max)

    def _delete(self, tx: Tx) -> None:
        self._fence(tx)
        self._bucket.require(tx)
        bucket_settings.delete_bucket(tx, name=self._bucket.name)


_VERSIONS = "versions:"
_UPLOADS = "uploads"


def write_position(position: HistoryPosition) -> str:
    """`{version_seq}:{key}`; no number behind all of a key."""
    return f"{'' if position.version_seq is None else position.version_seq}:{position.key.decode()}"


def read_position(text: str) -> HistoryPosition:
    """Raises ValueError for what `write_position` never wrote."""
    number, colon, key = text.partition(":")
    if not colon or not ((number.isascii() and number.isdigit()) or not number):
        raise ValueError(f"no position: {text[:80]!r}")
    if not number:
        return HistoryPosition(key=key.encode())
    # Which version id it had does not count where its number is known.
    return HistoryPosition(key=key.encode(), version_id="", version_seq=int(number))


def _locked(versions: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"a lock keeps {each}" for each in versions)
