"""Intents held ahead of use: a piece on a remote store is announced before its first byte, and no PUT pays for it."""

import threading
from collections import deque
from collections.abc import Iterable, Sequence

from engine.backends.base import Backend
from engine.clock import Clock, Ids
from engine.metadata.intents import Intent, announce, renew_each
from engine.metadata.intents import settle as settle_intent
from engine.metadata.store import Store
from engine.metadata.strays import Stray, settle_strays

BATCH_COUNT = 16
"""Intents of one backend written in one transaction."""

RENEW_EVERY_S = 120.0
USABLE_AGE_MAX_S = 300.0
"""An intent renewed longer ago is not used: recovery may soon take it for a dead process's."""

_PREFIX = "pieces"


class IntentHolder:
    """What one process holds ahead, by backend. Safe for many threads; its owner calls `tick`.

    It renews intents one by one and not its whole instance's: what a dead process held must age.
    """

    def __init__(self, *, store: Store, instance_id: bytes, clock: Clock, ids: Ids) -> None:
        self._store = store
        self._instance_id = instance_id
        self._clock = clock
        self._ids = ids
        self._lock = threading.Lock()
        self._held: dict[int, deque[Intent]] = {}
        self._in_use: set[bytes] = set()
        # When the oldest of all that is held last gave a sign of life.
        self._renewed_at_s = clock.monotonic_s()

    def take(self, backend: Backend) -> Intent | None:
        """An announced key on that backend, for one attempt; null where none is needed. Raises what a write raises.

        Every intent taken is given to `end` once.
        """
        if not backend.needs_intents:
            return None
        with self._lock:
            intent = self._take_held(backend.backend_id)
        if intent is not None:
            return intent
        # Two threads that find nothing both announce a batch, which is more than was needed and harmless.
        began_at_s = self._clock.monotonic_s()
        fresh = self._announce(backend.backend_id)
        with self._lock:
            if not self._in_use and not any(self._held.values()):
                self._renewed_at_s = began_at_s
            self._held.setdefault(backend.backend_id, deque()).extend(fresh[1:])
            self._in_use.add(fresh[0].intent_id)
        return fresh[0]

    def end(self, intent_ids: Iterable[bytes]) -> None:
        """These are fulfilled, settled, or left to recovery: they are renewed no more."""
        with self._lock:
            self._in_use.difference_update(intent_ids)

    def tick(self) -> None:
        """Renew what this process holds and uses once two minutes have passed. Raises what a write raises."""
        with self._lock:
            if self._clock.monotonic_s() - self._renewed_at_s < RENEW_EVERY_S:
                return
            intent_ids = [*self._in_use, *(each.intent_id for held in self._held.values() for each in held)]
        began_at_s = self._clock.monotonic_s()
        if intent_ids:
            self._store.write(lambda tx: renew_each(tx, intent_ids))
        with self._lock:
            self._renewed_at_s = began_at_s

    def distrust(self) -> None:
        """Recovery took one of ours for a dead process's, and what is held was announced with it: use none of it."""
        with self._lock:
            self._held.clear()

    def give_back(self, backend_id: int) -> None:
        """Settle what is held ahead of a backend that takes no pieces any more; what is in use goes its way.

        Raises what a write raises; recovery does it then.
        """
        with self._lock:
            unused = [each.intent_id for each in self._held.pop(backend_id, ())]
        if unused:
            self._store.write(lambda tx: [settle_intent(tx, intent_id) for intent_id in unused])

    def close(self) -> None:
        """Give back what was never used, at a clean stop; what is in use is left to recovery."""
        with self._lock:
            unused = [each.intent_id for held in self._held.values() for each in held]
            self._held.clear()
        if unused:
            self._store.write(lambda tx: [settle_intent(tx, intent_id) for intent_id in unused])

    def settle(self, strays: Sequence[Stray]) -> None:
        """Hand pieces of a failed write to the cleanup queue. Raises what a write raises; recovery does it then."""
        self._store.write(lambda tx: settle_strays(tx, strays))

    def _take_held(self, backend_id: int) -> Intent | None:
        if self._clock.monotonic_s() - self._renewed_at_s > USABLE_AGE_MAX_S:
            self._held.clear()
        held = self._held.get(backend_id)
        if not held:
            return None
        intent = held.popleft()
        self._in_use.add(intent.intent_id)
        return intent

    def _announce(self, backend_id: int) -> list[Intent]:
        fresh = []
        for _ in range(BATCH_COUNT):
            attempt = self._ids()
            text = attempt.hex()
            key = f"{_PREFIX}/{text[-2:]}/{text}"
            fresh.append(Intent(intent_id=attempt, backend_id=backend_id, storage_key=key))
        self._store.write(lambda tx: announce(tx, instance_id=self._instance_id, intents=fresh))
        return fresh
