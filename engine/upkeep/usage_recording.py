"""Recording what backends were used for and what buckets hold, for whoever asks how that was."""

from collections.abc import Callable

from engine.metadata import bucket_usage, usage_history
from engine.metadata.store import Store, Tx
from engine.records import Progress

Fence = Callable[[Tx], None]


class UsageRecorder:
    """A worker unit (`work`). Each unit is one transaction, and one that is repeated records the same."""

    name = "usage"

    def __init__(self, store: Store, *, fence: Fence) -> None:
        """`fence` raises LeaseLost in the transaction."""
        self._store = store
        self._fence = fence
        self._has_backends = False
        # Buckets are gone through by name; null: all were.
        self._after: str | None = ""

    def work(self) -> Progress:
        """The backends first, then some buckets a unit, then what is too old goes."""
        if not self._has_backends:
            self._store.write(self._record_backends)
            self._has_backends = True
            return Progress(done_count=1, has_more=True)
        if self._after is not None:
            self._after = self._store.write(self._record_buckets)
            return Progress(has_more=True)
        return Progress(has_more=self._store.write(self._drop_old) > 0)

    def _record_backends(self, tx: Tx) -> None:
        self._fence(tx)
        usage_history.record_backends(tx)

    def _record_buckets(self, tx: Tx) -> str | None:
        self._fence(tx)
        assert self._after is not None
        return usage_history.record_buckets(tx, after=self._after)

    def _drop_old(self, tx: Tx) -> int:
        self._fence(tx)
        return usage_history.drop_old(tx) + bucket_usage.drop_old(tx)
