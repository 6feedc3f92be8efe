"""What a process does about once a second beside its requests: signs of life, looks at backends, renewals."""

import logging
import os
from collections.abc import Callable, Mapping

from engine.backends.base import Backend
from engine.backends.registry import Backends
from engine.backends.volume.backend import FREE_MIN_BYTES, VolumeBackend
from engine.clock import Clock
from engine.deployment.stores import note_views
from engine.errors import BackendError, EngineError, ForeignBackend
from engine.metadata import deployments, generations, processes
from engine.metadata.store import Store, Tx
from engine.placement.health import HealthBoard

PROBE_EVERY_S = 10.0
"""Pause between two looks at each backend: an unmounted disk is noticed within this."""

CLOCK_OFF_MAX_S = 5.0
"""A clock further off the database's is told of: signatures and certificates go by it."""

_log = logging.getLogger("penstock.deployment")


class Heartbeat:
    """For one thread at a time. `tick` never raises: what fails is logged once, and tried again at the next one."""

    def __init__(
        self,
        store: Store,
        backends: Backends,
        health: HealthBoard,
        clock: Clock,
        *,
        instance_id: bytes,
        process_id: bytes,
        generation: int,
        problems: Mapping[int, str],
        also: Mapping[str, Callable[[], None]],
        has_other_file: bool = False,
    ) -> None:
        """`problems` of backends have been told already. `also` is done at every tick, and may raise engine errors.

        `has_other_file`: the configuration file says something else than the generation that runs.
        """
        self._store = store
        self._backends = backends
        self._health = health
        self._clock = clock
        self._instance_id = instance_id
        self._process_id = process_id
        self._generation = generation
        self._also = also
        self._has_other_file = has_other_file
        self._newest_generation = generation
        self._clock_off_s = 0.0
        self._beat_due_s = 0.0
        self._probe_due_s = 0.0
        self._failing: dict[str, str] = {}
        self._views: dict[int, str | None] = {**problems}
        self._is_clock_back = False

    @property
    def write_problem(self) -> str | None:
        """Why the last sign of life could not be written; null when it was. The same holds for any other write."""
        return self._failing.get("heartbeat")

    def beat_soon(self) -> None:
        """Something was told that a beat looks at. For any thread."""
        self._beat_due_s = 0.0

    def tick(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s >= self._beat_due_s:
            self._beat_due_s = now_s + processes.HEARTBEAT_S
            self._guarded("heartbeat", self._beat)
        if now_s >= self._probe_due_s:
            self._probe_due_s = now_s + PROBE_EVERY_S
            self._guarded("probe", self._probe)
        for name, step in self._also.items():
            self._guarded(name, step)

    def _guarded(self, name: str, step: Callable[[], None]) -> None:
        try:
            step()
        except EngineError as error:
            # Told when it begins and when it is over: an outage of an hour is no thousand lines.
            problem = f"{type(error).__name__}: {error}"
            if name not in self._failing:
                _log.warning("process.step_failed", extra={"step": name, "problem": problem})
            self._failing[name] = problem
        except (
            Exception
        ):  # the outermost handler of this thread: a process without heartbeat is taken for dead
            _log.exception("process.step_broken", extra={"step": name})
        else:
            if self._failing.pop(name, None) is not None:
                _log.info("process.step_recovered", extra={"step": name})

    def _beat(self) -> None:
        step_us = self._store.write(self._beat_unit)
        if step_us and not self._is_clock_back:
            _log.error("deployment.clock_stepped_back", extra={"step_s": step_us / 1_000_000})
        self._is_clock_back = step_us > 0

    def _beat_unit(self, tx: Tx) -> int:
        self._look_at_clock(tx)
        self._look_at_generation(tx)
        processes.beat(tx, self._process_id, generation=self._generation, note=self._note())
        return deployments.note_time(tx)

    def _note(self) -> str | None:
        """What people should know of this process; null: nothing."""
        notes = []
        if self._newest_generation != self._generation:
            notes.append(
                f"runs generation {self._generation}, {self._newest_generation} is the newest: restart it"
            )
        elif self._has_other_file:
            notes.append("its configuration file differs from the generation: `penstock serve --reload`")
        if abs(self._clock_off_s) > CLOCK_OFF_MAX_S:
            notes.append(f"its clock is {self._clock_off_s:+.0f} s off the database's")
        return "; ".join(notes) or None

    def _look_at_clock(self, tx: Tx) -> None:
        off_s = (self._clock.now_us() - tx.now_us()) / 1_000_000
        if abs(off_s) > CLOCK_OFF_MAX_S >= abs(self._clock_off_s):
            _log.error("process.clock_off", extra={"off_s": round(off_s, 1)})
        self._clock_off_s = off_s

    def _look_at_generation(self, tx: Tx) -> None:
        newest = generations.newest_number(tx)
        if newest != self._newest_generation:
            _log.warning("process.generation_old", extra={"runs": self._generation, "newest": newest})
        self._newest_generation = newest

    def _probe(self) -> None:
        views = {backend.backend_id: self._look_at(backend) for backend in self._backends}
        for backend in self._backends:
            before, now = self._views.get(backend.backend_id), views[backend.backend_id]
            if now is not None and before is None:
                _log.error("backend.problem", extra={"backend": backend.name, "problem": now})
            elif now is None and before is not None:
                _log.info("backend.recovered", extra={"backend": backend.name})
        self._views = views
        note_views(self._store, self._instance_id, views)

    def _look_at(self, backend: Backend) -> str | None:
        """What is wrong with it; null when nothing is."""
        condemned = self._health.problem_of(backend.backend_id)
        if condemned is not None:
            return condemned
        try:
            backend.check_identity()
        except ForeignBackend as error:
            self._health.condemn(backend.backend_id, str(error))
            return str(error)
        except BackendError as error:
            self._health.failed(backend.backend_id)
            return str(error)
        return _lacks_room(backend) if isinstance(backend, VolumeBackend) else None


def _lacks_room(volume: VolumeBackend) -> str | None:
    try:
        stats = os.statvfs(volume.path)
    except OSError as error:
        return f"{volume.path}: {error.strerror}"
    free_bytes = stats.f_bavail * stats.f_frsize
    if free_bytes >= FREE_MIN_BYTES:
        return None
    return f"{free_bytes} bytes are free on its disk, {FREE_MIN_BYTES} are kept in reserve"
