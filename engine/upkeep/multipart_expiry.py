"""Forgetting uploads that ended long ago, and ending those that nobody finishes where an age is set for them."""

from collections.abc import Callable

from engine.metadata import uploads
from engine.metadata.store import Store, Tx
from engine.records import Progress
from engine.units import DAY_S

FINISHED_KEEP_S = DAY_S
"""A repeated Complete is answered with its stored result for so long."""

BATCH_COUNT_MAX = 100
"""Uploads ended, and uploads forgotten, in one unit."""

Fence = Callable[[Tx], None]


class MultipartExpiry:
    """A worker unit (`work`). It only changes rows, in one transaction, and what is done is not found again."""

    name = "multipart"

    def __init__(
        self,
        store: Store,
        *,
        fence: Fence,
        open_keep_s: float | None = None,
        batch_count_max: int = BATCH_COUNT_MAX,
    ) -> None:
        """`fence` raises LeaseLost in its transaction. Open uploads older than `open_keep_s` go; null: none."""
        self._store = store
        self._fence = fence
        self._open_keep_s = open_keep_s
        self._batch_count_max = batch_count_max

    def work(self) -> Progress:
        """Abort and forget one batch each. Uploads whose parts the reaper has not walked are left to a later run."""
        done = self._store.write(self._expire)
        return Progress(done_count=done, has_more=done > 0)

    def _expire(self, tx: Tx) -> int:
        self._fence(tx)
        aborted = 0
        if self._open_keep_s is not None:
            open_before_us = tx.now_us() - int(self._open_keep_s * 1_000_000)
            aborted = uploads.expire_open(tx, before_us=open_before_us, count_max=self._batch_count_max)
        ended_before_us = tx.now_us() - FINISHED_KEEP_S * 1_000_000
        return aborted + uploads.expire_finished(
            tx, before_us=ended_before_us, count_max=self._batch_count_max
        )
