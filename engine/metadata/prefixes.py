"""What lies behind a prefix: counted a bounded page at a time, and removed version by version."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from engine.errors import PreconditionFailed, VersionLocked
from engine.metadata.history import list_history
from engine.metadata.listing import successor
from engine.metadata.remove import remove, remove_version
from engine.metadata.store import SqlValue, Store, Tx
from engine.names import BucketName
from engine.records import HistoryEntry, HistoryPosition, RemoveConditions, Versioning

PAGE_COUNT_MAX = 10_000
"""Rows counted in one transaction."""

_ALL = 2**40


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What was counted; `is_partial` when there is more."""

    count: int = 0
    size_bytes: int = 0
    is_partial: bool = False


@dataclass(slots=True, kw_only=True)
class RemovedPage:
    """What became of a page of history. `next_after` null: it was the last."""

    next_after: HistoryPosition | None
    count: int = 0
    size_bytes: int = 0
    locked: list[str] = field(default_factory=list)
    """Versions that a lock keeps, for people."""


def count_page(
    tx: Tx, *, bucket_id: int, start: bytes, before: bytes, count_max: int, all_versions: bool
) -> tuple[Content, bytes | None]:
    """What lies from `start` to before `before`, some `count_max` rows of it, and where the rest begins; null: no rest.

    Current versions, or with `all_versions` every version and marker, those of one key always together.
    """
    params: dict[str, SqlValue] = {
        "bucket_id": bucket_id,
        "start": start,
        "before": before,
        "count_max": count_max,
    }
    statement = "sum_history_range" if all_versions else "sum_current_range"
    count, size_bytes, edge = tx.row(statement, params)
    rest = cast("bytes | None", edge)
    if rest is not None and not count:
        # Of that one key alone; the least key behind it is itself and a zero byte.
        behind = rest + b"\0"
        count, size_bytes, _ = tx.row(
            statement, {**params, "start": rest, "before": behind, "count_max": _ALL}
        )
        rest = behind
    found = Content(count=cast(int, count), size_bytes=cast(int, size_bytes), is_partial=rest is not None)
    return found, rest


def count_prefix(
    store: Store, *, bucket_id: int, prefix: bytes, all_versions: bool, count_max: int
) -> Content:
    """What lies behind a prefix, in transactions of bounded length; at most `count_max` of it, and then partial."""
    before, start = successor(prefix), prefix
    count = size_bytes = 0
    while True:
        page_max = min(PAGE_COUNT_MAX, count_max - count)

        def unit(tx: Tx, start: bytes = start, page_max: int = page_max) -> tuple[Content, bytes | None]:
            return count_page(
                tx,
                bucket_id=bucket_id,
                start=start,
                before=before,
                count_max=page_max,
                all_versions=all_versions,
            )

        found, rest = store.read(unit)
        count, size_bytes = count + found.count, size_bytes + found.size_bytes
        if rest is None:
            return Content(count=count, size_bytes=size_bytes)
        if count >= count_max:
            return Content(count=count_max, size_bytes=size_bytes, is_partial=True)
        start = rest


def newest_version_seq(tx: Tx) -> int:
    """The number of the newest version there is; 0 before the first."""
    (newest,) = tx.row("find_newest_version_seq", {})
    return cast("int | None", newest) or 0


def remove_page(
    tx: Tx,
    *,
    bucket: BucketName,
    prefix: bytes,
    after: HistoryPosition,
    up_to_seq: int | None,
    all_versions: bool,
    count_max: int,
) -> RemovedPage:
    """Look at the next versions behind a position, and remove those that are to go.

    Without `all_versions` what is current goes as a client's DELETE has it: a bucket that keeps versions gets markers.
    Versions newer than `up_to_seq` stay. Repeating a page is harmless. Raises NoSuchBucket.
    """
    page = list_history(tx, bucket=bucket, prefix=prefix, delimiter=b"", after=after, count_max=count_max)
    removed = RemovedPage(next_after=page.next_after)
    for entry in _chosen(page.entries, up_to_seq, all_versions):
        conditions = RemoveConditions(version_seq=entry.version_seq)
        key = entry.listed.key
        try:
            if all_versions:
                remove_version(tx, bucket, key, entry.version_id, conditions=conditions)
            else:
                remove(tx, bucket, key, conditions=conditions)
        except PreconditionFailed:
            # Overwritten since the page was read: what is there now is newer.
            continue
        except VersionLocked:
            removed.locked.append(f"{key.decode()} ({entry.version_id})")
            continue
        removed.count += 1
        removed.size_bytes += entry.listed.size_bytes
    return removed


def covers(versioning: Versioning) -> bool:
    """Whether removing what is current leaves its bytes behind a delete marker."""
    return versioning is not Versioning.OFF


def _chosen(
    entries: Sequence[HistoryEntry], up_to_seq: int | None, all_versions: bool
) -> Sequence[HistoryEntry]:
    return [
        entry
        for entry in entries
        if (up_to_seq is None or entry.version_seq <= up_to_seq)
        and (all_versions or (entry.is_current and not entry.is_delete_marker))
    ]
