"""The newest log lines of this node, bounded in count and bytes, and those who wait for more."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from controlplane.telling.bell import Bell
from engine.telling.lines import LogLine
from engine.units import MIB

LINE_COUNT_MAX = 5000
BYTES_MAX = 4 * MIB
LINE_OVERHEAD_BYTES = 500


class LogRing:
    """Lines are numbered from 0 on; the oldest ones make room. For any thread."""

    def __init__(self, *, line_count_max: int = LINE_COUNT_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._line_count_max = line_count_max
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._lines: deque[tuple[int, LogLine]] = deque()
        self._first = 0
        self._size_bytes = 0
        self._bells: set[Bell] = set()

    def append(self, line: LogLine) -> None:
        size_bytes = _size_bytes(line)
        with self._lock:
            self._lines.append((size_bytes, line))
            self._size_bytes += size_bytes
            while len(self._lines) > self._line_count_max or self._size_bytes > self._bytes_max:
                self._size_bytes -= self._lines.popleft()[0]
                self._first += 1
            bells = list(self._bells)
        for bell in bells:
            bell.ring()

    @property
    def end(self) -> int:
        """Number of the line that comes next."""
        with self._lock:
            return self._first + len(self._lines)

    def read(self, number: int, *, count_max: int) -> tuple[list[LogLine], int]:
        """Lines from that number on, and how many of them are gone already."""
        with self._lock:
            missed_count = max(0, self._first - number)
            start = number + missed_count - self._first
            found = [line for _, line in islice(self._lines, start, start + count_max)]
        return found, missed_count

    @contextmanager
    def watched(self) -> Iterator[Bell]:
        """Within the block the bell rings at each new line."""
        bell = Bell()
        with self._lock:
            self._bells.add(bell)
        try:
            yield bell
        finally:
            with self._lock:
                self._bells.discard(bell)


def _size_bytes(line: LogLine) -> int:
    text = len(line.event) + len(line.traceback) + sum(len(n) + len(v) + 100 for n, v in line.fields.items())
    return text + LINE_OVERHEAD_BYTES
