"""Which access keys and admin tokens a process has seen in use: gathered in memory, written about once a minute."""

from functools import partial

from engine.clock import Clock
from engine.metadata.last_uses import note_uses
from engine.metadata.store import Store

WRITE_EVERY_S = 60.0
NAME_COUNT_MAX = 4096
"""Names of each kind remembered between two writes; the use of others is not noted."""


class LastUses:
    """Notes are for any thread and cost next to nothing; `tick` is for one.

    A use is told as of the write that follows it. What is noted while a write begins may be lost: the next use of the
    same key is noted again.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._now_s = clock.monotonic_s
        self._due_s = self._now_s() + WRITE_EVERY_S
        self._access_keys: set[str] = set()
        self._tokens: set[str] = set()

    def note_access_key(self, access_key_id: str) -> None:
        """Of a request whose signature was verified."""
        if len(self._access_keys) < NAME_COUNT_MAX:
            self._access_keys.add(access_key_id)

    def note_token(self, name: str) -> None:
        if len(self._tokens) < NAME_COUNT_MAX:
            self._tokens.add(name)

    def tick(self) -> None:
        """Write when it is time. Raises what the store raises; then all of it is written the next time."""
        if self._now_s() >= self._due_s:
            self._due_s = self._now_s() + WRITE_EVERY_S
            self.write()

    def write(self) -> None:
        """Write what was noted, if anything."""
        access_keys, self._access_keys = self._access_keys, set()
        tokens, self._tokens = self._tokens, set()
        if not access_keys and not tokens:
            return
        try:
            self._store.write(
                partial(
                    note_uses,
                    access_keys=sorted(access_keys),
                    tokens=sorted(tokens),
                    # Others who saw the same key have noted it: once a minute a row is written, by whoever comes first.
                    rest_s=WRITE_EVERY_S / 2,
                )
            )
        except Exception:
            self._access_keys |= access_keys
            self._tokens |= tokens
            raise
