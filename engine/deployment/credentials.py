"""Access keys as requests need them: opened, and remembered for a few seconds."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from engine.clock import Clock
from engine.deployment.ring import open_access_secret
from engine.errors import DatabaseUnavailable
from engine.metadata.identities import AccessKeyRow, find_access_key
from engine.metadata.store import Store, Tx
from engine.sealing.keyring import KeyRing

REMEMBER_S = 5.0
"""How long a key may still be taken for valid after it was revoked."""

COUNT_MAX = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessCredential:
    """An access key in force, and whose it is. `buckets` null: all of the account. The secret does not show itself."""

    access_key_id: str
    secret: str = field(repr=False)
    identity: str
    account_id: int
    account: str
    role: str
    buckets: frozenset[str] | None


class Credentials:
    """Looks access keys up. Safe for many threads; a hit costs neither lock nor database.

    A key that is unknown, disabled or expired is not remembered: strangers cannot fill it, a new key works at once.
    """

    def __init__(
        self,
        store: Store,
        ring: KeyRing,
        clock: Clock,
        *,
        last_known: Callable[[str], AccessKeyRow | None] = lambda _: None,
    ) -> None:
        """`last_known` is asked while the database is away: what it gives may be revoked by now."""
        self._store = store
        self._ring = ring
        self._now_s = clock.monotonic_s
        self._now_us = clock.now_us
        self._last_known = last_known
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, AccessCredential]] = {}

    def find(self, access_key_id: str) -> AccessCredential | None:
        """Null when there is no such key, or it may not be used now.

        Raises DatabaseUnavailable, and SealBroken or KeyUnavailable when its secret does not open.
        """
        known = self._known.get(access_key_id)
        if known is not None and self._now_s() < known[0]:
            return known[1]
        # Counted from before the look: a key revoked while it lasts is forgotten in time.
        until_s = self._now_s() + REMEMBER_S
        try:
            row = self._store.read(partial(_find_usable, access_key_id=access_key_id))
        except DatabaseUnavailable:
            row = self._last_known(access_key_id)
            if row is None:
                # Whether it is a key cannot be told now.
                raise
            if row.is_disabled or row.expires_at_us <= self._now_us():
                row = None
        found = None if row is None else self._opened(row)
        with self._lock:
            self._known.pop(access_key_id, None)
            if found is not None:
                while len(self._known) >= COUNT_MAX:
                    del self._known[next(iter(self._known))]
                self._known[access_key_id] = (until_s, found)
        return found

    def forget(self) -> None:
        """What is in force may have changed: every key is looked up anew."""
        with self._lock:
            self._known = {}

    def __len__(self) -> int:
        """Keys remembered now."""
        return len(self._known)

    def _opened(self, row: AccessKeyRow) -> AccessCredential:
        return AccessCredential(
            access_key_id=row.access_key_id,
            secret=open_access_secret(self._ring, row.access_key_id, row.key_id, row.sealed_secret),
            identity=row.identity,
            account_id=row.account_id,
            account=row.account,
            role=row.role,
            buckets=None if row.buckets is None else frozenset(row.buckets),
        )


def _find_usable(tx: Tx, access_key_id: str) -> AccessKeyRow | None:
    row = find_access_key(tx, access_key_id)
    return None if row is None or row.is_disabled or row.expires_at_us <= tx.now_us() else row
