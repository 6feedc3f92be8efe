"""Group commit: one thread gathers waiting units, syncs what they wait for, and commits them together."""

import fcntl
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import apsw

from engine.clock import Clock
from engine.errors import (
    DatabaseFull,
    DatabaseUnavailable,
    EngineError,
    OutcomeUnknown,
    Overloaded,
    RowRefused,
)
from engine.metadata.barriers import sync_together
from engine.metadata.sqlite.connections import SqliteTx
from engine.metadata.statements import Statements
from engine.metadata.store import Barrier, Tx
from engine.parking import Parked

GROUP_COUNT_MAX = 64
GROUP_WORK_S = 0.020
"""A group takes no further unit once it has worked this long."""

QUEUE_COUNT_MAX = 4096
SETTLE_TIMEOUT_S = 60.0
"""Longest wait for a unit that runs; after it the outcome is unknown."""

LOCK_TIMEOUT_S = 30.0
_LOCK_POLL_S = 0.001

_log = logging.getLogger("penstock.metadata")


class _State(Enum):
    QUEUED = "queued"
    RUNNING = "running"
    SETTLED = "settled"


class _Waiting:
    """A unit on its way: queued, running or settled."""

    __slots__ = ("barriers", "error", "parked", "result", "settled", "state", "unit")

    def __init__(self, unit: Callable[[Tx], Any], barriers: Sequence[Barrier], parked: Parked | None) -> None:
        self.unit = unit
        self.barriers = barriers
        self.parked = parked
        self.state = _State.QUEUED
        self.result: Any = None
        self.error: BaseException | None = None
        self.settled = threading.Lock()
        self.settled.acquire()

    def settle(self) -> None:
        self.state = _State.SETTLED
        self.settled.release()
        if self.parked is not None:
            self.parked.wake()

    def wait(self, timeout_s: float) -> bool:
        """Whether it was settled in time."""
        if self.parked is not None:
            return self.parked.park(timeout_s)
        return self.settled.acquire(timeout=timeout_s)


