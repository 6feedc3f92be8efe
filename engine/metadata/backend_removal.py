"""What the metadata still knows of a backend that goes: keys that wait for deletion, volume files, announced pieces."""

from dataclasses import dataclass
from typing import cast

from engine.metadata import quota
from engine.metadata.backends import holds_pieces
from engine.metadata.store import SqlValue, Tx
from engine.metadata.volumes import forget_volume, list_volumes, set_volume_state
from engine.records import VolumeState

FORGET_COUNT = 500
"""Rows forgotten in one transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """Rows of a drained backend. `due_us` is when the last reader of its bytes may be gone; null: they are.

    `next_try_us` is when the next of the keys that wait may be deleted; null: none waits.
    """

    holds_pieces: bool
    waiting_count: int
    waiting_bytes: int
    dead_count: int
    intent_count: int
    volume_count: int
    due_us: int | None
    next_try_us: int | None


def find_leftovers(tx: Tx, backend_id: int) -> Leftovers:
    named: dict[str, SqlValue] = {"backend_id": backend_id}
    waiting_count, waiting_bytes, newest_us, next_try_us = tx.row("read_cleanup_of_backend", named)
    (dead_count,) = tx.row("count_dead_of_backend", named)
    (intent_count,) = tx.row("count_intents_of_backend", named)
    volumes = list_volumes(tx, backend_id)
    due = [cast(int, newest_us)] if newest_us is not None else []
    due += [row.unlink_after_us for row in volumes if row.unlink_after_us is not None]
    due_us = max(due, default=None)
    return Leftovers(
        holds_pieces=holds_pieces(tx, backend_id),
        waiting_count=cast(int, waiting_count),
        waiting_bytes=cast(int, waiting_bytes),
        dead_count=cast(int, dead_count),
        intent_count=cast(int, intent_count),
        volume_count=len(volumes),
        due_us=due_us if due_us is not None and due_us > tx.now_us() else None,
        next_try_us=cast("int | None", next_try_us),
    )


def forget_waiting(tx: Tx, backend_id: int) -> int:
    """Forget some keys that wait for deletion, or for somebody to look at them; how many. Their bytes count no more."""
    named: dict[str, SqlValue] = {"backend_id": backend_id, "count_max": FORGET_COUNT}
    rows = tx.rows("forget_cleanup_of_backend", named) + tx.rows("forget_dead_of_backend", named)
    changes = quota.Changes()
    for (size_bytes,) in rows:
        changes.free_orphan(quota.backend_subject(backend_id), size_bytes=cast(int, size_bytes))
    changes.apply(tx)
    return len(rows)


def forget_volumes(tx: Tx, backend_id: int) -> int:
    """Forget some rows of volume files of a backend that is removed; how many."""
    rows = list_volumes(tx, backend_id)[:FORGET_COUNT]
    for row in rows:
        if row.state is not VolumeState.GONE:
            set_volume_state(tx, row.volume_id, from_state=row.state, to_state=VolumeState.GONE)
        forget_volume(tx, row.volume_id)
    return len(rows)
