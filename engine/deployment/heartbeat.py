"""What a process does about once a second beside its requests: signs of life, looks at backends, renewals."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence

from engine.backends.base import Backend
from engine.backends.registry import volume_in
from engine.backends.volume.backend import FREE_MIN_BYTES, VolumeBackend
from engine.clock import Clock
from engine.deployment.following import Following
from engine.deployment.looks import Looks
from engine.deployment.obeying import Obeying
from engine.deployment.stores import note_views
from engine.errors import BackendError, EngineError, ForeignBackend
from engine.metadata import deployments, processes
from engine.metadata.backends import list_backends
from engine.metadata.store import Store, Tx
from engine.placement.health import PROBE_EVERY_S, Health, HealthBoard
from engine.records import BackendState

PROBE_AGAIN_S = 2.0
"""Pause between two looks at a backend with which something was wrong: it is trusted again soon."""

SILENT = "it has not answered for minutes, or not often enough since"
"""What is wrong with a backend that is failed though no look says so."""

CLOCK_OFF_MAX_S = 5.0
"""A clock further off the database's is told of: signatures and certificates go by it."""

_log = logging.getLogger("penstock.deployment")


class Heartbeat:
    """For one thread at a time. `tick` never raises: what fails is logged once, and tried again at the next one."""

    def __init__(
        self,
        store: Store,
        following: Following,
        obeying: Obeying,
        health: HealthBoard,
        clock: Clock,
        *,
        instance_id: bytes,
        process_id: bytes,
        problem_now: Callable[[Backend], str | None],
        also: Mapping[str, Callable[[], None]],
        has_other_file: bool = False,
    ) -> None:
        """`also` is done at every tick, and may raise engine errors.

        `problem_now` looks from nothing at a backend that is not touched any more: what is wrong with it still.
        `has_other_file`: the configuration file says something else than the generation that runs.
        """
        self._store = store
        self._following = following
        self._obeying = obeying
        self._health = health
        self._clock = clock
        self._instance_id = instance_id
        self._process_id = process_id
        self._problem_now = problem_now
        self._also = also
        self._has_other_file = has_other_file
        self._looks = Looks(self._look_at)
        # Those that cannot be used at all, by the last look at each.
        self._failed: set[int] = {*following.current.opened.problems}
        # Those that are touched no more, as far as that was told.
        self._told_condemned = {each for each in self._failed if health.problem_of(each) is not None}
        self._clock_off_s = 0.0
        self._beat_due_s = 0.0
        self._probe_due_s = 0.0
        self._again_due_s = 0.0
        self._failing: dict[str, str] = {}
        # Of the first ones everything was told when they were opened.
        self._views: dict[int, str | None] = {**following.current.opened.problems}
        self._is_clock_back = False

    @property
    def write_problem(self) -> str | None:
        """Why the last sign of life could not be written; null when it was. The same holds for any other write."""
        return self._failing.get("heartbeat")

    def file_counted(self) -> None:
        """A generation was made of some file or of another generation: what this one said before is no news."""
        self._has_other_file = False

    def beat_soon(self) -> None:
        """Something was told that a beat looks at. For any thread."""
        self._beat_due_s = 0.0

    def probe_soon(self) -> None:
        """Something is to be looked at, and told of, before it is due."""
        self._probe_due_s = 0.0

    def tick(self) -> None:
        self._guarded("generation", self._follow)
        self._guarded("wishes", self._obey)
        now_s = self._clock.monotonic_s()
        if now_s >= self._beat_due_s:
            self._beat_due_s = now_s + processes.HEARTBEAT_S
            self._guarded("heartbeat", self._beat)
        if now_s >= self._probe_due_s:
            self._probe_due_s = now_s + PROBE_EVERY_S
            self._again_due_s = now_s + PROBE_AGAIN_S
            self._guarded("probe", self._probe)
        elif now_s >= self._again_due_s:
            self._again_due_s = now_s + PROBE_AGAIN_S
            self._guarded("probe", self._probe_again)
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

    def _follow(self) -> None:
        before = self._following.current
        if self._following.tick():
            # Somebody waits to hear what became of it.
            self._beat_due_s = 0.0
            if self._following.current is not before:
                self._probe_due_s = 0.0

    def _obey(self) -> None:
        if self._obeying.tick():
            self._beat_due_s = 0.0

    def _beat(self) -> None:
        step_us = self._store.write(self._beat_unit)
        if step_us and not self._is_clock_back:
            _log.error("deployment.clock_stepped_back", extra={"step_s": step_us / 1_000_000})
        self._is_clock_back = step_us > 0

    def _beat_unit(self, tx: Tx) -> int:
        self._look_at_clock(tx)
        refused = self._following.refused
        processes.beat(
            tx,
            self._process_id,
            generation=self._following.current.generation,
            note=self._note(),
            refused_generation=None if refused is None else refused.generation,
            refusal=None if refused is None else refused.problem,
            in_flight_count=self._obeying.in_flight_count,
            is_drained=self._obeying.is_drained,
        )
        return deployments.note_time(tx)

    def _note(self) -> str | None:
        """What people should know of this process; null: nothing."""
        notes = []
        refused = self._following.refused
        if refused is not None:
            notes.append(
                f"runs generation {self._following.current.generation} and cannot take {refused.generation}: "
                f"{refused.problem}"
            )
        elif self._has_other_file:
            notes.append("its configuration file differs from the generation: `adminctl config reload`")
        if abs(self._clock_off_s) > CLOCK_OFF_MAX_S:
            notes.append(f"its clock is {self._clock_off_s:+.0f} s off the database's")
        return "; ".join(notes) or None

    def _look_at_clock(self, tx: Tx) -> None:
        off_s = (self._clock.now_us() - tx.now_us()) / 1_000_000
        if abs(off_s) > CLOCK_OFF_MAX_S >= abs(self._clock_off_s):
            _log.error("process.clock_off", extra={"off_s": round(off_s, 1)})
        self._clock_off_s = off_s

    def _probe(self) -> None:
        rows = self._store.read(list_backends)
        removed = {row.backend_id for row in rows if row.state is BackendState.REMOVED}
        # Of one that an operator removed nothing needs to be there any more, though this generation still has it.
        backends = [
            each for each in self._following.current.opened.backends if each.backend_id not in removed
        ]
        self._look(backends)

    def _probe_again(self) -> None:
        opened = self._following.current.opened.backends
        troubled = [each for each in opened if self._health.is_troubled(each.backend_id)]
        if troubled:
            self._look(troubled)

    def _look(self, backends: Sequence[Backend]) -> None:
        views = {
            backend.backend_id: self._views.get(backend.backend_id) for backend in backends
        } | self._looks.at(backends)
        # One that is silent has no look that ended: the board knows.
        failed = {each for each in views if self._health.health_of(each) is Health.FAILED}
        for backend_id in failed:
            views[backend_id] = views[backend_id] or SILENT
        for backend in backends:
            before, now = self._views.get(backend.backend_id), views[backend.backend_id]
            # A store may be out of reach first, and another one when it answers: that is news.
            is_condemned = now is not None and self._health.problem_of(backend.backend_id) == now
            is_news = before is None or (is_condemned and backend.backend_id not in self._told_condemned)
            (self._told_condemned.add if is_condemned else self._told_condemned.discard)(backend.backend_id)
            if now is not None and is_news:
                _log.error("backend.problem", extra={"backend": backend.name, "problem": now})
            elif now is None and before is not None:
                _log.info("backend.recovered", extra={"backend": backend.name})
        self._views = {**self._views, **views}
        failed |= self._failed & views.keys()
        note_views(self._store, self._instance_id, views, self._health, failed=failed)

    def _look_at(self, backend: Backend) -> str | None:
        """What is wrong with it; null when nothing is. Notes whether that makes it useless."""
        problem = self._failure_of(backend)
        if problem is not None:
            self._failed.add(backend.backend_id)
            return problem
        self._failed.discard(backend.backend_id)
        volume = volume_in(backend)
        return None if volume is None else _lacks_room(volume)

    def _failure_of(self, backend: Backend) -> str | None:
        condemned = self._health.problem_of(backend.backend_id)
        if condemned is not None:
            return self._look_again_at(backend, condemned)
        has_gate = self._health.has_gate(backend.backend_id)
        if not has_gate:
            self._health.asked(backend.backend_id)
        try:
            backend.check_identity()
        except ForeignBackend as error:
            self._health.condemn(backend.backend_id, str(error))
            return str(error)
        except BackendError as error:
            if not has_gate:
                self._health.failed(backend.backend_id)
            return str(error)
        if not has_gate:
            self._health.answered(backend.backend_id)
        return None

    def _look_again_at(self, backend: Backend, condemned: str) -> str:
        """A disk may be mounted again, a store within reach: then the backend is opened anew at the next tick."""
        problem = self._problem_now(backend)
        is_same = self._following.current.opened.backends.find(backend.name) is backend
        if problem is None:
            if is_same:
                self._following.try_again()
            return condemned
        if is_same and problem != condemned:
            self._health.condemn(backend.backend_id, problem)
        return problem


def _lacks_room(volume: VolumeBackend) -> str | None:
    try:
        stats = os.statvfs(volume.path)
    except OSError as error:
        return f"{volume.path}: {error.strerror}"
    free_bytes = stats.f_bavail * stats.f_frsize
    if free_bytes >= FREE_MIN_BYTES:
        return None
    return f"{free_bytes} bytes are free on its disk, {FREE_MIN_BYTES} are kept in reserve"
