"""Cleanup on demand, beside the worker: every key that is due goes, or everything that waits, whatever its grace."""

from engine.clock import Clock
from engine.metadata import cleanup
from engine.metadata.leases import LeaseFence
from engine.metadata.store import Store
from engine.upkeep.cleanup import BackendRegistry, CleanupSweeper
from engine.upkeep.long_work import Extent, Step

GRACE_OVERRIDDEN = (
    "the read grace was overridden: whoever still read what was deleted just before has lost it"
)


class CleanupRun:
    """Implements `engine.upkeep.long_work.LongWork`; a step is one batch of the sweeper, which the worker leaves alone.

    A key is used once ever: a step that is repeated deletes what was left of its batch, and what was not settled again.
    """

    def __init__(
        self,
        store: Store,
        backends: BackendRegistry,
        *,
        fence: LeaseFence,
        process_id: bytes,
        clock: Clock,
        ignore_grace: bool,
    ) -> None:
        self._store = store
        self._ignore_grace = ignore_grace
        self._sweeper = CleanupSweeper(
            store,
            backends,
            fence=fence,
            process_id=process_id,
            clock=clock,
            lease=fence.lease,
            ignore_grace=ignore_grace,
        )

    def measure(self) -> Extent:
        depth = self._store.read(cleanup.depth)
        if self._ignore_grace:
            return Extent(item_count=depth.queued_count, size_bytes=None)
        return Extent(item_count=depth.due_count)

    def step(self, cursor: str | None, /) -> Step:
        progress = self._sweeper.work()
        return Step(
            cursor="begun",
            is_last=not progress.has_more,
            item_count=progress.done_count,
            failed_count=progress.deferred_count,
            stage="deleting",
            warnings=(GRACE_OVERRIDDEN,) if self._ignore_grace and cursor is None else (),
        )

    def cancelled(self) -> None:
        """What is left waits for the worker."""
