"""Admission: hard bounds on requests and bytes in flight, decided before a body is read."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from engine.errors import Overloaded


class Flow(Enum):
    """Reads and writes have limits of their own, so that neither starves the other."""

    __hash__ = object.__hash__

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionLimits:
    """Bounds of one process. Shedding begins at `shed_threshold` (a share of a limit) and is certain at the limit."""

    read_count_max: int
    write_count_max: int
    shed_threshold: float
    wait_s: float
    memory_bytes_max: int


class Ticket:
    """A place in flight; released once, by whoever ends the request."""

    __slots__ = ("_admission", "_flow", "_memory_bytes")

    def __init__(self, admission: "Admission", flow: Flow, memory_bytes: int) -> None:
        self._admission: Admission | None = admission
        self._flow = flow
        self._memory_bytes = memory_bytes

    def release(self) -> None:
        """Give the place back; a second call does nothing."""
        admission, self._admission = self._admission, None
        if admission is not None:
            admission._leave(self._flow, self._memory_bytes)


class Admission:
    """Counts what is in flight and refuses what would be too much.

    `admit` never waits with `may_wait` false (the event loop asks so); otherwise it waits at most `wait_s` for a
    place. Raises Overloaded, which clients see as 503 SlowDown with Retry-After.
    """

    def __init__(self, limits: AdmissionLimits, *, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._lock = threading.Lock()
        self._freed = threading.Condition(self._lock)
        self._waiting_count = 0
        self._in_flight = {Flow.READ: 0, Flow.WRITE: 0}
        self._memory_bytes = 0
        self.shed_count = 0
        self.limit(limits)

    def limit(self, limits: AdmissionLimits) -> None:
        """These are the bounds from now on; what is in flight beyond them goes on."""
        with self._lock:
            self._limits = limits
            self._max = {Flow.READ: limits.read_count_max, Flow.WRITE: limits.write_count_max}
            self._shed_from = {flow: int(limit * limits.shed_threshold) for flow, limit in self._max.items()}
            self._freed.notify_all()

    def in_flight(self, flow: Flow) -> int:
        return self._in_flight[flow]

    @property
    def waiting_count(self) -> int:
        return self._waiting_count

    @property
    def memory_bytes(self) -> int:
        return self._memory_bytes

    def admit(self, flow: Flow, *, memory_bytes: int = 0, may_wait: bool = False) -> Ticket:
        with self._lock:
            problem = self._problem(flow, memory_bytes)
            if problem is not None and may_wait:
                problem = self._wait(flow, memory_bytes)
            if problem is not None:
                self.shed_count += 1
                raise Overloaded(what=problem)
            self._in_flight[flow] += 1
            self._memory_bytes += memory_bytes
        return Ticket(self, flow, memory_bytes)

    def _problem(self, flow: Flow, memory_bytes: int) -> str | None:
        count, limit, shed_from = self._in_flight[flow], self._max[flow], self._shed_from[flow]
        if count >= limit:
            return f"the number of {flow.value}s in flight"
        if count > shed_from and self._chance() < (count - shed_from) / (limit - shed_from):
            return f"the number of {flow.value}s in flight"
        if memory_bytes and self._memory_bytes + memory_bytes > self._limits.memory_bytes_max:
            return "the memory for bodies in flight"
        return None

    def _wait(self, flow: Flow, memory_bytes: int) -> str | None:
        deadline = time.monotonic() + self._limits.wait_s
        self._waiting_count += 1
        try:
            while (problem := self._problem(flow, memory_bytes)) is not None:
                left_s = deadline - time.monotonic()
                if left_s <= 0 or not self._freed.wait(left_s):
                    return problem
            return None
        finally:
            self._waiting_count -= 1

    def _leave(self, flow: Flow, memory_bytes: int) -> None:
        with self._lock:
            self._in_flight[flow] -= 1
            self._memory_bytes -= memory_bytes
            if self._waiting_count:
                # All of them: who waited longest may wait for another kind of place.
                self._freed.notify_all()
