"""How fast an operation gets on, and when it will have ended."""

import time
from collections import deque
from collections.abc import Callable

from engine.metadata.operations import OperationProgress

WINDOW_S = 30.0
"""Steps older than this say nothing about how fast it goes now."""

SAMPLE_COUNT_MAX = 1000


class Rates:
    """Items and bytes a second over the last steps."""

    def __init__(self, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        # When a step ended, and what it did.
        self._steps: deque[tuple[float, int, int]] = deque()
        self._since_s = seconds()

    def add(self, item_count: int, size_bytes: int) -> None:
        now_s = self._seconds()
        while self._steps and (now_s - self._steps[0][0] > WINDOW_S or len(self._steps) == SAMPLE_COUNT_MAX):
            self._since_s = self._steps.popleft()[0]
        self._steps.append((now_s, item_count, size_bytes))

    @property
    def items_per_second(self) -> float:
        return self._per_second(sum(item_count for _, item_count, _ in self._steps))

    @property
    def bytes_per_second(self) -> float:
        return self._per_second(sum(size_bytes for _, _, size_bytes in self._steps))

    def _per_second(self, amount: int) -> float:
        return amount / max(1e-3, self._steps[-1][0] - self._since_s) if self._steps else 0.0


def left_s(progress: OperationProgress) -> float | None:
    """Seconds until it ends if it goes on like this, by bytes where their total is known, else by items."""
    if progress.total_bytes is not None and progress.bytes_per_second > 0.0:
        return max(0, progress.total_bytes - progress.done_bytes) / progress.bytes_per_second
    if progress.total_count is not None and progress.items_per_second > 0.0:
        return (
            max(0, progress.total_count - progress.done_count - progress.failed_count)
            / progress.items_per_second
        )
    return None
