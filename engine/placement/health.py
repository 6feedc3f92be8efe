"""What a process has seen of its backends lately, and which it had better leave for last."""

import threading
from dataclasses import dataclass
from enum import Enum

from engine.clock import Clock

SUSPECT_FIRST_S = 1.0
"""How long one failure makes a backend the last choice; doubled by each further one."""

SUSPECT_MAX_S = 60.0


class Health(Enum):
    """How far a backend is trusted with new pieces."""

    HEALTHY = "healthy"
    SUSPECTED = "suspected"
    FAILED = "failed"

    @property
    def rank(self) -> int:
        """Less is better."""
        return _RANKS[self]


_RANKS = {Health.HEALTHY: 0, Health.SUSPECTED: 1, Health.FAILED: 2}


@dataclass(slots=True, kw_only=True)
class _Seen:
    failure_count: int = 0
    suspected_until_s: float = 0.0
    problem: str | None = None


class HealthBoard:
    """Failures of backends as this process met them. Safe for many threads.

    A suspected backend is still tried when nothing better is left, so a board that is wrong refuses nothing. A failed
    one (its identity is missing or another's) is not touched until the process starts anew.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[int, _Seen] = {}

    def health_of(self, backend_id: int) -> Health:
        seen = self._seen.get(backend_id)
        if seen is None:
            return Health.HEALTHY
        if seen.problem is not None:
            return Health.FAILED
        return Health.SUSPECTED if self._clock.monotonic_s() < seen.suspected_until_s else Health.HEALTHY

    def failed(self, backend_id: int) -> None:
        """A call failed for a reason of the backend's own."""
        with self._lock:
            seen = self._seen.setdefault(backend_id, _Seen())
            seen.failure_count += 1
            pause_s = min(SUSPECT_MAX_S, SUSPECT_FIRST_S * 2 ** min(seen.failure_count - 1, 10))
            seen.suspected_until_s = self._clock.monotonic_s() + pause_s

    def succeeded(self, backend_id: int) -> None:
        """A call went well. Costs nothing while nothing was wrong."""
        if backend_id not in self._seen:
            return
        with self._lock:
            seen = self._seen.get(backend_id)
            if seen is not None and seen.problem is None:
                del self._seen[backend_id]

    def condemn(self, backend_id: int, problem: str) -> None:
        """Touch this backend no more; `problem` says why, for people."""
        with self._lock:
            self._seen.setdefault(backend_id, _Seen()).problem = problem

    def problem_of(self, backend_id: int) -> str | None:
        """Why a backend is failed; null when it is not."""
        seen = self._seen.get(backend_id)
        return seen.problem if seen is not None else None
