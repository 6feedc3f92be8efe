"""What a process has seen of its backends lately, and how far it trusts each of them."""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from engine.clock import Clock
from engine.placement.breaker import Breaker, BreakerState
from engine.placement.phi import PhiDetector

PROBE_EVERY_S = 10.0
"""Pause between two looks at each backend: an unmounted disk is noticed within this."""

SHUN_FIRST_S = 1.0
"""How long one failed call makes a backend the last choice; doubled by each further one."""

SHUN_MAX_S = 60.0

PHI_DEGRADED = 1.0
PHI_SUSPECTED = 4.0
PHI_FAILED = 8.0

LEAVE_COUNT = 3
"""Successes in a row that it takes to be trusted again after a silence or an open breaker."""

LEAVE_PAUSE_S = 1.0
"""What succeeds within so short a time counts as one success of these."""


class Health(Enum):
    """How far a backend is trusted: as any other, as the last choice, with no new pieces, or not at all.

    What lies there is still read from one that failed, after all others; unless its identity is wrong.
    """

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    SUSPECTED = "suspected"
    FAILED = "failed"

    @property
    def rank(self) -> int:
        """Less is better."""
        return _RANKS[self]


_RANKS = {Health.HEALTHY: 0, Health.DEGRADED: 1, Health.SUSPECTED: 2, Health.FAILED: 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthView:
    """How a backend is seen now; `breaker` is null where none stands before it."""

    health: Health
    phi: float
    breaker: BreakerState | None


class HealthBoard:
    """Backends as this process met them. Safe for many threads.

    A degraded backend is still tried when nothing better is left. One whose identity is missing or another's is failed,
    and is not touched until it was opened anew.
    """

    def __init__(self, clock: Clock, draw: Callable[[], float] = random.random) -> None:
        """`draw` gives numbers from 0 to 1, for pauses that differ from process to process."""
        self._clock = clock
        self._draw = draw
        self._lock = threading.Lock()
        self._watches: dict[int, _Watch] = {}

    def health_of(self, backend_id: int) -> Health:
        watch = self._watches.get(backend_id)
        return Health.HEALTHY if watch is None else watch.health(self._clock.monotonic_s())

    def view_of(self, backend_id: int) -> HealthView:
        """What people are told."""
        watch = self._watches.get(backend_id)
        if watch is None:
            return HealthView(health=Health.HEALTHY, phi=0.0, breaker=None)
        now_s = self._clock.monotonic_s()
        breaker = watch.breaker.state if watch.has_gate else None
        return HealthView(health=watch.health(now_s), phi=watch.phi(now_s), breaker=breaker)

    def failed(self, backend_id: int) -> None:
        """A call failed for a reason of the backend's own."""
        self._watch(backend_id).failed(self._clock.monotonic_s())

    def late(self, backend_id: int) -> None:
        """It took longer than others would have: the last choice for a while, and no failure."""
        self._watch(backend_id).late(self._clock.monotonic_s())

    def succeeded(self, backend_id: int) -> None:
        """A call went well. Costs nothing while nothing was wrong."""
        watch = self._watches.get(backend_id)
        if watch is not None and watch.is_troubled:
            watch.went_well(self._clock.monotonic_s())

    def asked(self, backend_id: int) -> None:
        """A look at the backend begins: it answers, or the silence grows."""
        self._watch(backend_id).asked(self._clock.monotonic_s())

    def answered(self, backend_id: int) -> None:
        """The look found it there. That it takes pieces is not said by that."""
        self._watch(backend_id).answered(self._clock.monotonic_s())

    def condemn(self, backend_id: int, problem: str) -> None:
        """Touch this backend no more; `problem` says why, for people."""
        self._watch(backend_id).problem = problem

    def forgive(self, backend_id: int) -> None:
        """The backend was opened anew and is what it should be: nothing of what was seen before counts."""
        watch = self._watches.get(backend_id)
        if watch is not None:
            # Not taken away: who stands at its gate goes on to tell.
            watch.forget()

    def reset(self, backend_id: int) -> None:
        """An operator knows better: silence, failures and an open breaker count no more. Whom it condemned it does not
        touch.
        """
        watch = self._watches.get(backend_id)
        if watch is not None:
            watch.reset()

    def problem_of(self, backend_id: int) -> str | None:
        """Why a backend is not touched; null when it is."""
        watch = self._watches.get(backend_id)
        return watch.problem if watch is not None else None

    def is_troubled(self, backend_id: int) -> bool:
        """Whether another look at it is wanted soon."""
        watch = self._watches.get(backend_id)
        return watch is not None and watch.is_troubled and watch.problem is None

    def gate_of(self, backend_id: int) -> "HealthGate":
        """The gate before a store, whose calls feed this board; its breaker is the same one for as long as it lives."""
        watch = self._watch(backend_id)
        watch.has_gate = True
        return HealthGate(watch, self._clock)

    def has_gate(self, backend_id: int) -> bool:
        """Whether its calls tell by themselves how they end."""
        watch = self._watches.get(backend_id)
        return watch is not None and watch.has_gate

    def _watch(self, backend_id: int) -> "_Watch":
        watch = self._watches.get(backend_id)
        if watch is None:
            with self._lock:
                watch = self._watches.setdefault(backend_id, _Watch(self._draw))
        return watch


class HealthGate:
    """What stands before a store: its breaker, and whoever keeps count. Safe for many threads."""

    def __init__(self, watch: "_Watch", clock: Clock) -> None:
        self._watch = watch
        self._clock = clock

    def enter(self, *, is_probe: bool) -> int | None:
        """A pass for one call; null: the breaker is open."""
        now_s = self._clock.monotonic_s()
        if is_probe:
            self._watch.asked(now_s)
        return self._watch.breaker.enter(now_s, is_probe=is_probe)

    def enter_anyway(self) -> int | None:
        """A pass for a call that has nowhere else to go; null: enough others are trying."""
        return self._watch.breaker.enter_anyway(self._clock.monotonic_s())

    def succeeded(self, entered: int, /) -> None:
        now_s = self._clock.monotonic_s()
        self._watch.breaker.succeeded(entered, now_s)
        self._watch.answered(now_s)

    def failed(self, entered: int, /) -> None:
        now_s = self._clock.monotonic_s()
        self._watch.breaker.failed(entered, now_s)
        self._watch.unanswered(now_s)

    def left(self, entered: int, /) -> None:
        self._watch.breaker.left(entered)
        self._watch.withdrew()


class _Watch:
    """What is known of one backend."""

    def __init__(self, draw: Callable[[], float]) -> None:
        self.problem: str | None = None
        self.has_gate = False
        self._draw = draw
        self._lock = threading.Lock()
        self._start()

    def _start(self) -> None:
        self.breaker = Breaker(self._draw)
        self._detector = PhiDetector(PROBE_EVERY_S)
        self._failure_count = 0
        self._shunned_until_s = 0.0
        # The worst since it was last trusted; it takes several successes to leave it.
        self._held = Health.HEALTHY
        self._success_count = 0
        self._success_at_s = 0.0

    @property
    def is_troubled(self) -> bool:
        return (
            self._failure_count > 0
            or self._held is not Health.HEALTHY
            or self._detector.is_silent
            or self.breaker.state is not BreakerState.CLOSED
        )

    def health(self, now_s: float) -> Health:
        if self.problem is not None:
            return Health.FAILED
        if not self.is_troubled:
            return Health.HEALTHY
        with self._lock:
            self._hold(self._seen(now_s))
            held = self._held
        if held is Health.HEALTHY and now_s < self._shunned_until_s:
            return Health.DEGRADED
        return held

    def phi(self, now_s: float) -> float:
        with self._lock:
            return self._detector.phi(now_s)

    def asked(self, now_s: float) -> None:
        with self._lock:
            self._detector.asked(now_s)

    def answered(self, now_s: float) -> None:
        is_news = self._detector.is_silent or self._detector.wants_sample(now_s)
        if not is_news and self._held is Health.HEALTHY:
            return
        with self._lock:
            self._hold(self._seen(now_s))
            self._detector.succeeded(now_s)
            if self._held is not Health.HEALTHY and now_s - self._success_at_s >= LEAVE_PAUSE_S:
                self._success_count += 1
                self._success_at_s = now_s
                if self._success_count >= LEAVE_COUNT and self.breaker.state is BreakerState.CLOSED:
                    self._held = Health.HEALTHY
                    self._success_count = 0

    def unanswered(self, now_s: float) -> None:
        with self._lock:
            self._detector.failed(now_s)
            self._success_count = 0
            self._hold(self._seen(now_s))

    def withdrew(self) -> None:
        if self._detector.is_silent:
            with self._lock:
                self._detector.withdrew()

    def failed(self, now_s: float) -> None:
        self.unanswered(now_s)
        self.late(now_s)

    def late(self, now_s: float) -> None:
        with self._lock:
            self._failure_count += 1
            pause_s = min(SHUN_MAX_S, SHUN_FIRST_S * 2 ** min(self._failure_count - 1, 10))
            self._shunned_until_s = now_s + pause_s

    def went_well(self, now_s: float) -> None:
        with self._lock:
            self._failure_count = 0
            self._shunned_until_s = 0.0
        self.answered(now_s)

    def forget(self) -> None:
        with self._lock:
            self.problem = None
            self._start()

    def reset(self) -> None:
        with self._lock:
            self._start()

    def _hold(self, seen: Health) -> None:
        if seen.rank > self._held.rank:
            self._held = seen
            self._success_count = 0

    def _seen(self, now_s: float) -> Health:
        """By silence and breaker alone."""
        phi = self._detector.phi(now_s)
        if phi >= PHI_FAILED:
            return Health.FAILED
        if phi >= PHI_SUSPECTED or self.breaker.state is not BreakerState.CLOSED:
            return Health.SUSPECTED
        return Health.DEGRADED if phi >= PHI_DEGRADED else Health.HEALTHY
