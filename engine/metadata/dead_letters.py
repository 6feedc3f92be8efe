"""What waits for deletion and what was given up, for people who look, and who try it again or let it go."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from engine.errors import NoSuchResource
from engine.metadata import cleanup, quota
from engine.metadata.store import Row, SqlValue, Tx
from engine.metadata.volumes import volume_of

UNIT_COUNT_MAX = 200
"""Dead letters that one transaction tries again or lets go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedItem:
    """An exact storage key to delete. `due_us` is when the next try may be made."""

    cleanup_id: int
    backend_id: int
    storage_key: str
    size_bytes: int
    reason: str
    attempt_count: int
    due_us: int
    last_error: str | None
    is_claimed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A storage key whose deletion was given up; its bytes still count as orphans."""

    cleanup_id: int
    backend_id: int
    storage_key: str
    size_bytes: int
    reason: str
    attempt_count: int
    last_error: str | None
    died_at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterFilter:
    """Which dead letters; null asks for all."""

    backend_id: int | None = None
    reason: str | None = None
    died_before_us: int | None = None

    @property
    def params(self) -> dict[str, SqlValue]:
        return {
            "backend_id": self.backend_id,
            "reason": self.reason,
            "died_before_us": self.died_before_us,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """So many, and what they hold."""

    count: int = 0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendBacklog:
    """What waits for deletion on a backend, and what was given up there."""

    backend_id: int
    queued: Amount
    dead: Amount


def resource_name(cleanup_id: int) -> str:
    return f"deadLetters/{cleanup_id}"


def list_queued(
    tx: Tx, *, backend_id: int | None, due_us: int | None, after: int, count_max: int
) -> list[QueuedItem]:
    """Rows of the queue behind an id, of a backend and due by a time where these are not null."""
    params: dict[str, SqlValue] = {
        "backend_id": backend_id,
        "due_us": due_us,
        "after": after,
        "count_max": count_max,
    }
    return [_read_queued(row) for row in tx.rows("list_cleanup_items", params)]


def list_dead_letters(tx: Tx, wanted: DeadLetterFilter, *, after: int, count_max: int) -> list[DeadLetter]:
    """Behind an id."""
    params = {**wanted.params, "after": after, "count_max": count_max}
    return [_read_dead(row) for row in tx.rows("list_dead_letters", params)]


def find_dead_letters(tx: Tx, cleanup_ids: Sequence[int]) -> list[DeadLetter]:
    """Those of these ids. Raises NoSuchResource for the first that is not there."""
    asked = [tx.ask("find_dead_letter", {"cleanup_id": cleanup_id}) for cleanup_id in cleanup_ids]
    found = []
    for cleanup_id, answer in zip(cleanup_ids, asked, strict=True):
        row = answer.row_or_none()
        if row is None:
            raise NoSuchResource(name=resource_name(cleanup_id))
        found.append(_read_dead(row))
    return found


def sum_dead_letters(tx: Tx, wanted: DeadLetterFilter) -> Amount:
    count, size_bytes = tx.row("sum_dead_letters", wanted.params)
    return Amount(count=cast(int, count), size_bytes=cast(int, size_bytes))


def sum_by_backend(tx: Tx) -> list[BackendBacklog]:
    """Of every backend where anything waits or was given up."""
    return [
        BackendBacklog(
            backend_id=cast(int, backend_id),
            queued=Amount(count=cast(int, queued), size_bytes=cast(int, queued_bytes)),
            dead=Amount(count=cast(int, dead), size_bytes=cast(int, dead_bytes)),
        )
        for backend_id, queued, queued_bytes, dead, dead_bytes in tx.rows("sum_cleanup_of_backends", {})
    ]


def retry(tx: Tx, letters: Sequence[DeadLetter]) -> int:
    """Give them all their tries again, from now on; how many. One whose key waits already stays as it is."""
    return sum(cleanup.requeue(tx, each.cleanup_id) for each in letters)


def discard(tx: Tx, letters: Sequence[DeadLetter]) -> Amount:
    """Let them go: their bytes count as orphans no more, and may lie on their backend for good.

    On a volume they are dead space, which compaction gives back. What went otherwise meanwhile is not counted.
    """
    asked = [(each, tx.ask("delete_cleanup_dead", {"cleanup_id": each.cleanup_id})) for each in letters]
    changes = quota.Changes()
    dead_bytes: dict[bytes, int] = {}
    count = size_bytes = 0
    for each, answer in asked:
        if not answer.count():
            continue
        count += 1
        size_bytes += each.size_bytes
        changes.free_orphan(quota.backend_subject(each.backend_id), size_bytes=each.size_bytes)
        volume_id = volume_of(each.storage_key)
        if volume_id is not None:
            dead_bytes[volume_id] = dead_bytes.get(volume_id, 0) + each.size_bytes
    changes.apply(tx)
    for volume_id in sorted(dead_bytes):
        tx.ask("add_volume_dead_bytes", {"volume_id": volume_id, "bytes": dead_bytes[volume_id]})
    return Amount(count=count, size_bytes=size_bytes)


def _read_queued(row: Row) -> QueuedItem:
    cleanup_id, backend_id, storage_key, size_bytes, reason, attempts, due_us, last_error, is_claimed = row
    return QueuedItem(
        cleanup_id=cast(int, cleanup_id),
        backend_id=cast(int, backend_id),
        storage_key=cast(str, storage_key),
        size_bytes=cast(int, size_bytes),
        reason=cast(str, reason),
        attempt_count=cast(int, attempts),
        due_us=cast(int, due_us),
        last_error=cast("str | None", last_error),
        is_claimed=bool(is_claimed),
    )


def _read_dead(row: Row) -> DeadLetter:
    cleanup_id, backend_id, storage_key, size_bytes, reason, attempts, last_error, died_at_us = row
    return DeadLetter(
        cleanup_id=cast(int, cleanup_id),
        backend_id=cast(int, backend_id),
        storage_key=cast(str, storage_key),
        size_bytes=cast(int, size_bytes),
        reason=cast(str, reason),
        attempt_count=cast(int, attempts),
        last_error=cast("str | None", last_error),
        died_at_us=cast(int, died_at_us),
    )
