"""Dropping journal rows a day old: until snapshots exist nothing else ends them."""

from collections.abc import Callable

from engine.metadata import journal
from engine.metadata.store import Store, Tx
from engine.records import Progress
from engine.units import DAY_S

KEEP_S = DAY_S

Fence = Callable[[Tx], None]


class JournalExpiry:
    """A worker unit (`work`). It only deletes rows, the oldest first, so repeating it is harmless."""

    name = "journal"

    def __init__(self, store: Store, *, fence: Fence, batch_count_max: int = journal.DROP_COUNT_MAX) -> None:
        """`fence` raises LeaseLost in the transaction."""
        self._store = store
        self._fence = fence
        self._batch_count_max = batch_count_max

    def work(self) -> Progress:
        """Drop one batch. It counts as nothing done: what a run reports is the work of the unit it follows."""
        dropped = self._store.write(self._drop)
        return Progress(has_more=dropped == self._batch_count_max)

    def _drop(self, tx: Tx) -> int:
        self._fence(tx)
        return journal.drop_older(
            tx, than_us=tx.now_us() - KEEP_S * 1_000_000, count_max=self._batch_count_max
        )
