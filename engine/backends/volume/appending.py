"""A volume that takes small pieces: one write each, one sync for all that were written before it."""

import os
import threading
import time
from dataclasses import dataclass

from engine.backends.volume.disk import Disk
from engine.backends.volume.faults import backend_fault, is_no_room
from engine.backends.volume.files import LockedVolume
from engine.backends.volume.format import (
    FILE_BLOCK_BYTES,
    RecordHeader,
    align,
    extent_of,
    write_record_header,
    write_storage_key,
    write_tail,
)
from engine.errors import BackendError, BackendTimeout
from engine.names import BackendName
from engine.units import MIB

FILL_BYTES = MIB
"""How far ahead of the tail a file is filled with zeros.

A sync that overwrites written blocks needs no journal commit: 85 us against 165 us for a 4 KiB append
(ext4, virtio disk).
A process that takes the file over begins behind the filling, which then is dead space.
"""

SYNC_WAIT_S = 60.0
"""How long a caller waits for another thread's sync or writes before it calls the outcome unknown."""

_ZEROS = bytes(FILL_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendBarrier:
    """Stands for an append until a sync that began after it has succeeded; many share one sync."""

    volume: "AppendVolume"
    epoch: int

    def sync(self) -> None:
        """Return once the append is on stable storage; raises BackendError when it never will be."""
        self.volume.sync_through(self.epoch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """A piece written and not yet synced."""

    storage_key: str
    stored_bytes: int
    barrier: AppendBarrier


class AppendVolume:
    """Appends and group sync of one locked file. Safe for many threads.

    Appends belong to an *epoch*. A sync closes the current epoch, waits for the writes of it that are under way, and
    syncs; what is appended meanwhile belongs to the next epoch and starts in a fresh file block. So no block that
    holds acknowledged bytes is written again, and every append of an epoch is settled by one sync.
    """

    def __init__(
        self,
        locked: LockedVolume,
        *,
        backend: BackendName,
        size_max_bytes: int,
        disk: Disk,
        fill_bytes: int = FILL_BYTES,
    ) -> None:
        self._locked = locked
        self._backend = backend
        self._size_max_bytes = size_max_bytes
        self._disk = disk
        self._fill_bytes = min(fill_bytes, FILL_BYTES)

        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._tail = align(locked.size_bytes, FILE_BLOCK_BYTES)
        self._filled_through = self._tail
        self._epoch = 1
        self._synced_epoch = 0
        self._writes_under_way: dict[int, int] = {}
        self._is_syncing = False
        self._is_retired = False
        self._closed_at_bytes: int | None = None
        self._poison: OSError | None = None

    @property
    def volume_id(self) -> bytes:
        return self._locked.volume_id

    @property
    def is_poisoned(self) -> bool:
        return self._poison is not None

    def append(self, payload: memoryview, *, block_crcs: bytes, card: bytes) -> Appended | None:
        """Write one record; null when the volume takes no more. Raises BackendFull, BackendUnavailable.

        Nothing is durable before the barrier's sync.
        """
        header = RecordHeader(payload_bytes=len(payload), extent_bytes=extent_of(len(payload), len(card)))
        with self._lock:
            if self._is_retired or self._poison is not None or self._tail >= self._size_max_bytes:
                return None
            offset, epoch = self._tail, self._epoch
            self._tail += header.extent_bytes
            self._writes_under_way[epoch] = self._writes_under_way.get(epoch, 0) + 1
            filling = self._fill_ahead()
        try:
            if filling is not None:
                raise filling
            head = write_record_header(self._locked.key, offset, header)
            tail = write_tail(self._locked.key, offset, header, block_crcs=block_crcs, card=card)
            self._disk.write(self._locked.fd, (head, payload, tail), offset)
        except OSError as error:
            self._stop_after(error)
            raise backend_fault(error, backend=self._backend, doing="appending failed") from error
        finally:
            self._settle_write(epoch)
        return Appended(
            storage_key=write_storage_key(self._locked.volume_id, offset),
            stored_bytes=header.extent_bytes,
            barrier=AppendBarrier(volume=self, epoch=epoch),
        )

    def sync_through(self, epoch: int) -> None:
        """Make all appends of that epoch durable, sharing syncs with other callers; raises BackendError.

        After a failed sync nothing is tried again: the kernel may have dropped the pages and would answer with success.
        """
        deadline_s = time.monotonic() + SYNC_WAIT_S
        with self._lock:
            while self._is_syncing and epoch > self._synced_epoch:
                self._wait(deadline_s)
            if epoch <= self._synced_epoch:
                return
            if self._poison is not None:
                raise self._fault(self._poison)
            self._is_syncing = True
            try:
                through = self._close_epoch(deadline_s)
            except BackendTimeout:
                self._is_syncing = False
                self._changed.notify_all()
                raise
        failure: OSError | None = None
        try:
            self._disk.sync(self._locked.fd)
        except OSError as error:
            failure = error
        with self._lock:
            self._is_syncing = False
            self._changed.notify_all()
            self._poison = self._poison or failure
            if self._poison is not None:
                raise self._fault(self._poison)
            self._synced_epoch = through

    def retire(self) -> int:
        """Take no more appends, settle those under way and give the lock up; the file's size in bytes.

        Repeating it says the size again: of several writers that find the file full each retires it, should the one
        before have found no other. Barriers of appends made before keep working: they find their epoch synced, or the
        poison.
        """
        with self._lock:
            if self._closed_at_bytes is not None:
                return self._closed_at_bytes
            self._is_retired = True
            last = self._epoch
        try:
            self.sync_through(last)
        except BackendError:
            # Remembered: every barrier that needed this sync raises it. A file whose writes hang stays open and locked.
            if self._poison is None:
                return self._locked.size_bytes
        deadline_s = time.monotonic() + SYNC_WAIT_S
        with self._lock:
            while self._is_syncing or self._writes_under_way:
                self._wait(deadline_s)
            if self._closed_at_bytes is None:
                self._closed_at_bytes = os.fstat(self._locked.fd).st_size
                self._locked.close()
            return self._closed_at_bytes

    def _close_epoch(self, deadline_s: float) -> int:
        closed = self._epoch
        self._epoch += 1
        self._tail = align(self._tail, FILE_BLOCK_BYTES)
        # Of epochs before as well: a sync that gave up waiting for such a write has left it behind.
        while any(epoch <= closed for epoch in self._writes_under_way):
            self._wait(deadline_s)
        return closed

    def _wait(self, deadline_s: float) -> None:
        if not self._changed.wait(deadline_s - time.monotonic()):
            raise BackendTimeout("a sync has not come back", backend=self._backend)

    def _fill_ahead(self) -> OSError | None:
        # Under the lock, because zeros written later could fall on another thread's record.
        if self._fill_bytes == 0 or self._tail <= self._filled_through:
            return None
        try:
            self._disk.write(self._locked.fd, (memoryview(_ZEROS)[: self._fill_bytes],), self._tail)
        except OSError as error:
            # Without room the filling is given up, the append itself may still fit.
            self._fill_bytes = 0
            return None if is_no_room(error) else error
        self._filled_through = self._tail + self._fill_bytes
        return None

    def _settle_write(self, epoch: int) -> None:
        with self._lock:
            self._writes_under_way[epoch] -= 1
            if self._writes_under_way[epoch] == 0:
                del self._writes_under_way[epoch]
                self._changed.notify_all()

    def _stop_after(self, error: OSError) -> None:
        # A full disk spoils this append alone; any other error makes the whole file suspect.
        with self._lock:
            self._is_retired = True
            if not is_no_room(error) and self._poison is None:
                self._poison = error

    def _fault(self, error: OSError) -> BackendError:
        return backend_fault(
            error, backend=self._backend, doing="a sync failed and the volume is closed for good"
        )
