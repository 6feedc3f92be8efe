"""How fast background work may move bytes: budgets that threads share, and the wait for room in them."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from controlplane.operations.courtesy import Courtesy

WAIT_MAX_S = 0.5
"""Longest sleep between two looks, so that another rate and a stop are noticed within it."""

WAIT_MIN_S = 0.001
"""Shortest: a rest of a debt may be too small to be seen in time."""

REST_MIN_S = 0.005
"""Rests for the sake of clients are put together until they are worth a sleep."""

BURST_S = 1.0
"""What was not used is kept for so long."""

BACKGROUND_NICE = 10
"""Nice value of threads that work in the background: the data plane on the same cores goes first."""

Seconds = Callable[[], float]


class Budget:
    """So many bytes a second for whoever asks; unlimited until told otherwise. Safe for many threads.

    Whoever asks while there is room gets all it asks for, and the others wait until that is made up for: a piece larger
    than the rate of a second passes, and on the average the rate holds.
    """

    def __init__(self, *, seconds: Seconds = time.monotonic) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._whole_bytes: int | None = None
        self._sharer_count = 1
        self._rate_bytes: int | None = None
        self._room_bytes = 0.0
        self._counted_s = seconds()

    def limit(self, rate_bytes: int | None) -> None:
        """Bytes a second from now on, at least 1; null: no bound."""
        with self._lock:
            self._whole_bytes = rate_bytes
            self._set_rate()

    def share(self, sharer_count: int) -> None:
        """So many processes have a budget of this name and this rate in use: each keeps to its part."""
        with self._lock:
            self._sharer_count = sharer_count
            self._set_rate()

    @property
    def rate_bytes(self) -> int | None:
        """This process's part."""
        return self._rate_bytes

    def take(self, size_bytes: int) -> float:
        """Zero when the bytes may be moved; else the seconds after which to ask again, and nothing is taken."""
        with self._lock:
            self._count()
            if self._rate_bytes is None:
                return 0.0
            if self._room_bytes < 0.0:
                return max(WAIT_MIN_S, -self._room_bytes / self._rate_bytes)
            self._room_bytes -= size_bytes
            return 0.0

    def _set_rate(self) -> None:
        self._count()
        whole_bytes = self._whole_bytes
        rate_bytes = None if whole_bytes is None else max(1, whole_bytes // self._sharer_count)
        if rate_bytes != self._rate_bytes:
            self._rate_bytes = rate_bytes
            # A debt is paid at the new rate, unused room is not more than it gives.
            self._room_bytes = 0.0 if rate_bytes is None else min(self._room_bytes, rate_bytes * BURST_S)

    def _count(self) -> None:
        now_s = self._seconds()
        if self._rate_bytes is not None:
            room_bytes = self._room_bytes + (now_s - self._counted_s) * self._rate_bytes
            self._room_bytes = min(room_bytes, self._rate_bytes * BURST_S)
        self._counted_s = now_s


class Budgets:
    """A budget for each name, shared by all of this process that move bytes under it, and what all leave to clients."""

    def __init__(self) -> None:
        self.courtesy = Courtesy()
        self._lock = threading.Lock()
        self._budgets: dict[str, Budget] = {}

    def of(self, name: str) -> Budget:
        with self._lock:
            return self._budgets.setdefault(name, Budget())

    def limit(self, rates_bytes: Mapping[str, int | None]) -> None:
        """Other rates for the budgets that are named."""
        for name, rate_bytes in rates_bytes.items():
            self.of(name).limit(rate_bytes)

    @property
    def is_any_bounded(self) -> bool:
        with self._lock:
            return any(each.rate_bytes is not None for each in self._budgets.values())

    def share(self, sharer_counts: Mapping[str, int]) -> None:
        """How many processes have each budget in use; those that are not named, at most this one."""
        with self._lock:
            for name, budget in self._budgets.items():
                budget.share(sharer_counts.get(name, 1))


class SharedPace:
    """Implements `engine.upkeep.long_work.Pace`: room in every budget, and rests beside clients.

    Neither counts any more once `interrupted` is set. For one thread.
    """

    def __init__(
        self,
        budgets: Iterable[Budget],
        *,
        interrupted: threading.Event,
        while_waiting: Callable[[], None] = lambda: None,
        courtesy: Courtesy | None = None,
        seconds: Seconds = time.monotonic,
    ) -> None:
        """`while_waiting` is called at least every `WAIT_MAX_S` of a wait; what it raises ends the wait."""
        self._budgets: Sequence[Budget] = tuple(budgets)
        self._interrupted = interrupted
        self._while_waiting = while_waiting
        self._courtesy = courtesy or Courtesy()
        self._seconds = seconds
        self._owed_s = 0.0
        self._resumed_s = seconds()

    @property
    def is_over(self) -> bool:
        return self._interrupted.is_set()

    def take(self, size_bytes: int, /) -> None:
        began_s = self._seconds()
        self._owed_s += self._courtesy.rest_s(began_s - self._resumed_s)
        try:
            for budget in self._budgets:
                while (wait_s := budget.take(size_bytes)) > 0.0:
                    self._while_waiting()
                    if self._interrupted.wait(min(wait_s, WAIT_MAX_S)):
                        return
            self._rest(began_s)
        finally:
            self._resumed_s = self._seconds()

    def _rest(self, since_s: float) -> None:
        """What is owed to clients; waits for a budget were rests as well."""
        owed_s = self._owed_s - (self._seconds() - since_s)
        while owed_s >= REST_MIN_S and not self._interrupted.wait(min(owed_s, WAIT_MAX_S)):
            if owed_s >= WAIT_MAX_S:
                self._while_waiting()
            owed_s = self._owed_s - (self._seconds() - since_s)
        self._owed_s = max(0.0, owed_s) if owed_s < REST_MIN_S else 0.0


def give_way() -> None:
    """The calling thread lets others go first from now on; where the system has no such thing, nothing happens."""
    try:
        # On Linux a nice value is a thread's own.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BACKGROUND_NICE)
    except OSError:  # the process is that nice already, and may not become less so
        return
