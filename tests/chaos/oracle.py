"""What clients were told: from it follows what a store may answer after any crash."""

import hashlib
import random
from dataclasses import dataclass, field

Value = bytes | None
"""Content of a key; null: there is none."""


def payload(seed: str, size_bytes: int) -> bytes:
    """Bytes that name themselves: a mix of two objects, or of an object with anything else, is recognised."""
    head = seed.encode() + b"\n"
    body = random.Random(seed).randbytes(max(0, size_bytes - len(head)))
    return (head + body)[:size_bytes]


def digest(value: Value) -> str:
    return "absent" if value is None else f"{len(value)}:{hashlib.sha256(value).hexdigest()[:16]}"


@dataclass(slots=True)
class KeyHistory:
    """One key, written by one client at a time: what was acknowledged last, and what may have happened since."""

    acknowledged: str = "absent"
    possible: set[str] = field(default_factory=set)

    def begins(self, value: Value) -> None:
        """A change was sent; until its answer comes it may take effect at any time."""
        self.possible.add(digest(value))

    def acknowledges(self, value: Value) -> None:
        """The change was answered 2xx: it is the state, and everything before is over."""
        self.acknowledged = digest(value)
        self.possible.clear()

    def refuses(self, value: Value) -> None:
        """The change was answered 4xx or 503 before anything was done: it never takes effect."""
        self.possible.discard(digest(value))

    def observes(self, value: Value) -> str | None:
        """A read after recovery: null if it may be so, otherwise what is wrong. From then on it is the state."""
        seen = digest(value)
        if seen != self.acknowledged and seen not in self.possible:
            allowed = sorted({self.acknowledged, *self.possible})
            return f"read {seen}, allowed were {allowed}"
        self.acknowledged = seen
        self.possible.clear()
        return None
