"""Pieces that reads found bad, kept until they can be marked: a read never waits for a commit."""

import threading
from collections import deque

from engine.imported import loggable
from engine.metadata.locations import mark_location
from engine.metadata.store import Store, Tx
from engine.objects.degradations import Degradation, Degradations
from engine.records import Location, LocationState

WAITING_COUNT_MAX = 1024
"""Suspicions that wait; one that finds no room is dropped, and the next read of the piece finds it again."""

FLUSH_COUNT_MAX = 100


class Suspicions:
    """Bounded queue of suspect locations. Safe for many threads; `flush` is called by the process's own tick."""

    def __init__(self, store: Store, degradations: Degradations) -> None:
        self._store = store
        self._degradations = degradations
        self._waiting: deque[Location] = deque()
        self._flushing = threading.Lock()

    def add(self, location: Location, reason: str) -> None:
        """A read met bytes that do not verify, or none, at this location."""
        self._degradations.note(
            Degradation.PIECE_SUSPECT,
            backend_id=location.backend_id,
            storage_key=loggable(location.storage_key),
            blob_id=location.blob_id.hex(),
            reason=reason,
        )
        if len(self._waiting) >= WAITING_COUNT_MAX:
            self._degradations.note(Degradation.SUSPICION_DROPPED, backend_id=location.backend_id)
            return
        self._waiting.append(location)

    def flush(self) -> int:
        """Mark what waits, at most `FLUSH_COUNT_MAX` of it; how many. Marking twice is harmless.

        What the database refuses stays in the queue; raises what `Store.write` raises.
        """
        with self._flushing:
            batch = [self._waiting[index] for index in range(min(len(self._waiting), FLUSH_COUNT_MAX))]
            if not batch:
                return 0

            def unit(tx: Tx) -> None:
                for location in batch:
                    mark_location(tx, location, LocationState.SUSPECT)

            self._store.write(unit)
            for _ in batch:
                self._waiting.popleft()
            return len(batch)
