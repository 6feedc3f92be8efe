"""A process and the absence of its database: what it keeps for one, and how it starts and goes on without."""

import logging
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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

    def __init__(self, file: LastKnownFile, store: Store, clock: Clock, *, generation: int) -> None:
        self._file = file
        self._store = store
        self._clock = clock
        self._generation = generation
        self._due_s = 0.0
        self._known: LastKnown | None = None

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


def _nobody(_: str) -> AccessKeyRow | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Precautions:
    """What a process has for the absence of its database; by default nothing. `steps` are done at every tick."""

    memory: Memory | None = None
    access_key: Callable[[str], AccessKeyRow | None] = _nobody
    steps: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    closing: Sequence[tuple[str, Callable[[], object]]] = ()


def precautions_for(
    store: PostgresStore,
    state_dir: Path,
    clock: Clock,
    degradations: Degradations,
    *,
    live: LiveSettings,
    generation: int,
    known: LastKnown | None,
    is_reached: Callable[[], bool],
) -> Precautions:
    """What the settings ask for. `known`: the database is away already, and this is what it said before."""
    if live.storage.degraded_reads == "off":
        return Precautions()
    file = RememberedFile(state_dir / "remembered.sqlite")
    memory = DegradedReads(
        file,
        store,
        clock,
        degradations,
        age_max_s=live.storage.degraded_max_age_s,
        is_reached=is_reached,
    )
    steps: dict[str, Callable[[], None]] = {"memory": memory.tick}
    if known is not None:
        steps["return"] = Return(store, clock).tick
        access_key = known.access_key
    else:
        keeper = Keeper(LastKnownFile(state_dir), store, clock, generation=generation)
        steps["last known"] = keeper.tick
        access_key = keeper.access_key
    return Precautions(memory=memory, access_key=access_key, steps=steps, closing=(("memory", file.close),))
