"""Volume files as upkeep sees them: listed, held under their lock, read record by record, unlinked when empty."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.backends.volume.disk import Disk
from engine.backends.volume.faults import backend_fault
from engine.backends.volume.files import (
    LockedVolume,
    VolumeFile,
    list_leftovers,
    list_strangers,
    list_volume_files,
    lock_volume,
    unlink_volume,
    volume_path,
)
from engine.backends.volume.format import FIRST_RECORD_OFFSET, NotARecord
from engine.backends.volume.identity import IDENTITY_NAME, NOBODYS
from engine.backends.volume.records import StoredRecord, read_record_at
from engine.backends.volume.scan import Found, scan_volume
from engine.errors import BackendUnavailable, PieceCorrupt
from engine.integrity.blocks import block_crc_matches
from engine.names import BackendName
from engine.units import BLOCK_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskUse:
    """What a volume file takes: its length, and the blocks it really has after holes were punched."""

    size_bytes: int
    allocated_bytes: int


class HeldVolume:
    """A volume file under its exclusive lock: nobody appends to it until `close`."""

    def __init__(self, locked: LockedVolume, *, backend: BackendName) -> None:
        self.locked = locked
        self._backend = backend

    @property
    def volume_id(self) -> bytes:
        return self.locked.volume_id

    def use(self) -> DiskUse:
        """Raises BackendUnavailable."""
        try:
            status = os.fstat(self.locked.fd)
        except OSError as error:
            raise backend_fault(error, backend=self._backend, doing="a volume does not answer") from error
        return DiskUse(size_bytes=status.st_size, allocated_bytes=status.st_blocks * 512)

    def record(self, offset: int) -> StoredRecord:
        """The record at `offset`; raises PieceCorrupt when header or trailer does not verify, BackendUnavailable."""
        try:
            return read_record_at(self.locked.fd, self.locked.key, offset)
        except NotARecord:
            raise PieceCorrupt(f"no record verifies at offset {offset}", backend=self._backend) from None
        except OSError as error:
            raise backend_fault(error, backend=self._backend, doing="reading failed") from error

    def blocks(self, record: StoredRecord) -> Iterator[memoryview]:
        """The payload block by block, each verified; a block is valid until the next is asked for.

        Raises PieceCorrupt at the first block that does not match its checksum, BackendUnavailable.
        """
        yield from verified_blocks(self.locked.fd, record, backend=self._backend)

    def close(self) -> None:
        """Give the lock up."""
        self.locked.close()


class VolumeShelf:
    """The files of one volume backend's directory."""

    def __init__(self, *, backend: BackendName, directory: Path, disk: Disk) -> None:
        self._backend = backend
        self._directory = directory
        self._disk = disk

    def files(self) -> list[VolumeFile]:
        """All volume files, oldest first. Raises BackendUnavailable."""
        try:
            return list_volume_files(self._directory)
        except OSError as error:
            raise backend_fault(
                error, backend=self._backend, doing="the directory does not answer"
            ) from error

    def hold(self, volume_id: bytes) -> HeldVolume | None:
        """Lock a volume file; null when somebody appends to it or it is not there.

        Raises PieceCorrupt when its header does not verify, BackendUnavailable.
        """
        file = VolumeFile(
            volume_id=volume_id, path=volume_path(self._directory, volume_id), size_bytes=0, changed_at_us=0
        )
        try:
            locked = lock_volume(file)
        except NotARecord:
            raise PieceCorrupt(f"the header of {file.path} does not verify", backend=self._backend) from None
        except OSError as error:
            raise backend_fault(error, backend=self._backend, doing="locking a volume failed") from error
        return None if locked is None else HeldVolume(locked, backend=self._backend)

    def exists(self, volume_id: bytes) -> bool:
        """Whether the file has its name."""
        return volume_path(self._directory, volume_id).exists()

    def unlink(self, held: HeldVolume) -> None:
        """Remove a held volume's name, durably. Raises BackendUnavailable."""
        try:
            unlink_volume(self._disk, self._directory, held.locked)
        except OSError as error:
            raise backend_fault(error, backend=self._backend, doing="unlinking a volume failed") from error

    def drop_leftovers(self, *, older_than_s: float) -> int:
        """Remove files under construction that nobody has touched since that Unix time; the count of them."""
        try:
            leftovers = list_leftovers(self._directory, older_than_s=older_than_s)
            for path in leftovers:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise backend_fault(
                error, backend=self._backend, doing="the directory does not answer"
            ) from error
        return len(leftovers)

    def strangers(self) -> list[str]:
        """Names of what lies in the directory and is none of ours, in their order. Raises BackendUnavailable."""
        try:
            return list_strangers(self._directory, known=NOBODYS | {IDENTITY_NAME})
        except OSError as error:
            raise backend_fault(
                error, backend=self._backend, doing="the directory does not answer"
            ) from error

    def scan(self, volume_id: bytes, *, start: int = FIRST_RECORD_OFFSET) -> Iterator[Found]:
        """All that stands in a file, without the metadata; raises PieceCorrupt (no header), BackendUnavailable.

        `start` is where something that an earlier scan found ended.
        """
        path = volume_path(self._directory, volume_id)
        try:
            yield from scan_volume(path, volume_id, start=start)
        except NotARecord:
            raise PieceCorrupt(f"the header of {path} does not verify", backend=self._backend) from None
        except OSError as error:
            raise backend_fault(error, backend=self._backend, doing="reading a volume failed") from error

    def blocks(self, volume_id: bytes, record: StoredRecord) -> Iterator[memoryview]:
        """The payload of a record block by block without holding its file; raises as `HeldVolume.blocks` does."""
        try:
            fd = os.open(volume_path(self._directory, volume_id), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            raise backend_fault(error, backend=self._backend, doing="opening a volume failed") from error
        try:
            yield from verified_blocks(fd, record, backend=self._backend)
        finally:
            os.close(fd)


def verified_blocks(fd: int, record: StoredRecord, *, backend: BackendName) -> Iterator[memoryview]:
    """The payload of a record block by block; raises PieceCorrupt at the first bad one, BackendUnavailable."""
    buffer = memoryview(bytearray(min(BLOCK_BYTES, record.payload_bytes)))
    for number, start in enumerate(range(0, record.payload_bytes, BLOCK_BYTES)):
        block = buffer[: min(BLOCK_BYTES, record.payload_bytes - start)]
        try:
            count = os.preadv(fd, [block], record.payload_start + start)
        except OSError as error:
            raise BackendUnavailable(f"reading failed: {error.strerror}", backend=backend) from error
        if count != len(block) or not block_crc_matches(record.block_crcs, number, block):
            raise PieceCorrupt(f"block {number} of the record at {record.offset} is bad", backend=backend)
        yield block
