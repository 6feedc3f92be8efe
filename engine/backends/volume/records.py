"""Single records of a volume file, found by their offset and authenticated by their MACs: reading and freeing them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.backends.volume.disk import Disk
from engine.backends.volume.files import read_key, volume_path
from engine.backends.volume.format import (
    FILE_BLOCK_BYTES,
    RECORD_HEADER_BYTES,
    NotARecord,
    RecordHeader,
    VolumeKey,
    align,
    read_record_header,
    read_tail,
    tail_bytes,
)
from engine.units import KIB

PUNCH_MIN_BYTES = 64 * KIB
"""Least run of blocks worth a hole; smaller records wait for compaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecord:
    """A complete record: what its header, trailer, checksums and card say. The payload is not part of it."""

    offset: int
    payload_bytes: int
    extent_bytes: int
    block_crcs: bytes
    card: bytes

    @property
    def payload_start(self) -> int:
        return self.offset + RECORD_HEADER_BYTES


def read_record(directory: Path, volume_id: bytes, offset: int) -> StoredRecord:
    """The complete record at `offset`; raises FileNotFoundError, NotARecord, OSError."""
    with _open_volume(directory, volume_id, os.O_RDONLY) as fd:
        return read_record_at(fd, read_key(fd, volume_id), offset)


def read_record_at(fd: int, key: VolumeKey, offset: int) -> StoredRecord:
    """The complete record at `offset` of an open file; raises NotARecord, OSError."""
    header = read_record_header(key, offset, os.pread(fd, RECORD_HEADER_BYTES, offset))
    return read_record_tail(fd, key, offset, header)


def read_record_tail(fd: int, key: VolumeKey, offset: int, header: RecordHeader) -> StoredRecord:
    """The record at `offset` whose lengths are known; raises NotARecord unless its trailer verifies, OSError."""
    raw = os.pread(fd, tail_bytes(header), offset + RECORD_HEADER_BYTES + header.payload_bytes)
    trailer, block_crcs, card = read_tail(key, offset, raw)
    if (trailer.payload_bytes, trailer.extent_bytes) != (header.payload_bytes, header.extent_bytes):
        raise NotARecord
    return StoredRecord(
        offset=offset,
        payload_bytes=header.payload_bytes,
        extent_bytes=header.extent_bytes,
        block_crcs=block_crcs,
        card=card,
    )


def free_payload(disk: Disk, directory: Path, volume_id: bytes, offset: int, stored_bytes: int) -> int:
    """Punch the file blocks that lie wholly inside the record's payload; the bytes given back.

    No other record's block is ever touched. Safe to repeat.
    Raises FileNotFoundError, NotARecord when no record of exactly that extent verifies at `offset`, OSError.
    """
    with _open_volume(directory, volume_id, os.O_RDWR) as fd:
        key = read_key(fd, volume_id)
        header = read_record_header(key, offset, os.pread(fd, RECORD_HEADER_BYTES, offset))
        if header.extent_bytes != stored_bytes:
            raise NotARecord
        start = align(offset + RECORD_HEADER_BYTES, FILE_BLOCK_BYTES)
        stop = (offset + RECORD_HEADER_BYTES + header.payload_bytes) // FILE_BLOCK_BYTES * FILE_BLOCK_BYTES
        if stop - start < PUNCH_MIN_BYTES:
            return 0
        before = os.fstat(fd)
        if not disk.punch(fd, start, stop - start):
            return 0
        # A hole is nothing written: compaction waits until nobody has written to a file for a while. Nothing else goes
        # by this time, and of a file that somebody writes to now the next write tells it again.
        os.utime(fd, ns=(before.st_atime_ns, before.st_mtime_ns))
        return stop - start


@contextmanager
def _open_volume(directory: Path, volume_id: bytes, mode: int) -> Iterator[int]:
    fd = os.open(volume_path(directory, volume_id), mode | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        yield fd
    finally:
        os.close(fd)
