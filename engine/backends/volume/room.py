"""How much the file system below a volume's folder still takes."""

import os
from dataclasses import dataclass
from pathlib import Path

from engine.backends.volume.faults import backend_fault
from engine.backends.volume.files import device_id
from engine.names import BackendName


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskRoom:
    """A file system and its room, without the reserve; volumes with one `disk` share it."""

    disk: str
    free_bytes: int


def read_disk_room(directory: Path, *, backend: BackendName, reserve_bytes: int) -> DiskRoom:
    """Raises BackendUnavailable."""
    try:
        stats, device = os.statvfs(directory), device_id(directory)
    except OSError as error:
        raise backend_fault(error, backend=backend, doing="the disk does not answer") from error
    return DiskRoom(disk=f"{device:x}", free_bytes=max(0, stats.f_bavail * stats.f_frsize - reserve_bytes))
