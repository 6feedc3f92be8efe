"""Announced pieces that no blob came to name: handed to the cleanup queue, unless somebody names them after all."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.metadata import cleanup, quota
from engine.metadata.intents import LATE_WRITE_S, Intent
from engine.metadata.intents import settle as settle_intent
from engine.metadata.locations import is_named
from engine.metadata.store import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """An announced piece that no blob names: `size_bytes` of it may stand, or land later."""

    intent: Intent
    size_bytes: int


def settle_strays(tx: Tx, strays: Sequence[Stray], changes: quota.Changes | None = None) -> None:
    """Strays become cleanup rows and their intents go, in the caller's transaction. Repeating it is harmless.

    A write that was given up may land after its key was deleted, so the rows come due when none can arrive any more.
    Accounts come last in a transaction: who changes others as well gives `changes`, and applies them in the end.
    """
    gathered = quota.Changes() if changes is None else changes
    not_before_us = tx.now_us() + LATE_WRITE_S * 1_000_000
    for stray in strays:
        backend_id, storage_key = stray.intent.backend_id, stray.intent.storage_key
        # Without its intent the piece was published by a commit whose caller never learned of it, or recovery has
        # claimed it and may have deleted before the bytes stood. Only what no row names is handed over.
        if not settle_intent(tx, stray.intent.intent_id) and is_named(
            tx, backend_id=backend_id, storage_key=storage_key
        ):
            continue
        is_new = cleanup.enqueue(
            tx,
            backend_id=backend_id,
            storage_key=storage_key,
            size_bytes=stray.size_bytes,
            reason="intent",
            not_before_us=not_before_us,
        )
        if is_new.count():
            gathered.find(quota.backend_subject(backend_id), orphan_bytes=stray.size_bytes)
    if changes is None:
        gathered.apply(tx)
