"""Taking apart what was overwritten, deleted or aborted, a bounded step at a time."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from engine.clock import Clock
from engine.metadata import reaper
from engine.metadata.reaper import Reaping
from engine.metadata.store import Store, Tx
from engine.records import Progress

ROW_COUNT_MAX = 50
"""Retired rows in one transaction: most versions have one blob, and a commit for each would cost more than it."""

STEP_ROW_COUNT_MAX = 10
"""Retired rows of one step, which are asked about together."""

RELEASED_COUNT_MAX = 500
"""Rows taken up again in one run."""

WORK_S_MAX = 0.005
"""A transaction takes no further step after this, as everybody who writes waits for it."""

_log = logging.getLogger(__name__)

Fence = Callable[[Tx], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Steps:
    freed_count: int
    stopped_at: Sequence[str]
    has_more: bool


class Reaper:
    """A worker unit (`work`). A step is one transaction with all it frees, so an interruption loses it whole or not.

    One reaper serves one run: at its begin it looks again at what stopped it in others.
    """

    name = "reaper"

    def __init__(
        self,
        store: Store,
        *,
        fence: Fence,
        grace_us: int,
        clock: Clock,
        row_count_max: int = ROW_COUNT_MAX,
    ) -> None:
        """`fence` raises LeaseLost in the transaction of every write; `grace_us` is how long readers may still come."""
        self._store = store
        self._fence = fence
        self._grace_us = grace_us
        self._clock = clock
        self._row_count_max = row_count_max
        self._has_looked = False

    def work(self) -> Progress:
        """Take the next steps; done counts blobs freed, deferred the rows the reaper refuses to touch."""
        if not self._has_looked:
            self._look_again()
            self._has_looked = True
        steps = self._store.write(self._walk)
        for where in steps.stopped_at:
            # A live or locked version among the retired ones: bytes that must not go were about to.
            _log.critical("reaper.stopped", extra={"where": where})
        return Progress(
            done_count=steps.freed_count, deferred_count=len(steps.stopped_at), has_more=steps.has_more
        )

    def _look_again(self) -> None:
        """What it stopped at once, and need not any more, is its work again."""
        released = self._store.read(partial(reaper.list_released, count_max=RELEASED_COUNT_MAX))
        if released:
            self._store.write(lambda tx: self._take_up(tx, released))
            _log.info("reaper.taken_up_again", extra={"count": len(released)})

    def _take_up(self, tx: Tx, released: Sequence[int]) -> None:
        self._fence(tx)
        reaper.take_up_again(tx, released)

    def _walk(self, tx: Tx) -> _Steps:
        self._fence(tx)
        reaping = Reaping(tx, grace_us=self._grace_us)
        deadline_s = self._clock.monotonic_s() + WORK_S_MAX
        stopped_at: list[str] = []
        has_more = True
        left_count = self._row_count_max
        while left_count > 0:
            step = reaping.step(min(STEP_ROW_COUNT_MAX, left_count))
            left_count -= step.row_count
            has_more = step.has_more
            stopped_at += step.stopped_at
            if not has_more or reaping.is_full or self._clock.monotonic_s() > deadline_s:
                break
        return _Steps(freed_count=reaping.finish(), stopped_at=stopped_at, has_more=has_more)
