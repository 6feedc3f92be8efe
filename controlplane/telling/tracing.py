"""Requests of S3 clients for those who trace them: each has a filter and a bounded queue."""

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from controlplane.telling.bell import Bell
from engine.errors import Overloaded
from engine.telling.wishes import TraceWish

WAITING_COUNT_MAX = 2000
"""Requests that wait for one who traces; more are dropped, and counted."""

TRACER_COUNT_MAX = 16
WISH_S = 10
"""How long processes go on telling when the wish is not renewed."""

ERROR_STATUS_MIN = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceFilter:
    """Which requests are wanted; what is empty or 0 takes all."""

    operation: str = ""
    bucket: str = ""
    key_prefix: str = ""
    access_key_id: str = ""
    peer: str = ""
    errors_only: bool = False
    sample: float = 1.0
    min_duration_us: int = 0

    def takes(self, request: Mapping[str, Any]) -> bool:
        """Whether a request as the data plane tells it is one of them."""
        return (
            (not self.operation or request["operation"] == self.operation)
            and (not self.bucket or request["bucket"] == self.bucket)
            and request["key"].startswith(self.key_prefix)
            and (not self.access_key_id or request["access_key_id"] == self.access_key_id)
            and (not self.peer or request["peer"] == self.peer)
            and (not self.errors_only or is_error(request["status"], request["code"]))
            and request["duration_us"] >= self.min_duration_us
        )


def is_error(status: int, code: str) -> bool:
    """Whether a request failed, or was cut."""
    return status >= ERROR_STATUS_MIN or bool(code)


class Tracer:
    """One who traces."""

    def __init__(self, wanted: TraceFilter) -> None:
        self.wanted = wanted
        self.bell = Bell()
        self._lock = threading.Lock()
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._dropped_count = 0

    def offer(self, request: Mapping[str, Any]) -> None:
        with self._lock:
            if len(self._waiting) >= WAITING_COUNT_MAX:
                self._dropped_count += 1
            else:
                self._waiting.append(request)
        self.bell.ring()

    def dropped(self, count: int) -> None:
        with self._lock:
            self._dropped_count += count

    def take(self) -> tuple[list[Mapping[str, Any]], int]:
        """What waits, and how many were dropped since the last look."""
        with self._lock:
            found, self._waiting = list(self._waiting), deque()
            dropped_count, self._dropped_count = self._dropped_count, 0
        return found, dropped_count


class Tracers:
    """All who trace now. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tracers: set[Tracer] = set()

    @contextmanager
    def joined(self, wanted: TraceFilter) -> Iterator[Tracer]:
        """Raises Overloaded when there are enough."""
        tracer = Tracer(wanted)
        with self._lock:
            if len(self._tracers) >= TRACER_COUNT_MAX:
                raise Overloaded(what="tracing")
            self._tracers.add(tracer)
        try:
            yield tracer
        finally:
            with self._lock:
                self._tracers.discard(tracer)

    def offer(self, request: Mapping[str, Any]) -> None:
        for tracer in self._all():
            if tracer.wanted.takes(request):
                tracer.offer(request)

    def dropped(self, count: int) -> None:
        for tracer in self._all():
            tracer.dropped(count)

    def wish(self, now_us: int) -> TraceWish | None:
        """What processes must tell for everybody to get theirs; null when nobody traces."""
        wanted = [tracer.wanted for tracer in self._all()]
        if not wanted:
            return None
        return TraceWish(
            errors_only=all(each.errors_only for each in wanted),
            sample=max(each.sample for each in wanted),
            until_us=now_us + WISH_S * 1_000_000,
        )

    def _all(self) -> list[Tracer]:
        with self._lock:
            return list(self._tracers)
