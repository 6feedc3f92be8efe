"""The Linux calls Python's os module lacks: fallocate with its flags, and sync_file_range."""

import ctypes
import errno
import os
from collections.abc import Callable

_FALLOC_FL_KEEP_SIZE = 0x01
_FALLOC_FL_PUNCH_HOLE = 0x02

_SYNC_FILE_RANGE_WAIT_BEFORE = 1
_SYNC_FILE_RANGE_WRITE = 2
_SYNC_FILE_RANGE_WAIT_AFTER = 4

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
_libc.sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)

_UNSUPPORTED = (errno.EOPNOTSUPP, errno.ENOSYS)


def reserve_blocks(fd: int, offset: int, length: int) -> None:
    """Allocate blocks for the range, the file's size unchanged; nothing where that is not supported. Raises OSError."""
    try:
        _call(lambda: _libc.fallocate(fd, _FALLOC_FL_KEEP_SIZE, offset, length))
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise


def punch_hole(fd: int, offset: int, length: int) -> bool:
    """Give the range's blocks back; it reads as zero from then on. False where the file system cannot."""
    try:
        _call(lambda: _libc.fallocate(fd, _FALLOC_FL_PUNCH_HOLE | _FALLOC_FL_KEEP_SIZE, offset, length))
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        return False
    return True


def start_writeback(fd: int, offset: int, length: int) -> None:
    """Begin to write the range's dirty pages and return; raises OSError as fsync does."""
    _call(lambda: _libc.sync_file_range(fd, offset, length, _SYNC_FILE_RANGE_WRITE))


def finish_writeback(fd: int, offset: int, length: int) -> None:
    """Write the range's dirty pages and wait for them. No durability: metadata and device caches are not flushed."""
    flags = _SYNC_FILE_RANGE_WAIT_BEFORE | _SYNC_FILE_RANGE_WRITE | _SYNC_FILE_RANGE_WAIT_AFTER
    _call(lambda: _libc.sync_file_range(fd, offset, length, flags))


def _call(function: Callable[[], int]) -> None:
    while function() != 0:
        number = ctypes.get_errno()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))
