"""Bodies going in and regions coming out, without a server."""

import os
import random
from collections.abc import Iterator, Sequence

from engine.streams import (
    ChecksumAlgorithm,
    DigestPlan,
    ExpectedDigests,
    FileRegion,
    PipeRegion,
    Region,
    RegionSource,
)


class BytesBody:
    """Implements `engine.streams.BodySource` over bytes; gives at most `step_bytes` at a time.

    `fail_after` bytes it raises `error`, as a body whose client went away does.
    """

    def __init__(
        self,
        data: bytes,
        *,
        checksums: Sequence[ChecksumAlgorithm] = (),
        sha256: bool = False,
        expected: ExpectedDigests | None = None,
        announced_bytes: int | None = None,
        step_bytes: int = 100_000,
        fail_after: int | None = None,
        error: Exception | None = None,
    ) -> None:
        self.size_bytes = len(data) if announced_bytes is None else announced_bytes
        self.plan = DigestPlan(sha256=sha256, checksums=tuple(checksums))
        self.read_count = 0
        self._data = memoryview(data)
        self._expected = expected or ExpectedDigests()
        self._step_bytes = step_bytes
        self._fail_after = fail_after
        self._error = error
        self._given_bytes = 0

    def readinto(self, buffer: memoryview, /) -> int:
        self.read_count += 1
        if self._fail_after is not None and self._given_bytes >= self._fail_after:
            assert self._error is not None
            raise self._error
        count = min(len(buffer), len(self._data), self._step_bytes)
        buffer[:count] = self._data[:count]
        self._data = self._data[count:]
        self._given_bytes += count
        return count

    def finish(self) -> ExpectedDigests:
        return self._expected


class GeneratedBody:
    """A body of any size that is nowhere in memory: one random megabyte over and over."""

    def __init__(self, size_bytes: int, *, seed: int = 0) -> None:
        self.size_bytes = size_bytes
        self.plan = DigestPlan()
        self._pattern = memoryview(random.Random(seed).randbytes(1024 * 1024))
        self._position = 0

    def readinto(self, buffer: memoryview, /) -> int:
        start = self._position % len(self._pattern)
        count = min(len(buffer), self.size_bytes - self._position, len(self._pattern) - start)
        buffer[:count] = self._pattern[start : start + count]
        self._position += count
        return count

    def finish(self) -> ExpectedDigests:
        return ExpectedDigests()


def bytes_of(region: Region) -> bytes:
    """What a server would send; a pipe is empty then."""
    if isinstance(region, FileRegion):
        return os.pread(region.fd, region.length, region.offset)
    if isinstance(region, PipeRegion):
        return os.read(region.fd, region.length)
    return bytes(region)


def regions_of(source: RegionSource, *, nowait: bool = False) -> Iterator[bytes]:
    """The regions of a response body as a server would send them; closed at the end."""
    try:
        while True:
            region = source.next_region(nowait=nowait)
            if region is None:
                return
            yield bytes_of(region)
    finally:
        source.close()
