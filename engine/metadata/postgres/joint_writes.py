"""Units that share a transaction: those that wait while others of their process commit go out together when they may.

Each unit alone costs the server a transaction and both sides three round trips. Together they cost that once, and as
many rows as before.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

from engine.errors import DatabaseUnavailable, EngineError, OutcomeUnknown, Overloaded
from engine.metadata.postgres.errors import ConnectionLost, ServerError
from engine.metadata.store import JointUnit, R, RunAgain
from engine.parking import Parked

UNIT_COUNT_MAX = 32
"""Units of one transaction: each holds what the others have locked until all are committed."""

AT_ONCE_COUNT_MAX = 4
"""Transactions under way."""

PATIENCE_S = 0.01
"""While the last transaction is younger than this no other is begun: the more there are, the fewer share one.

An older one waits for a lock or is far away, and nobody shall wait with it: whoever comes then begins another, and so
does, within half a second, one of those who wait.
"""

Run = Callable[[Parked, Sequence[JointUnit[Any]], float], list[Any]]


class Apart(Exception):
    """The unit is to run in a transaction of its own."""


class JointWrites:
    """For callers of one thread, so nothing is locked. One who is first runs the transaction of all."""

    def __init__(self, run: Run) -> None:
        """`run` runs units in one transaction and gives what came of each, in their order. What it raises:

        OutcomeUnknown, DatabaseUnavailable and Overloaded, which are for all. Anything else undid all of them, and they
        are run one by one.
        """
        self._run = run
        self._queue: deque[_Joining] = deque()
        self._under_way_count = 0
        self._last_begun_s = -math.inf

    def write(self, parked: Parked, unit: JointUnit[R], timeout_s: float) -> R:
        """What the unit returned. Raises what it raised, DatabaseUnavailable, OutcomeUnknown, Apart."""
        own = _Joining(parked, unit)
        if self._can_begin:
            self._begin(own)
        else:
            self._queue.append(own)
            self._wait(own, timeout_s)
        if own.is_leader:
            try:
                if not self._queue:
                    parked.let_others_run()
                self._lead(own, timeout_s)
            finally:
                self._end()
        return cast(R, own.take())

    @property
    def _can_begin(self) -> bool:
        """Whether another transaction may be under way."""
        if self._under_way_count == 0:
            return True
        is_last_young = time.monotonic() - self._last_begun_s < PATIENCE_S
        return not is_last_young and self._under_way_count < AT_ONCE_COUNT_MAX

    def _begin(self, leader: "_Joining") -> None:
        """The caller runs the next transaction."""
        self._under_way_count += 1
        self._last_begun_s = math.inf
        leader.is_leader = True

    def _end(self) -> None:
        """Whoever waits longest runs the next one, unless another is under way that those who wait may wait for."""
        self._under_way_count -= 1
        if self._queue and self._can_begin:
            following = self._queue.popleft()
            self._begin(following)
            following.parked.wake()

    def _wait(self, own: "_Joining", timeout_s: float) -> None:
        """Until it is over, or it is its turn to lead."""
        deadline_s = time.monotonic() + timeout_s
        while not own.is_over and not own.is_leader:
            if own.parked.park(PATIENCE_S) or own not in self._queue:
                continue
            if self._can_begin:
                self._queue.remove(own)
                self._begin(own)
            elif time.monotonic() >= deadline_s:
                self._queue.remove(own)
                raise DatabaseUnavailable(f"no transaction could be begun within {timeout_s} s")

    def _lead(self, own: "_Joining", timeout_s: float) -> None:
        """Run a transaction for those who wait, and wake them."""
        group = self._gather(own)
        self._last_begun_s = time.monotonic()
        outcomes: list[Any] = [OutcomeUnknown("whoever ran the transaction was ended")] * len(group)
        try:
            outcomes = self._run(own.parked, [each.unit for each in group], timeout_s)
        except (OutcomeUnknown, DatabaseUnavailable, Overloaded) as error:
            outcomes = [error] * len(group)
        except (EngineError, RunAgain, ServerError, ConnectionLost) as error:
            is_for_all = isinstance(error, EngineError) and len(group) == 1
            outcomes = [error if is_for_all else Apart()] * len(group)
        finally:
            for each, outcome in zip(group, outcomes, strict=True):
                each.settle(Apart() if isinstance(outcome, RunAgain) else outcome)
                if each is not own:
                    each.parked.wake()

    def _gather(self, own: "_Joining") -> list["_Joining"]:
        """Those who wait, each of another subject; the others of a subject wait on, in their order."""
        group, subjects = [own], {own.unit.subject}
        left: deque[_Joining] = deque()
        while self._queue and len(group) < UNIT_COUNT_MAX:
            each = self._queue.popleft()
            if type(each.unit) is not type(own.unit) or each.unit.subject in subjects:
                left.append(each)
            else:
                group.append(each)
                subjects.add(each.unit.subject)
        self._queue.extendleft(reversed(left))
        return group


class _Joining:
    """A caller who waits, and what came of his unit."""

    __slots__ = ("_outcome", "is_leader", "is_over", "parked", "unit")

    def __init__(self, parked: Parked, unit: JointUnit[Any]) -> None:
        self.parked = parked
        self.unit = unit
        self.is_leader = False
        self.is_over = False
        self._outcome: Any = None

    def settle(self, outcome: Any) -> None:
        self._outcome = outcome
        self.is_over = True

    def take(self) -> Any:
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome
