"""Requests on the loop that wait for a commit or a socket: each in a greenlet of its own, set aside while others run.

A thread for each would cost four switches between threads a request, and the threads would take Python's lock from each
other and from the committer. Greenlets of one thread switch like function calls.
"""

import select
import time
from collections import deque
from collections.abc import Callable

from greenlet import getcurrent, greenlet

IDLE_COUNT_MAX = 64
"""Greenlets kept for the next calls."""

_ENDED = object()
_READABLE = select.EPOLLIN | select.EPOLLONESHOT
_WRITABLE = select.EPOLLIN | select.EPOLLOUT | select.EPOLLONESHOT


class Parking:
    """The greenlets of one loop. `current` is `engine.parking.Park`; all else is for the loop's thread.

    `count_max` is how many calls may be in it at once; whoever runs them keeps to it, and it may change at any time.
    """

    def __init__(self, *, count_max: int = 512) -> None:
        self.count_max = count_max
        self._hub: greenlet | None = None
        self._epoll: select.epoll | None = None
        self._registered: set[int] = set()
        self._by_fd: dict[int, Spot] = {}
        self._wake_loop: Callable[[], None] = lambda: None
        self._woken: deque[Spot] = deque()
        self._letting: deque[Spot] = deque()
        self._spots: dict[greenlet, Spot | None] = {}
        # Those that ran a call to its end. A new one takes a stack from the kernel, and gives it back.
        self._idle: list[greenlet] = []
        self._call: Callable[[], object] = _nothing

    def open(self, wake_loop: Callable[[], None], epoll: select.epoll | None = None) -> None:
        """The loop runs from now on, on this thread; `wake_loop` makes it call `resume` soon, and is for any thread.

        It polls `epoll`, and calls `ready` for descriptors that are not its own.
        """
        self._hub = getcurrent()
        self._epoll = epoll
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
        caller = self._idle.pop() if self._idle else greenlet(self._call_again_and_again, self._hub)
        self._spots[caller] = None
        self._call = call
        return self._switch(caller, True)

    def resume(self) -> None:
        """Go on with those that were woken."""
        while self._woken:
            spot = self._woken.popleft()
            # One that found the wake itself may be waiting for another by now.
            if spot.is_waiting and spot.fd is None and spot.is_woken:
                self._switch(spot.caller, True)

    @property
    def has_due(self) -> bool:
        """Whether somebody could go on now."""
        return bool(self._letting or self._woken)

    def let_go_on(self) -> None:
        """Go on with those that let others run first; those that do so from now on wait for the next call."""
        for _ in range(len(self._letting)):
            self._switch(self._letting.popleft().caller, True)

    def ready(self, fd: int) -> None:
        """Go on with the one that waits for a descriptor, if there still is one."""
        spot = self._by_fd.pop(fd, None)
        if spot is not None and spot.is_waiting:
            self._switch(spot.caller, True)

    def watch(self, fd: int, spot: "Spot", *, for_write: bool) -> None:
        """Call `ready` once when the descriptor is. Descriptors are closed elsewhere, and their numbers given again."""
        assert self._epoll is not None, "the loop gave what it polls"
        mask = _WRITABLE if for_write else _READABLE
        if fd in self._registered:
            try:
                self._epoll.modify(fd, mask)
            except FileNotFoundError:
                self._epoll.register(fd, mask)
        else:
            self._registered.add(fd)
            try:
                self._epoll.register(fd, mask)
            except FileExistsError:
                self._epoll.modify(fd, mask)
        self._by_fd[fd] = spot

    def let_others_run(self, spot: "Spot") -> None:
        """Back to the loop until `let_go_on`, from within a greenlet."""
        self._letting.append(spot)
        self.wait()

    def unwatch(self, fd: int, spot: "Spot") -> None:
        """Nobody waits for it any more."""
        if self._by_fd.get(fd) is spot:
            del self._by_fd[fd]

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

    def _call_again_and_again(self, _: bool) -> None:
        """What a greenlet runs, until a call raises something, which ends it."""
        assert self._hub is not None
        while True:
            # Not an argument of the switch, which the greenlet would hold as long as it lives.
            call, self._call = self._call, _nothing
            call()
            call = _nothing
            self._hub.switch(_ENDED)

    def _switch(self, caller: greenlet, value: bool) -> bool:
        """Whether its call has ended."""
        try:
            has_ended = caller.switch(value) is _ENDED
        except BaseException:
            del self._spots[caller]
            raise
        if has_ended:
            del self._spots[caller]
            if len(self._idle) < IDLE_COUNT_MAX:
                self._idle.append(caller)
        return has_ended


def _nothing() -> None:
    """No call."""


class Spot:
    """Waits of one greenlet, one after the other; implements `engine.parking.Parked`. `fd` is what it waits for now."""

    __slots__ = ("_parking", "caller", "deadline_s", "fd", "is_waiting", "is_woken")

    def __init__(self, parking: Parking, caller: greenlet) -> None:
        self._parking = parking
        self.caller = caller
        self.deadline_s = 0.0
        self.is_waiting = False
        self.fd: int | None = None
        self.is_woken = False

    def park(self, timeout_s: float, /) -> bool:
        if self._take_wake():
            return True
        self.deadline_s = time.monotonic() + timeout_s
        self.is_waiting = True
        # A wake from here on is seen by `resume`, which runs on this thread once it is back in the loop.
        if self._take_wake():
            self.is_waiting = False
            return True
        try:
            is_woken = self._parking.wait()
        finally:
            self.is_waiting = False
        if is_woken:
            self.is_woken = False
        return is_woken

    def park_on(self, fd: int, *, for_write: bool, timeout_s: float) -> bool:
        self.deadline_s = time.monotonic() + timeout_s
        self._parking.watch(fd, self, for_write=for_write)
        self.fd = fd
        self.is_waiting = True
        try:
            return self._parking.wait()
        finally:
            self.is_waiting = False
            self.fd = None
            self._parking.unwatch(fd, self)

    def let_others_run(self) -> None:
        # It is not waiting: neither a wake nor the time ends this.
        self._parking.let_others_run(self)

    def _take_wake(self) -> bool:
        is_woken, self.is_woken = self.is_woken, False
        return is_woken

    def wake(self) -> None:
        self.is_woken = True
        self._parking.woken(self)
