"""A circuit breaker: after some failures calls are refused at once, until a single probe finds that all is well."""

import itertools
import threading
from collections import deque
from collections.abc import Callable
from enum import Enum

TRIP_COUNT = 3
"""Failures among the last outcomes at which it opens, if they are at least half of these."""

OUTCOME_AGE_MAX_S = 30.0
OUTCOME_COUNT_MAX = 100

PAUSE_FIRST_S = 1.0
"""How long it stays open at first; doubled by every time it opens again before it was closed for a while."""

PAUSE_MAX_S = 10.0
"""No longer than between two looks at a store that is well: to ask a sick one as often costs nothing more."""

CALM_S = 120.0
"""Closed this long, it forgets how often it was open."""

JITTER = 0.25
"""Part by which a pause is longer or shorter, so that processes do not probe a store that comes back all at once."""

PROBES_FIRST_S = 30.0
"""So long after a pause only a probe is let through: a client's call goes first only where nobody probes."""

LEASE_S = 60.0
"""A probe or a trial that has not ended by then has lost its lease to the next one."""

TRIAL_COUNT_MAX = 4
"""Calls at once that ask all the same because nothing else is left: no crowd meets a store that is sick."""

TRIAL_PAUSE_S = 0.25
"""None does so shortly after one that failed: where nothing listens trials end at once, and would follow each other."""


class BreakerState(Enum):
    """Whether calls are made."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """The breaker of one backend in one process. Safe for many threads; times are monotonic seconds.

    Whoever enters gets a pass and says with it how the call ended. A pass of an earlier state counts for nothing: what
    began before it opened says nothing about the store that is probed now.
    """

    def __init__(self, draw: Callable[[], float]) -> None:
        """`draw` gives numbers from 0 to 1."""
        self._draw = draw
        self._lock = threading.Lock()
        self._state = BreakerState.CLOSED
        # Of states and of trials: no two passes are the same.
        self._passes = itertools.count()
        self._pass = next(self._passes)
        self._outcomes: deque[tuple[float, bool]] = deque(maxlen=OUTCOME_COUNT_MAX)
        self._opened_count = 0
        self._closed_at_s = 0.0
        self._retry_at_s = 0.0
        self._lease_until_s = 0.0
        # When those that are under way lose their lease, by their passes.
        self._trials: dict[int, float] = {}
        self._next_trial_at_s = 0.0

    @property
    def state(self) -> BreakerState:
        return self._state

    def enter(self, now_s: float, *, is_probe: bool) -> int | None:
        """A pass for one call; null: it must not be made."""
        if self._state is BreakerState.CLOSED:
            return self._pass
        with self._lock:
            due_at_s = self._due_at_s(is_probe=is_probe)
            if due_at_s is None:
                return self._pass
            if now_s < due_at_s:
                return None
            self._state = BreakerState.HALF_OPEN
            self._lease_until_s = now_s + LEASE_S
            self._pass = next(self._passes)
            return self._pass

    def enter_anyway(self, now_s: float) -> int | None:
        """A pass for a call that has nowhere else to go; null: others are trying already, or have just done so.

        If it goes well the breaker closes. If not, nothing has changed: it is the probes that say how long it is open.
        """
        with self._lock:
            if self._state is BreakerState.CLOSED:
                return self._pass
            self._trials = {each: until_s for each, until_s in self._trials.items() if until_s > now_s}
            if len(self._trials) >= TRIAL_COUNT_MAX or now_s < self._next_trial_at_s:
                return None
            trial = next(self._passes)
            self._trials[trial] = now_s + LEASE_S
            return trial

    def succeeded(self, entered: int, now_s: float) -> None:
        """The call went well: a probe closes the breaker."""
        if self._state is BreakerState.CLOSED and not self._outcomes:
            return
        with self._lock:
            if entered in self._trials:
                self._close(now_s)
                return
            if entered != self._pass:
                return
            if self._state is BreakerState.CLOSED:
                self._outcomes.append((now_s, True))
            elif self._state is BreakerState.HALF_OPEN:
                self._close(now_s)

    def failed(self, entered: int, now_s: float) -> None:
        """The call failed for a reason of the store's own."""
        with self._lock:
            if self._trials.pop(entered, None) is not None:
                self._next_trial_at_s = now_s + TRIAL_PAUSE_S
                return
            if entered != self._pass:
                return
            if self._state is BreakerState.CLOSED:
                self._outcomes.append((now_s, False))
                if self._is_too_much(now_s):
                    self._open(now_s)
            elif self._state is BreakerState.HALF_OPEN:
                self._open(now_s)

    def left(self, entered: int) -> None:
        """The call ended in a way that says nothing: the next one may probe."""
        if self._state is BreakerState.CLOSED:
            return
        with self._lock:
            if self._trials.pop(entered, None) is not None:
                return
            if entered == self._pass and self._state is BreakerState.HALF_OPEN:
                self._state = BreakerState.OPEN

    def _due_at_s(self, *, is_probe: bool) -> float | None:
        """When such a call may be let through, to find out; null: it was closed while the lock was waited for."""
        match self._state:
            case BreakerState.OPEN:
                return self._retry_at_s + (0.0 if is_probe else PROBES_FIRST_S)
            case BreakerState.HALF_OPEN:
                return self._lease_until_s
            case BreakerState.CLOSED:
                return None

    def _is_too_much(self, now_s: float) -> bool:
        while self._outcomes and self._outcomes[0][0] < now_s - OUTCOME_AGE_MAX_S:
            self._outcomes.popleft()
        failed_count = sum(not went_well for _, went_well in self._outcomes)
        return failed_count >= TRIP_COUNT and 2 * failed_count >= len(self._outcomes)

    def _open(self, now_s: float) -> None:
        if self._state is BreakerState.CLOSED and now_s - self._closed_at_s >= CALM_S:
            self._opened_count = 0
        pause_s = min(PAUSE_MAX_S, PAUSE_FIRST_S * 2 ** min(self._opened_count, 10))
        self._opened_count += 1
        self._retry_at_s = now_s + pause_s * (1 + JITTER * (2 * self._draw() - 1))
        self._state = BreakerState.OPEN
        self._outcomes.clear()
        self._pass = next(self._passes)

    def _close(self, now_s: float) -> None:
        self._state = BreakerState.CLOSED
        self._closed_at_s = now_s
        self._pass = next(self._passes)
        self._trials.clear()
