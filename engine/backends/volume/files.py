"""The directory of a volume backend: making, opening, locking, listing and unlinking volume files."""

import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.backends.volume.disk import Disk
from engine.backends.volume.format import (
    FIRST_RECORD_OFFSET,
    SEED_BYTES,
    NotARecord,
    VolumeHeader,
    VolumeKey,
    read_volume_header,
    write_volume_header,
)

_NAME = re.compile(r"([0-9a-f]{32})\.volume")
VOLUME_SUFFIX = ".volume"
TEMPORARY_SUFFIX = ".tmp"


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeFile:
    """A volume file found in a directory."""

    volume_id: bytes
    path: Path
    size_bytes: int
    changed_at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedVolume:
    """A volume file open for writing under its exclusive lock; closing `fd` gives the lock up."""

    volume_id: bytes
    path: Path
    fd: int
    size_bytes: int
    identity_id: bytes
    key: VolumeKey

    def close(self) -> None:
        os.close(self.fd)


def volume_path(directory: Path, volume_id: bytes) -> Path:
    """Where the volume of that id lies."""
    return directory / f"{volume_id.hex()}{VOLUME_SUFFIX}"


def list_volume_files(directory: Path) -> list[VolumeFile]:
    """All volume files of the directory, oldest first; whatever has another name is none. Raises OSError."""
    return sorted(_walk(directory), key=lambda file: file.volume_id)


def _walk(directory: Path) -> Iterator[VolumeFile]:
    with os.scandir(directory) as entries:
        for entry in entries:
            match = _NAME.fullmatch(entry.name)
            if match is None or not entry.is_file(follow_symlinks=False):
                continue
            try:
                stat = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # unlinked while we looked
                continue
            yield VolumeFile(
                volume_id=bytes.fromhex(match[1]),
                path=Path(entry.path),
                size_bytes=stat.st_size,
                changed_at_us=stat.st_mtime_ns // 1000,
            )


def create_volume(
    disk: Disk, directory: Path, *, volume_id: bytes, identity_id: bytes, created_at_us: int
) -> LockedVolume:
    """Make a volume file, durable with its directory entry, and hold its lock. Raises OSError.

    It is complete before it gets its name, so no crash leaves a volume without a header.
    A name that exists is an error.
    """
    header = VolumeHeader(
        volume_id=volume_id,
        seed=secrets.token_bytes(SEED_BYTES),
        identity_id=identity_id,
        created_at_us=created_at_us,
    )
    path = volume_path(directory, volume_id)
    temporary = directory / f".{volume_id.hex()}{TEMPORARY_SUFFIX}"
    fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            disk.write(fd, (write_volume_header(header),), 0)
            disk.sync(fd)
            os.link(temporary, path)
        finally:
            os.unlink(temporary)
        try:
            disk.sync_directory(directory)
        except BaseException:
            # Still locked, so nobody has written to it; without its name it is no file that a row would be missed for.
            path.unlink()
            raise
    except BaseException:
        os.close(fd)
        raise
    return LockedVolume(
        volume_id=volume_id,
        path=path,
        fd=fd,
        size_bytes=FIRST_RECORD_OFFSET,
        identity_id=identity_id,
        key=header.key,
    )


def lock_volume(file: VolumeFile) -> LockedVolume | None:
    """Open a volume for writing; null when somebody else holds it or it was unlinked. Raises OSError, NotARecord."""
    try:
        fd = os.open(file.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(fd)
        # Whoever unlinks holds the lock, so a file that still has its name now keeps it while we hold the lock.
        if status.st_nlink == 0:
            os.close(fd)
            return None
        header = read_header(fd, file.volume_id)
    except BlockingIOError:
        os.close(fd)
        return None
    except BaseException:
        os.close(fd)
        raise
    return LockedVolume(
        volume_id=file.volume_id,
        path=file.path,
        fd=fd,
        size_bytes=status.st_size,
        identity_id=header.identity_id,
        key=header.key,
    )


def read_header(fd: int, volume_id: bytes) -> VolumeHeader:
    """The header of an open volume file; raises NotARecord when it is damaged or another volume's, OSError."""
    header = read_volume_header(os.pread(fd, FIRST_RECORD_OFFSET, 0))
    if header.volume_id != volume_id:
        raise NotARecord
    return header


def read_key(fd: int, volume_id: bytes) -> VolumeKey:
    """The key of an open volume file; raises as `read_header`."""
    return read_header(fd, volume_id).key


def unlink_volume(disk: Disk, directory: Path, locked: LockedVolume) -> None:
    """Remove a locked volume's name, durably; readers that have it open keep reading. Raises OSError."""
    os.unlink(locked.path)
    disk.sync_directory(directory)


def list_leftovers(directory: Path, *, older_than_s: float) -> list[Path]:
    """Files under construction that nobody has touched since `older_than_s` (Unix time): their maker is dead."""
    found: list[Path] = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith(".") and entry.name.endswith(TEMPORARY_SUFFIX):
                try:
                    if entry.stat(follow_symlinks=False).st_mtime < older_than_s:
                        found.append(Path(entry.path))
                except FileNotFoundError:
                    continue
    return found


def list_strangers(directory: Path, *, known: frozenset[str]) -> list[str]:
    """Names in the directory that are neither `known` nor those of volumes or files under construction, in order."""
    with os.scandir(directory) as entries:
        return sorted(
            entry.name
            for entry in entries
            if entry.name not in known
            and not (entry.name.startswith(".") and entry.name.endswith(TEMPORARY_SUFFIX))
            and not (_NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False))
        )


def device_id(path: Path) -> int:
    """The device a directory lies on: volumes of one device are one failure domain. Raises OSError."""
    return os.stat(path).st_dev