class Committer:
    """The one writer of a process.

    A file lock shared by the processes makes them take turns before SQLite does, which costs a third of the time
    that SQLite's own busy handler would.
    """

    def __init__(
        self,
        connection: apsw.Connection,
        statements: Statements,
        clock: Clock,
        lock_path: Path,
        *,
        committed: Callable[[], None],
        lock_timeout_s: float = LOCK_TIMEOUT_S,
        settle_timeout_s: float = SETTLE_TIMEOUT_S,
    ) -> None:
        self._connection = connection
        self._statements = statements
        self._clock = clock
        self._committed = committed
        self._lock_timeout_s = lock_timeout_s
        self._settle_timeout_s = settle_timeout_s
        self._lock_fd = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._guard = threading.Lock()
        self._arrived = threading.Condition(self._guard)
        self._queue: deque[_Waiting] = deque()
        self._is_closing = False
        self.group_sizes: deque[int] = deque(maxlen=1024)
        self._thread = threading.Thread(target=self._loop, name="committer", daemon=True)
        self._thread.start()

    def run(
        self,
        unit: Callable[[Tx], Any],
        barriers: Sequence[Barrier],
        timeout_s: float,
        parked: Parked | None = None,
    ) -> Any:
        """Queue a unit and wait until it is settled, set aside if `parked` is given; see `Store.write`."""
        waiting = _Waiting(unit, barriers, parked)
        with self._guard:
            if self._is_closing:
                raise DatabaseUnavailable("the metadata store is closing")
            if len(self._queue) >= QUEUE_COUNT_MAX:
                raise Overloaded(what="the queue of metadata writes")
            self._queue.append(waiting)
            self._arrived.notify()
        if not waiting.wait(timeout_s):
            with self._guard:
                if waiting.state is _State.QUEUED:
                    self._queue.remove(waiting)
                    raise DatabaseUnavailable(
                        f"the metadata database did not begin the write within {timeout_s} s"
                    )
            if not waiting.wait(self._settle_timeout_s):
                raise OutcomeUnknown("the metadata database did not tell whether it committed")
        if waiting.error is not None:
            raise waiting.error
        return waiting.result

    @property
    def queued_count(self) -> int:
        """Units that wait for the next group."""
        return len(self._queue)

    def close(self) -> None:
        """Settle what is queued, then end."""
        with self._guard:
            self._is_closing = True
            self._arrived.notify()
        self._thread.join()
        os.close(self._lock_fd)

    def _loop(self) -> None:
        while True:
            with self._guard:
                while not self._queue and not self._is_closing:
                    self._arrived.wait()
                if not self._queue:
                    return
                group = [self._queue.popleft() for _ in range(min(len(self._queue), GROUP_COUNT_MAX))]
                for waiting in group:
                    waiting.state = _State.RUNNING
            try:
                self._run_group(group)
            except BaseException as error:  # a committer that dies would hang every writer
                _log.exception("committer.failed")
                self._roll_back()
                for waiting in group:
                    if waiting.error is None:
                        waiting.error = OutcomeUnknown(f"the committer failed: {error!r}")
            done = [waiting for waiting in group if waiting.state is _State.RUNNING]
            self.group_sizes.append(len(done))
            for waiting in done:
                waiting.settle()

    def _run_group(self, group: list[_Waiting]) -> None:
        ready = self._sync_barriers(group)
        if not ready:
            return
        try:
            self._lock()
        except TimeoutError:
            for waiting in ready:
                waiting.error = DatabaseUnavailable(
                    f"another process held the write lock for {self._lock_timeout_s} s"
                )
            return
        try:
            if not self._commit_together(ready):
                for waiting in ready:
                    if waiting.state is _State.RUNNING:
                        waiting.result, waiting.error = None, None
                        self._commit_together([waiting], is_alone=True)
        finally:
            fcntl.flock(self._lock_fd, fcntl.LOCK_UN)
        self._committed()

    def _sync_barriers(self, group: list[_Waiting]) -> list[_Waiting]:
        """Sync each barrier once; a unit whose barrier fails gets that error and is not run."""
        ready = []
        errors = sync_together([waiting.barriers for waiting in group])
        for waiting, error in zip(group, errors, strict=True):
            if error is None:
                ready.append(waiting)
            else:
                waiting.error = error
        return ready

    def _commit_together(self, group: list[_Waiting], *, is_alone: bool = False) -> bool:
        """One transaction over the group. False: SQLite ended it and nothing of it happened, so run them one by one."""
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
        except apsw.Error as error:
            for waiting in group:
                waiting.error = _translated(error)
            return True
        try:
            ran = self._run_units(group)
        except apsw.Error as error:
            self._roll_back()
            if is_alone:
                group[0].error = _translated(error)
                return True
            return False
        try:
            connection.execute("COMMIT")
        except apsw.IOError:
            # The commit record may be in the log and become visible at the next recovery.
            self._roll_back()
            for waiting in ran:
                if waiting.error is None:
                    waiting.error = OutcomeUnknown("the disk failed while the metadata was committed")
        except apsw.Error as error:
            self._roll_back()
            if is_alone:
                group[0].error = _translated(error)
                return True
            return False
        return True

    def _run_units(self, group: list[_Waiting]) -> list[_Waiting]:
        """Run units until they have taken long enough, the others wait for the next group; the ones that ran."""
        begun_s = self._clock.monotonic_s()
        for count, waiting in enumerate(group):
            if count and self._clock.monotonic_s() - begun_s >= GROUP_WORK_S:
                self._put_back(group[count:])
                return group[:count]
            self._run_unit(waiting)
        return group

    def _put_back(self, units: list[_Waiting]) -> None:
        """To the head of the queue, in their order. Their barriers are synced already; syncing again is harmless."""
        with self._guard:
            for waiting in reversed(units):
                waiting.state = _State.QUEUED
                waiting.result, waiting.error = None, None
                self._queue.appendleft(waiting)

    def _run_unit(self, waiting: _Waiting) -> None:
        connection = self._connection
        connection.execute("SAVEPOINT unit")
        try:
            waiting.result = waiting.unit(SqliteTx(connection, self._statements, self._clock))
        except apsw.ConstraintError as error:
            # A constraint is the schema's refusal of this unit alone; the use case should have asked first.
            waiting.error = RowRefused(constraint=str(error))
        except apsw.Error:
            raise
        except (
            BaseException
        ) as error:  # any failure of a unit belongs to its caller, and none may end this thread
            waiting.error = error
        if waiting.error is not None:
            if not connection.in_transaction:
                raise apsw.AbortError("SQLite ended the transaction")
            connection.execute("ROLLBACK TO unit")
        connection.execute("RELEASE unit")

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except apsw.Error:
                _log.exception("committer.rollback_failed")

    def _lock(self) -> None:
        deadline_s = time.monotonic() + self._lock_timeout_s
        while True:
            try:
                fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline_s:
                    raise TimeoutError from None
                time.sleep(_LOCK_POLL_S)


def _translated(error: apsw.Error) -> EngineError:
    if isinstance(error, apsw.FullError):
        return DatabaseFull("the disk of the metadata database is full; nothing was changed")
    return DatabaseUnavailable(f"the metadata database refused: {error}")
