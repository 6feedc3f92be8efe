"""Time and identifiers, passed in wherever they are needed so that tests decide them."""

import os
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Wall time for signatures and stored stamps, monotonic time for deadlines."""

    def now_us(self) -> int:
        """Microseconds since the Unix epoch."""

    def monotonic_s(self) -> float:
        """Seconds that never step back."""


class SystemClock:
    """The machine's clocks."""

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic_s(self) -> float:
        return time.monotonic()


def us_of(moment: datetime) -> int:
    """Microseconds since the Unix epoch of a moment that knows its zone."""
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


Ids = Callable[[], bytes]
"""Makes a fresh 16-byte id; ids of one process sort by the time they were made."""


def uuid7() -> bytes:
    """A UUIDv7 (RFC 9562, section 5.7) as 16 bytes: 48 bits of milliseconds, then randomness."""
    value = bytearray((time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(10))
    value[6] = (value[6] & 0x0F) | 0x70
    value[8] = (value[8] & 0x3F) | 0x80
    return bytes(value)


def made_at_us(value: bytes) -> int:
    """When a UUIDv7 was made, by the clock of who made it: the beginning of its millisecond."""
    return int.from_bytes(value[:6], "big") * 1000


def id_text(value: bytes) -> str:
    """The dashed form of a 16-byte id."""
    return str(uuid.UUID(bytes=value))
