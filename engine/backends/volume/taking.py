"""Which file a process appends to next: one that nobody holds and that has room, else a new one."""

import logging
import os
from pathlib import Path

from engine.backends.volume.disk import Disk
from engine.backends.volume.faults import backend_fault
from engine.backends.volume.files import LockedVolume, create_volume, list_volume_files, lock_volume
from engine.backends.volume.format import NotARecord
from engine.backends.volume.identity import Identity, check_identity
from engine.backends.volume.ledger import VolumeLedger
from engine.clock import Clock, Ids
from engine.errors import BackendFull, BackendUnavailable, DatabaseUnavailable, OutcomeUnknown

TAKE_COUNT_MAX = 32
"""Unlocked files tried before a new one is made."""

_log = logging.getLogger(__name__)


class VolumeTaker:
    """Hands out locked volume files that the ledger lets this process append to. For one thread at a time."""

    def __init__(
        self,
        *,
        disk: Disk,
        directory: Path,
        identity: Identity,
        ledger: VolumeLedger,
        clock: Clock,
        ids: Ids,
        size_max_bytes: int,
        free_min_bytes: int,
    ) -> None:
        self._disk = disk
        self._directory = directory
        self._identity = identity
        self._ledger = ledger
        self._clock = clock
        self._ids = ids
        self._size_max_bytes = size_max_bytes
        self._free_min_bytes = free_min_bytes
        # Files the ledger refused or whose header is damaged: they stay so, and asking costs a commit.
        self._refused: set[bytes] = set()

    def take(self) -> LockedVolume:
        """A volume to append to, its row open with this process as owner.

        Raises BackendFull, BackendUnavailable (the ledger's silence included), ForeignBackend.
        """
        # A disk may have been unmounted since the start, and its mount point would take files as gladly.
        check_identity(self._directory, self._identity)
        self.check_room(0)
        try:
            return self._take_unlocked() or self._create()
        except OSError as error:
            raise backend_fault(
                error, backend=self._identity.backend, doing="no volume can be opened"
            ) from error
        except (DatabaseUnavailable, OutcomeUnknown) as error:
            raise BackendUnavailable(
                "the ledger of volumes does not answer", backend=self._identity.backend
            ) from error

    def check_room(self, wanted_bytes: int) -> None:
        """Raise BackendFull unless the file system keeps its reserve after that many bytes more."""
        try:
            stats = os.statvfs(self._directory)
        except OSError as error:
            raise backend_fault(
                error, backend=self._identity.backend, doing="the disk does not answer"
            ) from error
        free_bytes = stats.f_bavail * stats.f_frsize
        if free_bytes - wanted_bytes < self._free_min_bytes:
            raise BackendFull(
                f"{free_bytes} bytes are free, {wanted_bytes} wanted and {self._free_min_bytes} kept in reserve",
                backend=self._identity.backend,
            )

    def _take_unlocked(self) -> LockedVolume | None:
        # Newest first: the files that were written last are the ones likely to have room.
        candidates = (
            file
            for file in reversed(list_volume_files(self._directory))
            if file.size_bytes < self._size_max_bytes and file.volume_id not in self._refused
        )
        for _, file in zip(range(TAKE_COUNT_MAX), candidates, strict=False):
            try:
                locked = lock_volume(file)
            except NotARecord:
                _log.error(
                    "volume.header_damaged", extra={"backend": self._identity.backend, "path": str(file.path)}
                )
                self._refused.add(file.volume_id)
                continue
            if locked is not None and self._is_admitted(locked):
                return locked
        return None

    def _create(self) -> LockedVolume:
        locked = create_volume(
            self._disk,
            self._directory,
            volume_id=self._ids(),
            identity_id=self._identity.identity_id,
            created_at_us=self._clock.now_us(),
        )
        if not self._is_admitted(locked):
            raise BackendUnavailable("the ledger refused a new volume", backend=self._identity.backend)
        return locked

    def _is_admitted(self, locked: LockedVolume) -> bool:
        try:
            is_admitted = locked.identity_id == self._identity.identity_id and self._ledger.opened(
                locked.volume_id
            )
        except BaseException:
            locked.close()
            raise
        if not is_admitted:
            self._refused.add(locked.volume_id)
            locked.close()
        return is_admitted
