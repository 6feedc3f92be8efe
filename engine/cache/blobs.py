"""Which blobs are kept near, and their bytes: what lies on the backend, so sealed blobs stay sealed here.

Bytes from here are verified as those of any piece are, so a damaged or cut file costs a read of the backend and nothing
else. Blobs never change: nothing here is ever out of date.
"""

import contextlib
import errno
import itertools
import os
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from engine.cache.folder import CacheFolder
from engine.cache.sweeping import CacheSweeper
from engine.errors import BackendUnavailable, PieceCorrupt
from engine.streams import FileRegion, WouldBlock

SEEN_COUNT_MAX = 65_536
"""Blobs of which a process knows that they were read once."""

FILLING_COUNT_MAX = 16
"""Blobs that a process writes here at a time."""

TOUCH_EVERY_S = 60.0
"""How exactly a file shows when it was used last."""

_NAME = "cache"
_NOT_NOW = (errno.EAGAIN, errno.EOPNOTSUPP)


@dataclass(slots=True, kw_only=True)
class CacheCounts:
    """Of one process since its start; threads that count at the same moment may lose one."""

    hit_count: int = 0
    hit_bytes: int = 0
    miss_count: int = 0
    filled_count: int = 0
    filled_bytes: int = 0
    evicted_bytes: int = 0
    failure_count: int = 0


class BlobCache:
    """The cache as the readers of one process see it. Safe for many threads; it never fails a read."""

    def __init__(self, folder: CacheFolder, *, blob_bytes_max: int, counts: CacheCounts) -> None:
        """Blobs larger than `blob_bytes_max`, or than the whole folder may be, are never kept."""
        self._folder = folder
        self._blob_bytes_max = min(blob_bytes_max, folder.size_bytes_max)
        self._lock = threading.Lock()
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._filling: set[bytes] = set()
        self._numbers = itertools.count()
        self._sweeper = CacheSweeper(folder, self._swept)
        self.counts = counts

    def open(self, blob_id: bytes, payload_bytes: int) -> "CachedBlob | None":
        """A blob's bytes; null when they are not here. The caller closes it."""
        try:
            fd = os.open(self._folder.path_of(blob_id), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self.counts.miss_count += 1
            return None
        seen = os.fstat(fd)
        if seen.st_size != payload_bytes:
            os.close(fd)
            self.drop(blob_id)
            return None
        if time.time() - seen.st_mtime > TOUCH_EVERY_S:
            with contextlib.suppress(OSError):
                os.utime(fd)
        self.counts.hit_count += 1
        self.counts.hit_bytes += payload_bytes
        return CachedBlob(fd, payload_bytes)

    def has(self, blob_id: bytes) -> bool:
        """Whether it is here now."""
        return self._folder.path_of(blob_id).exists()

    def drop(self, blob_id: bytes) -> None:
        """What is here under this id is not what it should be."""
        self.counts.failure_count += 1
        self._folder.drop(self._folder.path_of(blob_id))

    def begin(self, blob_id: bytes, payload_bytes: int) -> "CacheFill | None":
        """Keep a blob that is about to be read from its start, if it was read before; null when it is not worth it."""
        if payload_bytes > self._blob_bytes_max:
            return None
        with self._lock:
            if blob_id not in self._seen:
                self._seen[blob_id] = None
                if len(self._seen) > SEEN_COUNT_MAX:
                    self._seen.popitem(last=False)
                return None
            if blob_id in self._filling or len(self._filling) >= FILLING_COUNT_MAX:
                return None
            self._filling.add(blob_id)
        part = self._folder.part_of(blob_id, next(self._numbers))
        try:
            part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError:
            self.counts.failure_count += 1
            self._ended(blob_id)
            return None
        return CacheFill(self, blob_id, payload_bytes, part, fd)

    def _ended(self, blob_id: bytes) -> None:
        with self._lock:
            self._filling.discard(blob_id)

    def wait_for_room(self, timeout_s: float) -> bool:
        """Whether no sweep is under way any more."""
        return self._sweeper.wait(timeout_s)

    def _keep(self, part: Path, blob_id: bytes, size_bytes: int) -> None:
        try:
            taken = self._folder.take(part, self._folder.path_of(blob_id), size_bytes)
        except OSError:
            self.counts.failure_count += 1
            self._folder.drop(part)
            return
        if taken.is_kept:
            self.counts.filled_count += 1
            self.counts.filled_bytes += size_bytes
        else:
            # There will be room when it is read next.
            self._folder.drop(part)
        if taken.is_sweep_due:
            self._sweeper.wake(size_bytes)

    def _swept(self, gone_bytes: int | None) -> None:
        if gone_bytes is None:
            self.counts.failure_count += 1
        else:
            self.counts.evicted_bytes += gone_bytes


class CachedBlob:
    """An open file of the cache (`engine.backends.base.PieceReader`); one that is removed meanwhile reads on."""

    __slots__ = ("_fd", "_payload_bytes")

    def __init__(self, fd: int, payload_bytes: int) -> None:
        self._fd = fd
        self._payload_bytes = payload_bytes

    def read_into(self, offset: int, buffer: memoryview, /, *, nowait: bool = False) -> None:
        """Fill the whole buffer; raises PieceCorrupt (short), BackendUnavailable, WouldBlock with nowait."""
        try:
            count = os.preadv(self._fd, [buffer], offset, os.RWF_NOWAIT if nowait else 0)
        except OSError as error:
            if nowait and error.errno in _NOT_NOW:
                raise WouldBlock from None
            raise BackendUnavailable(f"reading failed: {error.strerror}", backend=_NAME) from error
        if count != len(buffer):
            if nowait:
                raise WouldBlock
            raise PieceCorrupt("the file ends within the blob", backend=_NAME)

    def is_under_way(self, offset: int, size_bytes: int, /) -> bool:
        return True

    def ask(self, offset: int, size_bytes: int, /, *, patience_s: float, is_all: bool = False) -> None:
        """Nothing to ask: the file is here."""

    def take(self, offset: int, length: int, /, *, pipe: object = None, nowait: bool = False) -> None:
        """What is kept is verified whenever it is read."""

    def region(self, offset: int, length: int, /) -> FileRegion:
        return FileRegion(fd=self._fd, offset=offset, length=length)

    def close(self) -> None:
        """A second call does nothing."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


class CacheFill:
    """A blob on its way into the cache beside its reader: all of it from the start, or nothing is kept."""

    def __init__(self, cache: BlobCache, blob_id: bytes, payload_bytes: int, part: Path, fd: int) -> None:
        self._cache = cache
        self._blob_id = blob_id
        self._payload_bytes = payload_bytes
        self._part = part
        self._fd = fd
        self._position = 0

    def verified(self, offset: int, payload: memoryview) -> None:
        """Stored bytes that were found good; those that do not follow the last ones are left out."""
        if offset != self._position or self._fd < 0:
            return
        try:
            count = os.write(self._fd, payload)
        except OSError:
            count = 0
        if count != len(payload):
            # The disk is full, most likely.
            self.close()
            return
        self._position += count
        if self._position == self._payload_bytes:
            os.close(self._fd)
            self._fd = -1
            self._cache._keep(self._part, self._blob_id, self._payload_bytes)
            self._cache._ended(self._blob_id)

    def close(self) -> None:
        """Give up what is not whole; a second call, or one after the end, does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._cache._folder.drop(self._part)
            self._cache._ended(self._blob_id)
