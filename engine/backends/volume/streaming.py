"""A volume that takes streams: each reserves its extent, writes it through its own descriptor, and syncs as it goes."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from engine.backends.base import PieceTail, StoredPiece
from engine.backends.volume.disk import Disk
from engine.backends.volume.faults import backend_fault, is_no_room
from engine.backends.volume.files import LockedVolume
from engine.backends.volume.format import (
    FILE_BLOCK_BYTES,
    RECORD_HEADER_BYTES,
    RecordHeader,
    VolumeKey,
    align,
    crc_bytes,
    extent_of,
    write_record_header,
    write_storage_key,
    write_tail,
)
from engine.errors import BackendUnavailable
from engine.names import BackendName
from engine.units import MIB

WRITEBACK_STRIDE_BYTES = 8 * MIB
"""A stream hands its dirty pages to the disk in strides of this size, and never has more than two of them dirty."""


class StreamVolume:
    """Extents of one locked file, for several streams at once. Safe for many threads.

    Every extent starts in a fresh file block, so streams never share one.
    """

    def __init__(
        self,
        locked: LockedVolume,
        *,
        backend: BackendName,
        size_max_bytes: int,
        on_drained: Callable[["StreamVolume", int], None],
        disk: Disk,
    ) -> None:
        """`on_drained(volume, size_bytes)` is called once, when a retired volume's last stream has ended."""
        self._locked = locked
        self._backend = backend
        self._size_max_bytes = size_max_bytes
        self._on_drained = on_drained
        self._disk = disk

        self._lock = threading.Lock()
        self._tail = align(locked.size_bytes, FILE_BLOCK_BYTES)
        self._stream_count = 0
        self._is_retired = False
        self._poison: OSError | None = None

    @property
    def volume_id(self) -> bytes:
        return self._locked.volume_id

    @property
    def is_poisoned(self) -> bool:
        return self._poison is not None

    def begin(self, payload_bytes: int, card_bytes_max: int) -> "StreamWriter | None":
        """Reserve an extent and write its header; null when the volume takes no more.

        Raises BackendFull, BackendUnavailable.
        """
        header = RecordHeader(
            payload_bytes=payload_bytes, extent_bytes=extent_of(payload_bytes, card_bytes_max)
        )
        with self._lock:
            if self._is_retired or self._poison is not None or self._tail >= self._size_max_bytes:
                return None
            offset = self._tail
            self._tail = align(offset + header.extent_bytes, FILE_BLOCK_BYTES)
            self._stream_count += 1
        try:
            # A descriptor of its own: the kernel reports a failed writeback once to each, so no stream misses its own.
            fd = os.open(self._locked.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            self.leave()
            raise backend_fault(error, backend=self._backend, doing="opening a volume failed") from error
        writer = StreamWriter(
            self,
            fd=fd,
            offset=offset,
            header=header,
            card_bytes_max=card_bytes_max,
            disk=self._disk,
        )
        writer.begin()
        return writer

    def poison(self, error: OSError) -> None:
        """Close the volume for good: streams that have not finished fail."""
        with self._lock:
            self._poison = self._poison or error

    def check(self) -> None:
        """Raise BackendUnavailable once the volume is poisoned."""
        if self._poison is not None:
            raise BackendUnavailable("a sync failed and the volume is closed for good", backend=self._backend)

    def retire(self) -> None:
        """Begin no more streams; the lock is given up when the last one has ended."""
        with self._lock:
            was_retired, self._is_retired = self._is_retired, True
            is_drained = not was_retired and self._stream_count == 0
        if is_drained:
            self._drain()

    def leave(self) -> None:
        """One stream has ended, well or badly."""
        with self._lock:
            self._stream_count -= 1
            is_drained = self._is_retired and self._stream_count == 0
        if is_drained:
            self._drain()

    @property
    def backend(self) -> BackendName:
        return self._backend

    @property
    def key(self) -> VolumeKey:
        return self._locked.key

    @property
    def path(self) -> Path:
        return self._locked.path

    def _drain(self) -> None:
        size_bytes = os.fstat(self._locked.fd).st_size
        self._locked.close()
        self._on_drained(self, size_bytes)


class StreamWriter:
    """One record being written (`engine.backends.base.PieceWriter`). For one thread at a time."""

    def __init__(
        self,
        volume: StreamVolume,
        *,
        fd: int,
        offset: int,
        header: RecordHeader,
        card_bytes_max: int,
        disk: Disk,
    ) -> None:
        self._volume = volume
        self._fd = fd
        self._offset = offset
        self._header = header
        self._card_bytes_max = card_bytes_max
        self._disk = disk
        self._position = offset + RECORD_HEADER_BYTES
        self._payload_stop = self._position + header.payload_bytes
        self._started_through = offset
        self._is_open = True

    def begin(self) -> None:
        """Allocate the extent's blocks and write the header, so that a full disk is known before a byte is received."""
        try:
            self._disk.reserve(self._fd, self._offset, self._header.extent_bytes)
            self._disk.write(
                self._fd, (write_record_header(self._volume.key, self._offset, self._header),), self._offset
            )
        except OSError as error:
            self._fail(error, is_suspect=not is_no_room(error))

    def write(self, payload: memoryview, /) -> None:
        """Append payload; raises BackendFull, BackendUnavailable. The buffer may be reused at return."""
        self._check_open()
        if self._position + len(payload) > self._payload_stop:
            raise ValueError(
                f"more than the {self._header.payload_bytes} payload bytes the extent was reserved for"
            )
        try:
            self._position = self._disk.write(self._fd, (payload,), self._position)
        except OSError as error:
            self._fail(error, is_suspect=not is_no_room(error))
        try:
            while self._position - self._started_through >= WRITEBACK_STRIDE_BYTES:
                self._write_back_stride()
        except OSError as error:
            self._fail(error, is_suspect=True)

    def finish(self, tail: PieceTail, /) -> StoredPiece:
        """Write the tail and sync; the piece is durable at return. Raises BackendFull, BackendUnavailable."""
        if self._position != self._payload_stop:
            raise ValueError(f"{self._payload_stop - self._position} payload bytes are missing")
        if (
            len(tail.block_crcs) != crc_bytes(self._header.payload_bytes)
            or len(tail.card) > self._card_bytes_max
        ):
            raise ValueError("the tail is not the one the extent was reserved for")
        self._check_open()
        try:
            rest = write_tail(
                self._volume.key, self._offset, self._header, block_crcs=tail.block_crcs, card=tail.card
            )
            self._disk.write(self._fd, (rest,), self._position)
        except OSError as error:
            self._fail(error, is_suspect=not is_no_room(error))
        try:
            self._disk.sync(self._fd)
        except OSError as error:
            self._fail(error, is_suspect=True)
        # Another stream's failed sync may have been about our pages, whatever our own one answered.
        self._volume.check()
        self._end()
        return StoredPiece(
            storage_key=write_storage_key(self._volume.volume_id, self._offset),
            stored_bytes=self._header.extent_bytes,
            barrier=None,
        )

    def abort(self) -> None:
        """Give the attempt up and its blocks back to the file system; the extent is dead space. Never raises."""
        if not self._is_open:
            return
        stop = self._offset + self._header.extent_bytes
        start = align(self._offset + RECORD_HEADER_BYTES, FILE_BLOCK_BYTES)
        try:
            # Blocks set aside behind the end of file cannot be punched. A zero at the extent's end moves it, whereas
            # ftruncate could cut off what another stream has just written.
            if os.fstat(self._fd).st_size < stop:
                self._disk.write(self._fd, (b"\0",), stop - 1)
            whole = stop // FILE_BLOCK_BYTES * FILE_BLOCK_BYTES - start
            if whole > 0:
                self._disk.punch(self._fd, start, whole)
        except OSError:
            pass  # The space comes back with compaction.
        self._end()

    def _write_back_stride(self) -> None:
        self._disk.start_writeback(self._fd, self._started_through, WRITEBACK_STRIDE_BYTES)
        before = self._started_through - WRITEBACK_STRIDE_BYTES
        if before >= self._offset:
            self._disk.finish_writeback(self._fd, before, WRITEBACK_STRIDE_BYTES)
        self._started_through += WRITEBACK_STRIDE_BYTES

    def _check_open(self) -> None:
        if not self._is_open:
            raise BackendUnavailable("the stream has ended", backend=self._volume.backend)
        self._volume.check()

    def _fail(self, error: OSError, *, is_suspect: bool) -> NoReturn:
        # A write refused for want of room spoils this stream alone; a failed sync may have lost anybody's pages.
        if is_suspect:
            self._volume.poison(error)
        self.abort()
        raise backend_fault(error, backend=self._volume.backend, doing="writing a stream failed") from error

    def _end(self) -> None:
        self._is_open = False
        os.close(self._fd)
        self._volume.leave()
