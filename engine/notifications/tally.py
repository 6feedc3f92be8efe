"""How deliveries of this process ended, by target."""

import threading
from collections import Counter
from collections.abc import Mapping
from enum import Enum


class DeliveryEnd(Enum):
    """How a delivery ended."""

    DELIVERED = "delivered"
    FAILED = "failed"
    """It is tried again."""
    GIVEN_UP = "given_up"
    """The last try has failed."""


class DeliveryTally:
    """Counts from when the process began. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, DeliveryEnd]] = Counter()

    def note(self, target: str, end: DeliveryEnd) -> None:
        with self._lock:
            self._counts[target, end] += 1

    def read(self) -> Mapping[tuple[str, DeliveryEnd], int]:
        with self._lock:
            return dict(self._counts)
