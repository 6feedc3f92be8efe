"""A process forgets what it holds against a backend when an operator says so."""

import logging
from collections.abc import Callable, Mapping

from engine.clock import Clock
from engine.metadata.backend_resets import resets_of
from engine.metadata.store import Store
from engine.placement.health import HealthBoard

_log = logging.getLogger("penstock.deployment")


class BreakerResets:
    """For one thread at a time, but for `look_soon`."""

    def __init__(
        self,
        store: Store,
        health: HealthBoard,
        clock: Clock,
        *,
        pause_s: float,
        then: Callable[[], None],
    ) -> None:
        """`then` is called when something was reset: others want to hear soon how that went."""
        self._store = store
        self._health = health
        self._clock = clock
        self._pause_s = pause_s
        self._then = then
        self._due_s = 0.0
        # At its first look all that was ever asked for is news: what came just before must not be missed.
        self._seen: Mapping[int, int] = {}

    def look_soon(self) -> None:
        """Something may have been asked for."""
        self._due_s = 0.0

    def look(self) -> None:
        """Raises what a read raises; repeating it is harmless."""
        now_s = self._clock.monotonic_s()
        if now_s < self._due_s:
            return
        self._due_s = now_s + self._pause_s
        asked = resets_of(self._store.look("list_backend_resets", {}))
        before, self._seen = self._seen, asked
        fresh = [backend_id for backend_id, at_us in asked.items() if before.get(backend_id) != at_us]
        for backend_id in fresh:
            self._health.reset(backend_id)
            _log.info("backend.reset", extra={"backend_id": backend_id})
        if fresh:
            self._then()
