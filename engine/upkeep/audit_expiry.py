"""Dropping audit events past their time, chain by chain, so that what stays can still be verified."""

import logging
from collections.abc import Callable
from functools import partial

from engine.metadata.audit import Seal, next_chain
from engine.metadata.audit_anchors import drop_old, old_events
from engine.metadata.store import Store, Tx
from engine.records import Progress

Fence = Callable[[Tx], None]

BATCH_COUNT_MAX = 500

_log = logging.getLogger("penstock.audit")


class AuditExpiry:
    """A worker unit (`work`). A batch and its anchors are one transaction, so a crash leaves whole chains."""

    name = "audit"

    def __init__(
        self,
        store: Store,
        *,
        fence: Fence,
        seal: Seal,
        keep_s: float | None,
        batch_count_max: int = BATCH_COUNT_MAX,
    ) -> None:
        """`fence` raises LeaseLost in the transaction. `keep_s` null: events are kept for ever."""
        self._store = store
        self._fence = fence
        self._seal = seal
        self._keep_s = keep_s
        self._batch_count_max = batch_count_max
        self._before = b""

    def work(self) -> Progress:
        """Drop one batch of one chain. It counts as nothing done: a run reports the work of the unit it follows."""
        if self._keep_s is None:
            return Progress()
        chain = self._store.read(partial(next_chain, after=self._before))
        if chain is None:
            return Progress()
        is_old = self._store.read(partial(old_events, instance_id=chain, keep_s=self._keep_s, count_max=1))
        dropped = self._store.write(partial(self._drop, chain=chain, keep_s=self._keep_s)) if is_old else 0
        if dropped:
            _log.info("audit.dropped", extra={"count": dropped, "instance_id": chain.hex()})
        if dropped < self._batch_count_max:
            self._before = chain
        return Progress(has_more=True)

    def _drop(self, tx: Tx, chain: bytes, keep_s: float) -> int:
        self._fence(tx)
        return drop_old(
            tx, instance_id=chain, keep_s=keep_s, count_max=self._batch_count_max, seal=self._seal
        )
