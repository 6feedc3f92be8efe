"""Every call that changes a volume file or makes it durable, in one place, so that a test can make each fail."""

import ctypes
import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

Buffer = bytes | memoryview

_FALLOC_FL_KEEP_SIZE = 0x01
_FALLOC_FL_PUNCH_HOLE = 0x02

_SYNC_FILE_RANGE_WAIT_BEFORE = 1
_SYNC_FILE_RANGE_WRITE = 2
_SYNC_FILE_RANGE_WAIT_AFTER = 4

_UNSUPPORTED = (errno.EOPNOTSUPP, errno.ENOSYS)


class Disk(Protocol):
    """The calls. All raise OSError; after one that syncs has failed, nothing written before may be counted on."""

    def write(self, fd: int, parts: Sequence[Buffer], offset: int, /) -> int:
        """Write the parts one behind the other; the offset behind them. Some may be written when it raises."""

    def sync(self, fd: int, /) -> None:
        """Make the file's data durable, and its size if that grew."""

    def sync_directory(self, directory: Path, /) -> None:
        """Make names added to or removed from the directory durable."""

    def start_writeback(self, fd: int, offset: int, length: int, /) -> None:
        """Begin to write the range's dirty pages and return."""

    def finish_writeback(self, fd: int, offset: int, length: int, /) -> None:
        """Write the range's dirty pages and wait. Not durable: metadata and device caches are not flushed."""

    def reserve(self, fd: int, offset: int, length: int, /) -> None:
        """Allocate blocks for the range, the file's size unchanged; nothing where that is not supported."""

    def punch(self, fd: int, offset: int, length: int, /) -> bool:
        """Give the range's blocks back; it reads as zero from then on. False where the file system cannot."""


class LinuxDisk:
    """The kernel's calls; fallocate and sync_file_range through libc, since Python's os module lacks them."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
        self._libc.sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)

    def write(self, fd: int, parts: Sequence[Buffer], offset: int, /) -> int:
        left = [memoryview(part) for part in parts if len(part) > 0]
        while left:
            count = os.pwritev(fd, left, offset)
            offset += count
            # A short write is legal: a signal came, or the disk is almost full and the next call says so.
            while left and count >= len(left[0]):
                count -= len(left.pop(0))
            if count > 0:
                left[0] = left[0][count:]
        return offset

    def sync(self, fd: int, /) -> None:
        os.fdatasync(fd)

    def sync_directory(self, directory: Path, /) -> None:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def start_writeback(self, fd: int, offset: int, length: int, /) -> None:
        _call(lambda: self._libc.sync_file_range(fd, offset, length, _SYNC_FILE_RANGE_WRITE))

    def finish_writeback(self, fd: int, offset: int, length: int, /) -> None:
        flags = _SYNC_FILE_RANGE_WAIT_BEFORE | _SYNC_FILE_RANGE_WRITE | _SYNC_FILE_RANGE_WAIT_AFTER
        _call(lambda: self._libc.sync_file_range(fd, offset, length, flags))

    def reserve(self, fd: int, offset: int, length: int, /) -> None:
        self._fallocate(fd, _FALLOC_FL_KEEP_SIZE, offset, length)

    def punch(self, fd: int, offset: int, length: int, /) -> bool:
        return self._fallocate(fd, _FALLOC_FL_PUNCH_HOLE | _FALLOC_FL_KEEP_SIZE, offset, length)

    def _fallocate(self, fd: int, mode: int, offset: int, length: int) -> bool:
        try:
            _call(lambda: self._libc.fallocate(fd, mode, offset, length))
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            return False
        return True


def _call(function: Callable[[], int]) -> None:
    while function() != 0:
        number = ctypes.get_errno()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))
