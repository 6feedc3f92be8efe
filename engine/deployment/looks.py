"""Looks at backends: at those across a network side by side, so that a slow one holds up nobody's sign of life."""

import threading
import time
from collections.abc import Callable, Iterable

from engine.backends.base import Backend

WAIT_MAX_S = 2.0
"""How long the answers of one round are waited for; what comes later counts in the next round."""

Look = Callable[[Backend], str | None]
"""What is wrong with a backend; null when nothing is."""


class Looks:
    """For one thread. A backend that has not answered is not asked again meanwhile, so few threads are ever waiting."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._waiting: dict[int, _Waiting] = {}

    def at(self, backends: Iterable[Backend]) -> dict[int, str | None]:
        """What is wrong with each, by id; those that do not answer in time are left out."""
        found: dict[int, str | None] = {}
        remote = []
        for backend in backends:
            if backend.needs_intents:
                remote.append(backend)
            else:
                found[backend.backend_id] = self._look(backend)
        for backend in remote:
            waiting = self._waiting.get(backend.backend_id)
            if waiting is None:
                waiting = self._waiting[backend.backend_id] = _Waiting(self._look, backend)
                waiting.start()
        deadline_s = time.monotonic() + WAIT_MAX_S
        for backend in remote:
            waiting = self._waiting[backend.backend_id]
            waiting.join(max(0.0, deadline_s - time.monotonic()))
            if not waiting.is_alive():
                del self._waiting[backend.backend_id]
                # One opened anew meanwhile is another one.
                if waiting.backend is backend:
                    found[backend.backend_id] = waiting.found()
        return found


class _Waiting(threading.Thread):
    """One look. It ends by the deadlines of its backend, and nothing waits for it when the process ends."""

    def __init__(self, look: Look, backend: Backend) -> None:
        super().__init__(name=f"look at {backend.name}", daemon=True)
        self.backend = backend
        self._look = look
        self._found: str | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._found = self._look(self.backend)
        except BaseException as error:  # raised again where the answer is taken
            self._error = error

    def found(self) -> str | None:
        if self._error is not None:
            raise self._error
        return self._found
