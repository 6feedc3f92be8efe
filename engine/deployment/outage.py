"""A process and the absence of its database: what it keeps for one, and how it starts and goes on without."""

import logging
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from engine.clock import Clock
from engine.deployment.last_known import LastKnown, LastKnownFile, look
from engine.metadata.identities import AccessKeyRow
from engine.metadata.postgres.store import PostgresStore
from engine.metadata.remembered import RememberedFile
from engine.metadata.store import Store
from engine.objects.degradations import Degradations
from engine.objects.degraded import DegradedReads, Memory
from engine.settings import LiveSettings

KEEP_EVERY_S = 60.0
LOOK_EVERY_S = 1.0

_log = logging.getLogger("penstock.deployment")


class Keeper:
    """Keeps what a start without database needs up to date. `tick` raises what a read raises."""

    def __init__(self, file: LastKnownFile, store: Store, clock: Clock) -> None:
        self._file = file
        self._store = store
        self._clock = clock
        self._generation = 0
        self._due_s = 0.0
        self._known: LastKnown | None = None

    def keep(self, generation: int) -> None:
        """That is the generation the process runs from now on."""
        self._generation = generation
        self._due_s = 0.0

    def tick(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s < self._due_s:
            return
        self._due_s = now_s + KEEP_EVERY_S
        known = look(self._store, self._generation)
        if known is None:
            # A generation that this process does not run; those that do keep it.
            return
        self._known = known
        try:
            self._file.write(known)
        except OSError as error:
            _log.warning("deployment.not_kept", extra={"problem": str(error)})

    def access_key(self, access_key_id: str) -> AccessKeyRow | None:
        """As it was at the last tick that reached the database."""
        return None if self._known is None else self._known.access_key(access_key_id)


class Return:
    """Watches for the database of a process that was started without: it ends, and the next one starts with it."""

    def __init__(self, store: PostgresStore, clock: Clock, *, end: Callable[[], None] | None = None) -> None:
        self._store = store
        self._clock = clock
        self._end = end or _end_gracefully
        self._due_s = 0.0
        self._is_over = False

    def tick(self) -> None:
        now_s = self._clock.monotonic_s()
        if self._is_over or now_s < self._due_s:
            return
        self._due_s = now_s + LOOK_EVERY_S
        if self._store.is_back():
            self._is_over = True
            _log.info(
                "deployment.database_back", extra={"hint": "this process makes room for one that uses it"}
            )
            self._end()


def _end_gracefully() -> None:
    """As a service manager would: what is under way is finished, and the arbiter starts another process."""
    os.kill(os.getpid(), signal.SIGTERM)


class Precautions:
    """What a process has for the absence of its database: over SQLite, which is never away by itself, nothing."""

    remembers_reads = False

    @property
    def steps(self) -> Mapping[str, Callable[[], None]]:
        """To be done at every tick."""
        return {}

    def memory_for(self, live: LiveSettings) -> Memory | None:
        """Where reads look while the database is away, as the settings ask for it."""
        return None

    def take(self, live: LiveSettings, generation: int) -> None:
        """These are the settings now."""

    def access_key(self, access_key_id: str) -> AccessKeyRow | None:
        """As the database said last."""
        return None

    def close(self) -> None:
        """Nothing looks at it any more."""


class PostgresPrecautions(Precautions):
    """Remembers what was read, and what a start without database needs, while `storage.degraded_reads` is on."""

    def __init__(
        self,
        store: PostgresStore,
        state_dir: Path,
        clock: Clock,
        degradations: Degradations,
        *,
        known: LastKnown | None,
        is_reached: Callable[[], bool],
    ) -> None:
        """`known`: the database is away already, and this is what it said before."""
        self._file = RememberedFile(state_dir / "remembered.sqlite")
        self._memory = DegradedReads(
            self._file, store, clock, degradations, age_max_s=0.0, is_reached=is_reached
        )
        self._known = known
        self._keeper = Keeper(LastKnownFile(state_dir), store, clock)
        self._return = Return(store, clock)
        self.remembers_reads = False

    @property
    def steps(self) -> Mapping[str, Callable[[], None]]:
        if self._known is not None:
            return {"memory": self._remember, "return": self._return.tick}
        return {"memory": self._remember, "last known": self._keep}

    def memory_for(self, live: LiveSettings) -> Memory | None:
        return None if live.storage.degraded_reads == "off" else self._memory

    def take(self, live: LiveSettings, generation: int) -> None:
        self.remembers_reads = live.storage.degraded_reads != "off"
        self._memory.limit_age(live.storage.degraded_max_age_s)
        self._keeper.keep(generation)

    def access_key(self, access_key_id: str) -> AccessKeyRow | None:
        if not self.remembers_reads:
            return None
        return (self._known or self._keeper).access_key(access_key_id)

    def close(self) -> None:
        self._file.close()

    def _remember(self) -> None:
        if self.remembers_reads:
            self._memory.tick()

    def _keep(self) -> None:
        if self.remembers_reads:
            self._keeper.tick()
