"""Seeing to pieces that dead processes announced: what they may have written is deleted, now and once more later."""

import logging
from collections.abc import Callable, Sequence

from engine.clock import Clock
from engine.errors import BackendError
from engine.metadata import cleanup, intents
from engine.metadata.intents import INTENT_TTL_S, LATE_WRITE_S, Intent
from engine.metadata.processes import DEAD_AFTER_S
from engine.metadata.store import Store, Tx
from engine.records import Lease, Progress
from engine.upkeep.cleanup import UNIT_S_MAX, BackendRegistry

BATCH_COUNT_MAX = 100
"""Intents recovered in one unit."""

_SIZE_UNKNOWN = 0
"""An intent tells no size, and nothing was counted for it: its cleanup row stands for no bytes."""

_log = logging.getLogger(__name__)

Fence = Callable[[Tx], None]


class IntentRecovery:
    """A worker unit (`work`): claims intents of the dead, deletes what they name, hands the keys to cleanup.

    A claim makes the commit that would name the piece fail, so the bytes are nobody's. The deletion now gives room
    back; the cleanup row deletes again when no write can arrive any more, whatever became of the first try. Repeating
    a unit after an interruption is harmless: keys are used once ever, and a claim not followed up is claimed again
    once its lease has ended.
    """

    name = "intents"

    def __init__(
        self,
        store: Store,
        backends: BackendRegistry,
        *,
        fence: Fence,
        process_id: bytes,
        clock: Clock,
        lease: Lease | None = None,
        ttl_s: float = INTENT_TTL_S,
        batch_count_max: int = BATCH_COUNT_MAX,
    ) -> None:
        """`fence` raises LeaseLost in the transaction of every write; an intent not renewed for `ttl_s` is dead.

        `lease` is the one that the fence checks: with its end the claims end, whatever becomes of this process.
        """
        self._store = store
        self._backends = backends
        self._fence = fence
        self._process_id = process_id
        self._clock = clock
        self._lease = lease
        self._ttl_s = ttl_s
        self._batch_count_max = batch_count_max
        self._down: set[int] = set()

    def work(self) -> Progress:
        """Recover one batch. Deferred: keys that only the cleanup queue will delete, their backend having failed."""
        claimed = self._store.write(self._claim)
        if not claimed:
            return Progress()
        deferred = self._delete(claimed)
        self._store.write(lambda tx: self._hand_over(tx, claimed))
        return Progress(
            done_count=len(claimed) - deferred,
            deferred_count=deferred,
            has_more=len(claimed) == self._batch_count_max,
        )

    def _claim(self, tx: Tx) -> list[Intent]:
        self._fence(tx)
        return intents.claim_dead(
            tx,
            process_id=self._process_id,
            dead_after_s=DEAD_AFTER_S,
            lease=self._lease,
            count_max=self._batch_count_max,
            ttl_s=self._ttl_s,
        )

    def _delete(self, claimed: Sequence[Intent]) -> int:
        """How many could not be deleted, or were not tried: a backend that failed once is left in peace."""
        deferred = 0
        deadline_s = self._clock.monotonic_s() + UNIT_S_MAX
        for intent in claimed:
            if intent.backend_id in self._down or self._clock.monotonic_s() > deadline_s:
                deferred += 1
                continue
            try:
                self._backends.get(intent.backend_id).delete(intent.storage_key, _SIZE_UNKNOWN)
            except BackendError as error:
                deferred += 1
                self._down.add(intent.backend_id)
                _log.warning("intents.backend_down", extra={"backend": error.backend, "error": str(error)})
        return deferred

    def _hand_over(self, tx: Tx, claimed: Sequence[Intent]) -> None:
        self._fence(tx)
        not_before_us = tx.now_us() + LATE_WRITE_S * 1_000_000
        for intent in claimed:
            cleanup.enqueue(
                tx,
                backend_id=intent.backend_id,
                storage_key=intent.storage_key,
                size_bytes=_SIZE_UNKNOWN,
                reason="intent",
                not_before_us=not_before_us,
            )
            intents.forget(tx, intent.intent_id)
