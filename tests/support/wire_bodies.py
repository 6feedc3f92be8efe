"""Request bodies as the wire brings them: in pieces of any size, ending when they end."""

import itertools
from collections.abc import Iterable
from typing import Protocol


class Readable(Protocol):
    """Anything that is read like a body."""

    def readinto(self, buffer: memoryview, /) -> int: ...


class BytesBody:
    """A raw body of known bytes that arrives in pieces of at most `piece_sizes`, over and over."""

    def __init__(
        self, raw: bytes, *, piece_sizes: Iterable[int] = (1 << 30,), size_bytes: int | None = -1
    ) -> None:
        self._raw = memoryview(raw)
        self._pieces = itertools.cycle(piece_sizes)
        self._size_bytes = len(raw) if size_bytes == -1 else size_bytes

    @property
    def size_bytes(self) -> int | None:
        return self._size_bytes

    @property
    def left_bytes(self) -> int:
        return len(self._raw)

    def readinto(self, buffer: memoryview, /) -> int:
        count = min(len(buffer), len(self._raw), next(self._pieces))
        buffer[:count] = self._raw[:count]
        self._raw = self._raw[count:]
        return count


def read_all(body: Readable, *, buffer_bytes: int = 4096, size_bytes_max: int = 1 << 26) -> bytes:
    """Read to the end through one small buffer."""
    read = bytearray()
    buffer = memoryview(bytearray(buffer_bytes))
    while count := body.readinto(buffer):
        read += buffer[:count]
        assert len(read) <= size_bytes_max
    return bytes(read)
