"""A process goes from one generation of the configuration to the next while it serves."""

import logging
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from engine.backends.base import Backend
from engine.backends.registry import Backends
from engine.clock import Clock
from engine.deployment.snapshots import Snapshot
from engine.errors import DatabaseUnavailable, EngineError
from engine.metadata import generations
from engine.metadata.generations import Generation
from engine.metadata.store import Store
from engine.placement.health import HealthBoard

RETRY_S = 10.0
"""Pause before a generation that could not be taken is tried again: a disk may be mounted, a file put there."""

Commit = Callable[[], None]
Prepare = Callable[[Snapshot], Commit]
"""Makes ready what a snapshot asks for, and gives back what puts it in force, which does not fail."""

_log = logging.getLogger("penstock.deployment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A generation that this process could not take, and why."""

    generation: int
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leaving:
    """Backends of a set that is used no more once nothing refers to it."""

    last_used: "weakref.ref[Backends]"
    backends: list[Backend]


class Following:
    """For one thread at a time, but for `current` and `look_soon`, which are for any."""

    def __init__(
        self,
        store: Store,
        first: Snapshot,
        make_next: Callable[[Snapshot, Generation], Snapshot],
        health: HealthBoard,
        clock: Clock,
        *,
        pause_s: float,
    ) -> None:
        """`pause_s` passes between two looks, unless somebody knows of something to see."""
        self.current = first
        self.refused: Refused | None = None
        self._store = store
        self._make_next = make_next
        self._health = health
        self._clock = clock
        self._pause_s = pause_s
        self._due_s = 0.0
        self._retry_s = 0.0
        self._renews = False
        self._prepares: list[Prepare] = []
        self._leaving: list[_Leaving] = []

    def follow(self, prepare: Prepare) -> None:
        """From now on a snapshot is taken when this, too, could make ready for it."""
        self._prepares.append(prepare)

    def look_soon(self) -> None:
        """There may be a new generation."""
        self._due_s = 0.0

    def try_again(self) -> None:
        """Whatever stood in the way of a generation, or of a backend of the one that runs, may be gone."""
        self._retry_s = 0.0
        self._renews = True
        self._due_s = 0.0

    def tick(self) -> bool:
        """Take the newest generation if it is another one; whether something changed. Raises what a read raises.

        One that cannot be taken leaves everything as it was, is told of, and is tried again now and then.
        """
        self._close_left()
        now_s = self._clock.monotonic_s()
        if now_s < self._due_s:
            return False
        self._due_s = now_s + self._pause_s
        ((newest,),) = self._store.look("find_newest_generation_number", {})
        renews, self._renews = self._renews, False
        if newest == self.current.generation:
            was_refused, self.refused = self.refused is not None, None
            return (renews and self._renew()) or was_refused
        if self.refused is not None and self.refused.generation == newest and now_s < self._retry_s:
            return False
        generation = self._store.read(generations.current)
        return generation is not None and self._take(generation)

    def _take(self, generation: Generation) -> bool:
        before = self.current
        try:
            snapshot = self._make_next(before, generation)
            if generation.generation == before.generation and not snapshot.opened.anew:
                # No backend of it came back after all.
                return False
            commits = [prepare(snapshot) for prepare in self._prepares]
        except DatabaseUnavailable:
            raise
        except EngineError as error:
            return self._refuse(generation.generation, str(error))
        except Exception as error:  # a process that only stumbles over it again and again tells nobody
            problem = f"{type(error).__name__}: {error}"
            if self.refused is None or self.refused.problem != problem:
                _log.exception("process.generation_broken")
            return self._refuse(generation.generation, problem)
        for backend_id in snapshot.opened.anew:
            self._health.forgive(backend_id)
        self.current = snapshot
        for commit in commits:
            commit()
        self.refused = None
        gone = before.opened.gone_from(snapshot.opened)
        if gone:
            self._leaving.append(_Leaving(last_used=weakref.ref(before.opened.backends), backends=gone))
        _log.info(
            "process.generation_taken",
            extra={"generation": generation.generation, "before": before.generation},
        )
        return True

    def _renew(self) -> bool:
        """Take the same generation once more where a backend of it had failed."""
        opened = self.current.opened.backends
        if not any(self._health.problem_of(each.backend_id) is not None for each in opened):
            return False
        generation = self._store.read(generations.current)
        return generation is not None and self._take(generation)

    def _refuse(self, generation: int, problem: str) -> bool:
        self._retry_s = self._clock.monotonic_s() + RETRY_S
        refused = Refused(generation=generation, problem=problem)
        if refused == self.refused:
            return False
        self.refused = refused
        _log.error(
            "process.generation_refused",
            extra={"generation": generation, "runs": self.current.generation, "problem": problem},
        )
        return True

    def _close_left(self) -> None:
        """Close backends that no snapshot has any more, once the last request that could use them has ended."""
        over = [each for each in self._leaving if each.last_used() is None]
        for each in over:
            self._leaving.remove(each)
            for backend in each.backends:
                _close(backend)

    def close(self) -> None:
        """Close all backends, those that went before included. No request may be under way."""
        left = [backend for each in self._leaving for backend in each.backends]
        self._leaving.clear()
        # One that fails leaves none of the others open.
        with ExitStack() as closing:
            for backend in [*left, *self.current.opened.backends]:
                closing.callback(backend.close)


def _close(backend: Backend) -> None:
    try:
        backend.close()
    except EngineError as error:
        _log.warning("backend.close_failed", extra={"backend": backend.name, "problem": str(error)})
    else:
        _log.info("backend.closed", extra={"backend": backend.name})
