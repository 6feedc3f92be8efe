"""Walking a volume file without the metadata: which records stand, which are torn, what is not understood.

For fsck and rebuild only; no start depends on it. Only headers and tails are read, and what lies between records.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from engine.backends.volume.files import read_header
from engine.backends.volume.format import (
    ALIGNMENT_BYTES,
    FIRST_RECORD_OFFSET,
    RECORD_HEADER_BYTES,
    RECORD_MAGIC,
    TRAILER_BYTES,
    TRAILER_MAGIC,
    NotARecord,
    RecordHeader,
    VolumeHeader,
    VolumeKey,
    read_record_header,
    read_trailer,
)
from engine.backends.volume.records import StoredRecord, read_record_tail
from engine.units import MIB

_WINDOW_BYTES = MIB

TRAILER_TRIES_MAX = 4096
"""Trailers that may fail to verify before a scan looks for headers alone: a payload may be full of them."""


class FoundState(Enum):
    """What a scan can tell of a record without looking at its payload."""

    COMPLETE = "complete"
    HEADER_DAMAGED = "header damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRecord:
    """A record whose trailer verifies: the writer finished it."""

    record: StoredRecord
    state: FoundState


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTorn:
    """A header without its trailer: an extent reserved and never finished, or a damaged tail.

    `length` reaches to the next record or the extent's end, whichever comes first, and never past the file's end.
    """

    offset: int
    length: int
    payload_bytes: int
    extent_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundGap:
    """Bytes between records. `is_zero`: never written, filled ahead or padding; else not understood, and kept."""

    offset: int
    length: int
    is_zero: bool


Found = FoundRecord | FoundTorn | FoundGap


def end_of(found: Found) -> int:
    """Where in the file what comes next begins: a `start` for another scan."""
    if isinstance(found, FoundRecord):
        return found.record.offset + found.record.extent_bytes
    return found.offset + found.length


def scan_volume(path: Path, volume_id: bytes, *, start: int = FIRST_RECORD_OFFSET) -> Iterator[Found]:
    """Everything behind the volume header, in file order and without overlap. Raises NotARecord, OSError.

    `start` is where something that an earlier scan found ended.
    NotARecord: neither copy of the volume header verifies, so nothing in the file can be told from noise.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        yield from _Scan(fd, read_header(fd, volume_id)).walk(start)
    finally:
        os.close(fd)


class _Scan:
    def __init__(self, fd: int, header: VolumeHeader) -> None:
        self._fd = fd
        self._key: VolumeKey = header.key
        self._size_bytes = os.fstat(fd).st_size
        self._trailer_tries_left = TRAILER_TRIES_MAX

    def walk(self, start: int) -> Iterator[Found]:
        at = start
        while at < self._size_bytes:
            offset, found = self._find(at, self._size_bytes)
            if offset > at:
                yield FoundGap(offset=at, length=offset - at, is_zero=self._is_zero(at, offset))
            at = offset
            if isinstance(found, FoundRecord):
                yield found
                at += found.record.extent_bytes
            elif found is not None:
                torn = self._torn(at, found)
                yield torn
                at += torn.length

    def _torn(self, offset: int, header: RecordHeader) -> FoundTorn:
        stop = min(offset + header.extent_bytes, self._size_bytes)
        # The next writer began at the end of file as it was after the crash, which may lie within this extent.
        next_offset, _ = self._find(offset + RECORD_HEADER_BYTES, stop)
        return FoundTorn(
            offset=offset,
            length=next_offset - offset,
            payload_bytes=header.payload_bytes,
            extent_bytes=header.extent_bytes,
        )

    def _find(self, start: int, stop: int) -> tuple[int, FoundRecord | RecordHeader | None]:
        """The first record that begins in [start, stop), or `stop` and nothing."""
        at = start
        while at < stop:
            data_at = self._skip_hole(at)
            if data_at >= stop:
                break
            at = max(at, data_at // ALIGNMENT_BYTES * ALIGNMENT_BYTES)
            window = os.pread(self._fd, _WINDOW_BYTES, at)
            for position, is_header in _candidates(window):
                raw = window[position : position + RECORD_HEADER_BYTES]
                found = (
                    self._record_at(at + position, raw)
                    if is_header
                    else self._record_before(at + position, raw)
                )
                offset = found.record.offset if isinstance(found, FoundRecord) else at + position
                if found is not None and start <= offset < stop:
                    return offset, found
            if not window:
                break
            at += _WINDOW_BYTES
        return stop, None

    def _is_zero(self, start: int, stop: int) -> bool:
        at = start
        while at < stop:
            at = max(at, self._skip_hole(at))
            if at >= stop:
                break
            window = os.pread(self._fd, min(_WINDOW_BYTES, stop - at), at)
            if window.count(0) != len(window):
                return False
            if not window:
                break
            at += len(window)
        return True

    def _record_at(self, offset: int, raw: bytes) -> FoundRecord | RecordHeader | None:
        try:
            header = read_record_header(self._key, offset, raw)
        except NotARecord:
            return None
        try:
            record = read_record_tail(self._fd, self._key, offset, header)
        except NotARecord:
            return header
        return FoundRecord(record=record, state=FoundState.COMPLETE)

    def _record_before(self, trailer_offset: int, raw: bytes) -> FoundRecord | None:
        """The record that ends with a trailer nobody's header led to."""
        if self._trailer_tries_left == 0:
            return None
        try:
            trailer = read_trailer(raw)
            offset = trailer_offset + TRAILER_BYTES - trailer.extent_bytes
            if offset < FIRST_RECORD_OFFSET:
                return None
            header = RecordHeader(payload_bytes=trailer.payload_bytes, extent_bytes=trailer.extent_bytes)
            self._trailer_tries_left -= 1
            record = read_record_tail(self._fd, self._key, offset, header)
        except NotARecord:
            return None
        self._trailer_tries_left += 1
        return FoundRecord(record=record, state=FoundState.HEADER_DAMAGED)

    def _skip_hole(self, at: int) -> int:
        try:
            return os.lseek(self._fd, at, os.SEEK_DATA)
        except OSError:
            # ENXIO: only a hole is left. A file system without holes answers with `at` itself.
            return self._size_bytes


def _candidates(window: bytes) -> Iterator[tuple[int, bool]]:
    """Aligned positions of whole header-sized runs that begin with a magic, in order; true for a record's header."""
    headers = _aligned(window, RECORD_MAGIC)
    trailers = _aligned(window, TRAILER_MAGIC)
    header_at, trailer_at = next(headers, None), next(trailers, None)
    while header_at is not None or trailer_at is not None:
        if trailer_at is None or (header_at is not None and header_at < trailer_at):
            assert header_at is not None
            yield header_at, True
            header_at = next(headers, None)
        else:
            yield trailer_at, False
            trailer_at = next(trailers, None)


def _aligned(window: bytes, magic: bytes) -> Iterator[int]:
    at = window.find(magic)
    while at != -1:
        if at % ALIGNMENT_BYTES == 0 and at + RECORD_HEADER_BYTES <= len(window):
            yield at
        at = window.find(magic, at + 1)
