"""Requests on the loop that wait for a commit: each in a greenlet of its own, set aside while others run.

A thread for each would cost four switches between threads a request, and the threads would take Python's lock from each
other and from the committer. Greenlets of one thread switch like function calls.
"""

import time
from collections import deque
from collections.abc import Callable

from greenlet import getcurrent, greenlet


class Parking:
    """The greenlets of one loop. `current` is `engine.parking.Park`; all else is for the loop's thread."""

    def __init__(self) -> None:
        self._hub: greenlet | None = None
        self._wake_loop: Callable[[], None] = lambda: None
        self._woken: deque[Spot] = deque()
        self._spots: dict[greenlet, Spot | None] = {}

    def open(self, wake_loop: Callable[[], None]) -> None:
        """The loop runs from now on, on this thread; `wake_loop` makes it call `resume` soon, and is for any thread."""
        self._hub = getcurrent()
        self._wake_loop = wake_loop

    def __len__(self) -> int:
        """Calls that were begun and have not ended."""
        return len(self._spots)

    def current(self) -> "Spot | None":
        """A wait of the present caller; null on any thread but the loop's, and outside of `run`."""
        caller = getcurrent()
        if caller not in self._spots:
            return None
        spot = Spot(self, caller)
        self._spots[caller] = spot
        return spot

    def run(self, call: Callable[[], object]) -> bool:
        """Run until it ends or is set aside; whether it has ended. What it raises is raised here or by `resume`."""
        assert self._hub is not None, "the parking is open"
        caller = greenlet(call, self._hub)
        self._spots[caller] = None
        return self._switch(caller, True)

    def resume(self) -> None:
        """Go on with those that were woken."""
        while self._woken:
            spot = self._woken.popleft()
            if spot.is_waiting:
                self._switch(spot.caller, True)

    def expire(self) -> None:
        """Go on with those that have waited long enough; they are told so."""
        now_s = time.monotonic()
        late = [spot for spot in self._spots.values() if spot is not None and spot.is_waiting]
        for spot in late:
            if spot.is_waiting and spot.deadline_s <= now_s:
                self._switch(spot.caller, False)

    def wait(self) -> bool:
        """Back to the loop, from within a greenlet; what `_switch` was given."""
        assert self._hub is not None
        return bool(self._hub.switch())

    def woken(self, spot: "Spot") -> None:
        """For any thread."""
        self._woken.append(spot)
        self._wake_loop()

    def _switch(self, caller: greenlet, value: bool) -> bool:
        try:
            caller.switch(value) if self._spots[caller] is not None else caller.switch()
        finally:
            if caller.dead:
                del self._spots[caller]
        return bool(caller.dead)


class Spot:
    """One wait of one greenlet; implements `engine.parking.Parked`."""

    __slots__ = ("_is_woken", "_parking", "caller", "deadline_s", "is_waiting")

    def __init__(self, parking: Parking, caller: greenlet) -> None:
        self._parking = parking
        self.caller = caller
        self.deadline_s = 0.0
        self.is_waiting = False
        self._is_woken = False

    def park(self, timeout_s: float, /) -> bool:
        if self._is_woken:
            return True
        self.deadline_s = time.monotonic() + timeout_s
        self.is_waiting = True
        # A wake from here on is seen by `resume`, which runs on this thread once it is back in the loop.
        if self._is_woken:
            self.is_waiting = False
            return True
        try:
            return self._parking.wait()
        finally:
            self.is_waiting = False

    def wake(self) -> None:
        self._is_woken = True
        self._parking.woken(self)
