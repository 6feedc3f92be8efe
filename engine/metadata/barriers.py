"""Syncing what transactions name before they commit: many callers' bytes together, each barrier once."""

import threading
import time
from collections import deque
from collections.abc import Sequence

from engine.errors import DatabaseUnavailable, Overloaded
from engine.metadata.store import Barrier
from engine.parking import Parked

GROUP_COUNT_MAX = 64
QUEUE_COUNT_MAX = 4096
SYNC_TIMEOUT_S = 60.0
"""Longest wait for a disk; nothing has been committed when it is over."""


def sync_together(groups: Sequence[Sequence[Barrier]]) -> list[BaseException | None]:
    """Sync each barrier once. For each group what its first failing barrier raised, or null."""
    outcomes: dict[int, BaseException | None] = {}
    found: list[BaseException | None] = []
    for barriers in groups:
        failure: BaseException | None = None
        for barrier in barriers:
            if id(barrier) not in outcomes:
                try:
                    barrier.sync()
                except BaseException as error:  # whatever it is, it belongs to those behind this barrier
                    outcomes[id(barrier)] = error
                else:
                    outcomes[id(barrier)] = None
            failure = failure or outcomes[id(barrier)]
        found.append(failure)
    return found


class _Waiting:
    """Barriers of one caller."""

    __slots__ = ("_lock", "_parked", "barriers", "error", "is_settled")

    def __init__(self, barriers: Sequence[Barrier], parked: Parked | None) -> None:
        self.barriers = barriers
        self.error: BaseException | None = None
        self.is_settled = False
        self._parked = parked
        self._lock = threading.Lock()
        self._lock.acquire()

    def settle(self, error: BaseException | None) -> None:
        self.error = error
        self.is_settled = True
        self._lock.release()
        if self._parked is not None:
            self._parked.wake()

    def wait(self, timeout_s: float) -> bool:
        if self._parked is None:
            return self._lock.acquire(timeout=timeout_s)
        deadline_s = time.monotonic() + timeout_s
        while not self.is_settled and (left_s := deadline_s - time.monotonic()) > 0:
            self._parked.park(left_s)
        return self.is_settled


class BarrierSyncer:
    """One thread that syncs for all callers of a process, so that those who come together share the sync."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._arrived = threading.Condition(self._guard)
        self._queue: deque[_Waiting] = deque()
        self._is_closing = False
        self._thread = threading.Thread(target=self._loop, name="syncer", daemon=True)
        self._thread.start()

    def sync(self, barriers: Sequence[Barrier], parked: Parked | None) -> None:
        """Return once all of them hold; raises what the first that failed raised, DatabaseUnavailable, Overloaded."""
        waiting = _Waiting(barriers, parked)
        with self._guard:
            if self._is_closing:
                raise DatabaseUnavailable("the metadata store is closing")
            if len(self._queue) >= QUEUE_COUNT_MAX:
                raise Overloaded(what="the queue of syncs")
            self._queue.append(waiting)
            self._arrived.notify()
        if not waiting.wait(SYNC_TIMEOUT_S):
            raise DatabaseUnavailable(f"the disk did not sync the object's bytes within {SYNC_TIMEOUT_S} s")
        if waiting.error is not None:
            raise waiting.error

    def close(self) -> None:
        """Settle what waits, then end."""
        with self._guard:
            self._is_closing = True
            self._arrived.notify()
        self._thread.join()

    def _loop(self) -> None:
        while True:
            with self._guard:
                while not self._queue and not self._is_closing:
                    self._arrived.wait()
                if not self._queue:
                    return
                group = [self._queue.popleft() for _ in range(min(len(self._queue), GROUP_COUNT_MAX))]
            errors = sync_together([each.barriers for each in group])
            for waiting, error in zip(group, errors, strict=True):
                waiting.settle(error)
