"""Forgetting events that were given up long ago."""

from collections.abc import Callable

from engine.metadata import undelivered
from engine.metadata.store import Store, Tx
from engine.records import Progress

Fence = Callable[[Tx], None]


class UndeliveredExpiry:
    """A worker unit (`work`). It only deletes rows past their time, so repeating it is harmless."""

    name = "undelivered"

    def __init__(
        self, store: Store, *, fence: Fence, batch_count_max: int = undelivered.UNIT_COUNT_MAX
    ) -> None:
        """`fence` raises LeaseLost in the transaction."""
        self._store = store
        self._fence = fence
        self._batch_count_max = batch_count_max

    def work(self) -> Progress:
        """Drop one batch. It counts as nothing done: what a run reports is the work of the unit it follows."""
        return Progress(has_more=self._store.write(self._drop) == self._batch_count_max)

    def _drop(self, tx: Tx) -> int:
        self._fence(tx)
        return undelivered.drop_old(tx, count_max=self._batch_count_max)
