"""How much is sealed: counted a little with every call that asks, and remembered once it was counted whole."""

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from engine.clock import Clock
from engine.metadata import sealed_sums
from engine.metadata.sealed_sums import PAGE_COUNT_MAX, SealedSum
from engine.metadata.store import Store

COUNT_S_MAX = 5.0
"""A call counts no further page after this."""

REMEMBER_S = 600.0
"""What was counted whole is told so long before it is counted anew."""

Sums = Mapping[tuple[int, bytes | None], int]
"""Bytes by backend or bucket, and by ring key; null: not sealed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """What was counted up to a time."""

    is_complete: bool
    measured_at_us: int
    backends: Sums
    buckets: Sums


@dataclass(slots=True, kw_only=True)
class _Count:
    """How far counting is; null positions are behind the end."""

    blob: bytes | None = b""
    version: int | None = 0
    backends: dict[tuple[int, bytes | None], int] = field(default_factory=lambda: defaultdict(int))
    buckets: dict[tuple[int, bytes | None], int] = field(default_factory=lambda: defaultdict(int))


class SealingSurvey:
    """Of one process. Safe for many threads, of which one counts."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        count_s_max: float = COUNT_S_MAX,
        page_count_max: int = PAGE_COUNT_MAX,
    ) -> None:
        self._store = store
        self._clock = clock
        self._count_s_max = count_s_max
        self._page_count_max = page_count_max
        self._lock = threading.Lock()
        self._count = _Count()
        self._whole: Surveyed | None = None
        self._whole_at_s = 0.0
        self._last = self._told(is_complete=False)

    def look(self) -> Surveyed:
        """What was counted whole within the last minutes; else count on, and tell how far that is.

        While it is counted anew the older count is told. Who meets another thread at it is told what that one was last.
        Raises what a read raises; what was counted before is kept.
        """
        if not self._lock.acquire(blocking=False):
            return self._last
        try:
            now_s = self._clock.monotonic_s()
            if self._whole is not None and now_s - self._whole_at_s < REMEMBER_S:
                return self._whole
            has_ended = self._go_on(now_s + self._count_s_max)
            told = self._told(is_complete=has_ended)
            if has_ended:
                self._count = _Count()
                self._whole, self._whole_at_s = told, self._clock.monotonic_s()
            self._last = self._whole or told
            return self._last
        finally:
            self._lock.release()

    def _go_on(self, until_s: float) -> bool:
        """Count at least a page; whether nothing is left."""
        count = self._count
        while count.blob is not None or count.version is not None:
            if count.blob is not None:
                pieces = partial(sealed_sums.sum_pieces, after=count.blob, count_max=self._page_count_max)
                sums, count.blob = self._store.read(pieces)
                _add(count.backends, sums)
            elif count.version is not None:
                versions = partial(
                    sealed_sums.sum_versions, after=count.version, count_max=self._page_count_max
                )
                sums, count.version = self._store.read(versions)
                _add(count.buckets, sums)
            if self._clock.monotonic_s() > until_s:
                break
        return count.blob is None and count.version is None

    def _told(self, *, is_complete: bool) -> Surveyed:
        return Surveyed(
            is_complete=is_complete,
            measured_at_us=self._clock.now_us(),
            backends=dict(self._count.backends),
            buckets=dict(self._count.buckets),
        )


def _add(totals: dict[tuple[int, bytes | None], int], sums: Sequence[SealedSum]) -> None:
    for each in sums:
        totals[each.subject_id, each.key_id] += each.size_bytes
