"""How bytes cross the engine's border: bodies come in through `BodySource`, regions go out through `RegionSource`."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol


class ChecksumAlgorithm(Enum):
    """The additional checksums of S3; the value is the name on the wire."""

    CRC32 = "CRC32"
    CRC32C = "CRC32C"
    CRC64NVME = "CRC64NVME"
    SHA1 = "SHA1"
    SHA256 = "SHA256"


class ChecksumType(Enum):
    """What a stored checksum covers (S3 API, ChecksumType)."""

    FULL_OBJECT = "FULL_OBJECT"
    COMPOSITE = "COMPOSITE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksum:
    """One additional checksum: raw digest bytes, big-endian for CRCs; `part_count` stands in a composite's `-N`."""

    algorithm: ChecksumAlgorithm
    digest: bytes
    type: ChecksumType = ChecksumType.FULL_OBJECT
    part_count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedDigests:
    """What the sender said about the plaintext; the engine compares before anything becomes visible.

    `md5` comes from Content-MD5, `sha256` from x-amz-content-sha256, `checksum` from a header or a trailer.
    """

    md5: bytes | None = None
    sha256: bytes | None = None
    checksum: Checksum | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestPlan:
    """Which digests to compute while the body streams. MD5 is always computed: it is the ETag."""

    sha256: bool = False
    checksums: Sequence[ChecksumAlgorithm] = field(default=())


class BodySource(Protocol):
    """A request's plaintext, read once from start to end.

    `readinto` fills at most the buffer and returns the count, 0 exactly at the end of the announced size;
    it raises what the wire found (an incomplete body, a bad chunk signature, a deadline). `finish` is called once
    after the end and returns what the sender promised, trailers included.
    """

    size_bytes: int
    plan: DigestPlan

    def readinto(self, buffer: memoryview, /) -> int: ...

    def finish(self) -> ExpectedDigests: ...


class OpenEndedBody(BodySource, Protocol):
    """A body whose size shows only near its end.

    It has at least `certain_bytes`, which are read first. Then `settle` finds how many are left to read, and may hold
    them. `size_bytes` is the most it can have until then, and its size from then on.
    """

    certain_bytes: int

    def settle(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRegion:
    """Bytes of an open file, which may go out by sendfile until the next region is asked for.

    `is_read`: they were read and verified just now. Others nobody has looked at: to send them may wait for a disk.
    """

    fd: int
    offset: int
    length: int
    is_read: bool = True

    def is_in_memory(self, sent_bytes: int = 0) -> bool:
        """Whether what is left of it can be sent without a disk, as far as its first and last byte tell."""
        for offset in (self.offset + sent_bytes, self.offset + self.length - 1):
            try:
                if os.preadv(self.fd, [bytearray(1)], offset, os.RWF_NOWAIT) != 1:
                    return False
            except OSError:
                return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class PipeRegion:
    """Bytes in a pipe, unverified: all of them leave by splice before the next region is asked for, or none will."""

    fd: int
    length: int


Region = FileRegion | PipeRegion | memoryview


def region_bytes(region: Region) -> int:
    return len(region) if isinstance(region, memoryview) else region.length


class WouldBlock(Exception):
    """The next region is not in memory; ask again from a thread that may wait. Nothing was consumed."""


class RegionSource(Protocol):
    """A response body: its regions, in order, verified unless a backend's settings say otherwise.

    `next_region` returns None exactly once all `remaining_bytes` went out; a memoryview is valid until the next call.
    With `nowait` it raises `WouldBlock` instead of waiting for a disk or a backend. Any other exception means the
    body cannot go on: the connection is cut, never ended cleanly. `close` is always called, by the server.

    `unsent` takes back the last `left_bytes` of the region given out last, whose file does not give them: `error` is
    what reading it failed with, null: the file ended. They come again, from elsewhere, or `next_region` says why not.
    """

    remaining_bytes: int

    def next_region(self, *, nowait: bool = False) -> Region | None: ...

    def unsent(self, left_bytes: int, error: OSError | None, /) -> None: ...

    def close(self) -> None: ...
