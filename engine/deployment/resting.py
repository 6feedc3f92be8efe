"""Giving up what is held of backends that take no pieces: files that are appended to, intents made ahead."""

from collections.abc import Callable, Iterable

from engine.backends.base import Backend
from engine.backends.registry import volumes_in
from engine.clock import Clock
from engine.metadata.backends import list_backends
from engine.metadata.store import Store
from engine.records import BackendState

LOOK_EVERY_S = 2.0
"""Pause between two looks at the states."""


class RestingBackends:
    """Compaction, the sweep and removal want the files' locks, and removal waits for the last intent.

    For one thread. A write that chose its backend just before opens a file again, which the next look closes.
    """

    def __init__(
        self,
        store: Store,
        backends: Callable[[], Iterable[Backend]],
        clock: Clock,
        *,
        give_back: Callable[[int], None],
    ) -> None:
        """`backends` are those that the process has now; `give_back` settles the intents that are held of one."""
        self._store = store
        self._backends = backends
        self._clock = clock
        self._give_back = give_back
        self._due_s = 0.0

    def look(self) -> None:
        """Raises what a write raises; repeating it is harmless."""
        now_s = self._clock.monotonic_s()
        if now_s < self._due_s:
            return
        self._due_s = now_s + LOOK_EVERY_S
        states = {row.backend_id: row.state for row in self._store.read(list_backends)}
        resting = [
            each for each in self._backends() if states.get(each.backend_id) is not BackendState.ACTIVE
        ]
        for volume in volumes_in(resting):
            if volume.has_open_volumes:
                volume.close_volumes()
        for backend in resting:
            if backend.needs_intents:
                self._give_back(backend.backend_id)
