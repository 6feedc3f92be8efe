"""A process does what its instance is asked for: drain, look again, make room for a new process, stop."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

from engine.clock import Clock
from engine.metadata import processes, wishes
from engine.metadata.processes import InstanceRow, ProcessRow
from engine.metadata.store import Store, Tx
from engine.metadata.wishes import Wishes, wishes_of

_log = logging.getLogger("penstock.deployment")


class Duties(Protocol):
    """What a process can do of it; the calls return at once."""

    @property
    def restarts(self) -> bool:
        """Whether another process takes the place of this one when it makes room."""

    def in_flight_count(self) -> int | None:
        """Requests in flight; null for a process that serves none."""

    def drain(self, is_wanted: bool, /) -> None:
        """Say that it is not ready for new clients, or that it is again."""

    def make_room(self) -> None:
        """End, once what is under way has ended."""

    def stop_instance(self) -> None:
        """Tell whoever runs the instance to stop it in order."""


class Obeying:
    """For one thread at a time, but for `look_soon`. `tick` raises what a read raises."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        instance_id: bytes,
        process_id: bytes,
        process_count: int,
        look_again: Callable[[], None],
        pause_s: float,
    ) -> None:
        """`process_count` are those of the data plane that the instance has while nothing is wrong."""
        self._store = store
        self._clock = clock
        self._instance_id = instance_id
        self._process_id = process_id
        self._process_count = process_count
        self._look_again = look_again
        self._pause_s = pause_s
        self._due_s = 0.0
        self._duties: Duties | None = None
        self._last: Wishes | None = None
        self._is_draining = False
        self._told_drained = False
        self._is_ending = False

    def obey(self, duties: Duties) -> None:
        self._duties = duties

    def look_soon(self) -> None:
        """The instance may have been asked for something."""
        self._due_s = 0.0

    @property
    def in_flight_count(self) -> int | None:
        return None if self._duties is None else self._duties.in_flight_count()

    @property
    def is_drained(self) -> bool:
        """Whether it was asked to drain, and nothing is in flight."""
        return self._is_draining and not self.in_flight_count

    def tick(self) -> bool:
        """Look, and do what is asked for; whether there is something to tell of it."""
        now_s = self._clock.monotonic_s()
        if now_s < self._due_s or self._duties is None:
            return False
        self._due_s = now_s + self._pause_s
        asked = wishes_of(self._store.look("find_instance_wishes", {"instance_id": self._instance_id}))
        has_news = self._drain(asked, self._duties)
        has_news = self._look(asked) or has_news
        if not self._is_ending:
            self._make_room(asked, self._duties)
            self._stop(asked, self._duties)
        self._last = asked
        return has_news

    def _drain(self, asked: Wishes, duties: Duties) -> bool:
        is_wanted = asked.draining_since_us is not None
        if is_wanted != self._is_draining:
            self._is_draining = is_wanted
            duties.drain(is_wanted)
            _log.info("process.draining" if is_wanted else "process.drain_over")
        before, self._told_drained = self._told_drained, self.is_drained
        return before != self._told_drained

    def _look(self, asked: Wishes) -> bool:
        if self._last is None or asked.look_asked_at_us == self._last.look_asked_at_us:
            return False
        self._look_again()
        return True

    def _make_room(self, asked: Wishes, duties: Duties) -> None:
        """One after the other: the oldest first, and the next one when as many serve as should."""
        if asked.restart_asked_at_us is None or not duties.restarts:
            return
        instance = self._instance()
        serving = [each for each in instance.processes if each.is_alive and each.plane == "dataplane"]
        older = [each for each in serving if each.started_at_us < asked.restart_asked_at_us]
        if not older or len(serving) < self._process_count:
            return
        if min(older, key=_age).process_id == self._process_id:
            self._is_ending = True
            _log.info("process.makes_room")
            duties.make_room()

    def _stop(self, asked: Wishes, duties: Duties) -> None:
        if asked.stop_by_us is None:
            return
        instance, now_us = self._store.read(
            lambda tx: (processes.find_instance(tx, self._instance_id), tx.now_us())
        )
        assert instance is not None, "a process has an instance"
        serving = [each for each in instance.processes if each.is_alive and each.plane == "dataplane"]
        if now_us < asked.stop_by_us and not all(each.is_drained for each in serving):
            return
        take = partial(wishes.take_stop, instance_id=self._instance_id, process_id=self._process_id)
        if self._store.write(take):
            self._is_ending = True
            _log.info("instance.stopping")
            duties.stop_instance()

    def _instance(self) -> InstanceRow:
        def find(tx: Tx) -> InstanceRow | None:
            return processes.find_instance(tx, self._instance_id)

        found = self._store.read(find)
        assert found is not None, "a process has an instance"
        return found


def _age(process: ProcessRow) -> tuple[int, bytes]:
    return process.started_at_us, process.process_id
