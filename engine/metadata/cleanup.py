"""The cleanup queue: exact storage keys to delete, tried again with growing pauses, buried after the last try."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from engine.metadata import quota
from engine.metadata.store import Answer, Row, RunAgain, Tx
from engine.metadata.volumes import volume_of
from engine.records import CleanupItem, Lease
from engine.units import DAY_S, MINUTE_S

ATTEMPT_COUNT_MAX = 10
BACKOFF_FIRST_S = MINUTE_S
BACKOFF_MAX_S = DAY_S

_ALWAYS_US = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupDepth:
    """How much waits. `oldest_due_us` is null when nothing does."""

    queued_count: int
    due_count: int
    dead_count: int
    queued_bytes: int
    oldest_due_us: int | None


def enqueue(
    tx: Tx, *, backend_id: int, storage_key: str, size_bytes: int, reason: str, not_before_us: int
) -> Answer:
    """Ask for a deletion; the answer counts none when one waits already.

    The caller moves the bytes to the backend's orphans.
    """
    return enqueue_all(
        tx, [(backend_id, storage_key, size_bytes)], reason=reason, not_before_us=not_before_us
    )


def enqueue_all(tx: Tx, pieces: Iterable[tuple[int, str, int]], *, reason: str, not_before_us: int) -> Answer:
    """As `enqueue`, of pieces each told as its backend, storage key and size in bytes."""
    return tx.ask_many(
        "upsert_cleanup",
        [
            {
                "backend_id": backend_id,
                "storage_key": storage_key,
                "size_bytes": size_bytes,
                "reason": reason,
                "not_before_us": not_before_us,
            }
            for backend_id, storage_key, size_bytes in pieces
        ],
    )


def claim_due(
    tx: Tx, *, process_id: bytes, count_max: int, lease: Lease | None = None, ignore_grace: bool = False
) -> list[CleanupItem]:
    """Take due rows to work on; nobody else gets them until they are settled, postponed or stale.

    `lease` is what every write of the claimer is fenced by: the claim is stale when it has ended.
    """
    rows = tx.rows(
        "claim_cleanup",
        {
            "process_id": process_id,
            "lease": None if lease is None else lease.worker,
            "token": None if lease is None else lease.token,
            "now_us": tx.now_us(),
            "due_us": _ALWAYS_US if ignore_grace else tx.now_us(),
            "count_max": count_max,
        },
    )
    return [_read(row) for row in rows]


def settle_deleted(tx: Tx, items: Sequence[CleanupItem]) -> None:
    """The pieces are gone. Settling again is harmless."""
    asked = [(item, tx.ask("delete_cleanup", {"cleanup_id": item.cleanup_id})) for item in items]
    changes = quota.Changes()
    dead_bytes: dict[bytes, int] = {}
    for item, answer in asked:
        if answer.row_or_none() is None:
            continue
        changes.free_orphan(quota.backend_subject(item.backend_id), size_bytes=item.size_bytes)
        volume_id = volume_of(item.storage_key)
        if volume_id is not None:
            dead_bytes[volume_id] = dead_bytes.get(volume_id, 0) + item.size_bytes
    changes.apply(tx)
    for volume_id in sorted(dead_bytes):
        tx.ask("add_volume_dead_bytes", {"volume_id": volume_id, "bytes": dead_bytes[volume_id]})


def postpone(tx: Tx, item: CleanupItem, error: str) -> None:
    """A try failed: the next one after 1 m × 2^n, at most a day; the tenth failure buries the row."""
    if item.attempts + 1 >= ATTEMPT_COUNT_MAX:
        buried = tx.run(
            "bury_cleanup", {"cleanup_id": item.cleanup_id, "error": error, "now_us": tx.now_us()}
        )
        if tx.row_or_none("delete_cleanup", {"cleanup_id": item.cleanup_id}) is None and buried:
            # Somebody settled it in between, and freed its bytes: nothing is left to bury.
            raise RunAgain
        return
    pause_s = min(BACKOFF_FIRST_S * 2**item.attempts, BACKOFF_MAX_S)
    next_retry_us = tx.now_us() + pause_s * 1_000_000
    tx.run(
        "postpone_cleanup", {"cleanup_id": item.cleanup_id, "next_retry_us": next_retry_us, "error": error}
    )


def put_off(tx: Tx, items: Sequence[CleanupItem], *, pause_s: float) -> None:
    """Claimed and not tried: open again after the pause, with no try used up."""
    due_us = tx.now_us() + int(pause_s * 1_000_000)
    for item in items:
        tx.ask("put_off_cleanup", {"cleanup_id": item.cleanup_id, "due_us": due_us})


def return_stale_claims(tx: Tx, *, older_than_us: int, lease: Lease | None = None) -> int:
    """Claims whose lease has ended are open again, and old ones that were made without; how many.

    So are those under `lease`, the caller's own: it has none at hand yet, so they are what an interruption left.
    """
    return tx.run(
        "return_stale_cleanup",
        {
            "before_us": older_than_us,
            "lease": "" if lease is None else lease.worker,
            "now_us": tx.now_us(),
        },
    )


def list_dead(tx: Tx, *, after: int, count_max: int) -> list[CleanupItem]:
    return [_read(row) for row in tx.rows("list_cleanup_dead", {"after": after, "count_max": count_max})]


def requeue(tx: Tx, cleanup_id: int) -> bool:
    """Give a dead letter all its tries again; false when there is none of that id, or its key waits already."""
    if not tx.run("requeue_cleanup", {"cleanup_id": cleanup_id, "now_us": tx.now_us()}):
        return False
    tx.run("delete_cleanup_dead", {"cleanup_id": cleanup_id})
    return True


def depth(tx: Tx) -> CleanupDepth:
    queued, due, queued_bytes, oldest = tx.row("read_cleanup_depth", {"now_us": tx.now_us()})
    (dead,) = tx.row("count_cleanup_dead", {})
    return CleanupDepth(
        queued_count=cast(int, queued),
        due_count=cast(int, due),
        dead_count=cast(int, dead),
        queued_bytes=cast(int, queued_bytes),
        oldest_due_us=cast("int | None", oldest),
    )


def _read(row: Row) -> CleanupItem:
    cleanup_id, backend_id, storage_key, size_bytes, reason, attempts = row
    return CleanupItem(
        cleanup_id=cast(int, cleanup_id),
        backend_id=cast(int, backend_id),
        storage_key=cast(str, storage_key),
        size_bytes=cast(int, size_bytes),
        reason=cast(str, reason),
        attempts=cast(int, attempts),
    )
