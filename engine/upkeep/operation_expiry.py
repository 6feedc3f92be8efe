"""Forgetting operations that ended long ago, or before a thousand others."""

from collections.abc import Callable

from engine.metadata import operations
from engine.metadata.store import Store, Tx
from engine.records import Progress

Fence = Callable[[Tx], None]


class OperationExpiry:
    """A worker unit (`work`). It only deletes rows of what has ended, so repeating it is harmless."""

    name = "operations"

    def __init__(
        self,
        store: Store,
        *,
        fence: Fence,
        keep_count: int = operations.KEEP_COUNT,
        batch_count_max: int = operations.DROP_COUNT_MAX,
    ) -> None:
        """`fence` raises LeaseLost in the transaction."""
        self._store = store
        self._fence = fence
        self._keep_count = keep_count
        self._batch_count_max = batch_count_max

    def work(self) -> Progress:
        """Drop one batch. It counts as nothing done: what a run reports is the work of the unit it follows."""
        dropped = self._store.write(self._drop)
        return Progress(has_more=dropped == self._batch_count_max)

    def _drop(self, tx: Tx) -> int:
        self._fence(tx)
        return operations.drop_ended(tx, keep_count=self._keep_count, count_max=self._batch_count_max)
