"""Aborting multipart uploads that began before a time and that nobody has finished."""

from typing import cast

from engine.metadata import uploads
from engine.metadata.store import Store, Tx
from engine.upkeep.long_work import Extent, Fence, Step

BATCH_COUNT_MAX = 100
"""Uploads aborted in one transaction."""


class StaleUploads:
    """Implements `engine.upkeep.long_work.LongWork`: a step is one transaction, and what it did is not found again."""

    def __init__(
        self, store: Store, *, fence: Fence, before_us: int, batch_count_max: int = BATCH_COUNT_MAX
    ) -> None:
        self._store = store
        self._fence = fence
        self._before_us = before_us
        self._batch_count_max = batch_count_max

    def measure(self) -> Extent:
        (count,) = self._store.look("count_stale_uploads", {"before_us": self._before_us})[0]
        return Extent(item_count=cast(int, count))

    def step(self, cursor: str | None, /) -> Step:
        count = self._store.write(self._abort)
        return Step(
            cursor="begun",
            is_last=count == 0,
            item_count=count,
            stage="aborting",
        )

    def cancelled(self) -> None:
        """Those that are still open stay so."""

    def _abort(self, tx: Tx) -> int:
        self._fence(tx)
        return uploads.expire_open(tx, before_us=self._before_us, count_max=self._batch_count_max)
