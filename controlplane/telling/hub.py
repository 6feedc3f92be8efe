"""All that is told on this node: the ring of lines, who traces, and what the processes are wished to tell."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from controlplane.telling.log_ring import LogRing
from controlplane.telling.receiver import Receiver
from controlplane.telling.tracing import WISH_S, TraceFilter, Tracer, Tracers
from engine.errors import Overloaded
from engine.telling.lines import line_of
from engine.telling.process import Levels
from engine.telling.wishes import LEVEL_COUNT_MAX, LevelWish, Wishes, WishesFile

_log = logging.getLogger("penstock.control")


class Hub:
    """Made by the one control plane of a node. Levels outlast it; traces do not."""

    def __init__(self, state_dir: Path) -> None:
        self.ring = LogRing()
        self.tracers = Tracers()
        self._lock = threading.Lock()
        self._file = WishesFile(state_dir)
        self._wishes = replace(self._file.look(), trace=None)
        self._levels = Levels()
        self._state_dir = state_dir
        self._receiver: Receiver | None = None
        self._handler = _RingHandler(self.ring)

    def start(self) -> None:
        """Raises OSError when the socket cannot be made."""
        logging.getLogger().addHandler(self._handler)
        self._receiver = Receiver(self._state_dir, self.ring, self.tracers)
        self._receiver.start()
        self.tick()

    def stop(self, timeout_s: float) -> bool:
        """Whether nothing is under way any more."""
        logging.getLogger().removeHandler(self._handler)
        self._levels.apply({})
        return self._receiver is None or self._receiver.stop(timeout_s)

    def tick(self) -> None:
        """Renew what is wished, let go of what has ended. Never raises."""
        now_us = time.time_ns() // 1000
        with self._lock:
            wishes = replace(self._wishes.at(now_us), trace=self.tracers.wish(now_us))
            self._levels.apply(wishes.levels)
            if not _is_due(self._wishes, wishes, now_us):
                return
            try:
                self._file.write(wishes)
            except OSError as error:
                _log.error("telling.wish_not_written", extra={"why": str(error)})
                return
            self._wishes = wishes

    @contextmanager
    def tracing(self, wanted: TraceFilter) -> Iterator[Tracer]:
        """Raises Overloaded when too many trace."""
        try:
            with self.tracers.joined(wanted) as tracer:
                self.tick()
                yield tracer
        finally:
            self.tick()

    def levels(self) -> Mapping[str, LevelWish]:
        """What was set and holds now."""
        return self._wishes.at(time.time_ns() // 1000).levels

    def set_level(self, logger: str, wish: LevelWish | None) -> None:
        """Null goes back to the configuration. Raises Overloaded when too many are set."""
        with self._lock:
            levels = dict(self._wishes.at(time.time_ns() // 1000).levels)
            levels.pop(logger, None)
            if wish is not None:
                if len(levels) >= LEVEL_COUNT_MAX:
                    raise Overloaded(what="levels of loggers")
                levels[logger] = wish
            wishes = replace(self._wishes, levels=levels)
            self._file.write(wishes)
            self._wishes = wishes
        self.tick()


class _RingHandler(logging.Handler):
    """This process's own lines."""

    is_beside = True

    def __init__(self, ring: LogRing) -> None:
        super().__init__()
        self._ring = ring

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._ring.append(line_of(record, process="controlplane"))
        except Exception:
            self.handleError(record)


def _is_due(written: Wishes, wishes: Wishes, now_us: int) -> bool:
    """Whether the file has to be written: something else is wished, or a trace goes on and its end comes near."""
    before, after = written.trace, wishes.trace
    if written.levels != wishes.levels or (before is None) != (after is None):
        return True
    if before is None or after is None:
        return False
    is_ending = before.until_us - now_us < WISH_S * 1_000_000 // 2
    return is_ending or replace(before, until_us=0) != replace(after, until_us=0)
