"""Whichever call to the disk fails: acknowledged pieces stay, the others are said to have failed, writes go on."""

import errno
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.backends.base import StoredPiece
from engine.backends.volume.backend import VolumeBackend
from engine.backends.volume.format import read_storage_key
from engine.backends.volume.scan import FoundRecord, scan_volume
from engine.errors import BackendError
from engine.units import MIB
from tests.support.pieces import payload_of, read_all, settle, tail_of
from tests.support.volumes import FailingDisk, MemoryLedger, make_volume_backend

Write = Callable[[VolumeBackend, bytes], StoredPiece]


def append(backend: VolumeBackend, payload: bytes) -> StoredPiece:
    return settle(backend.store(memoryview(payload), tail_of(payload)))


def stream(backend: VolumeBackend, payload: bytes) -> StoredPiece:
    writer = backend.open_writer(len(payload), 100)
    try:
        for start in range(0, len(payload), 5 * MIB):
            writer.write(memoryview(payload)[start : start + 5 * MIB])
        return writer.finish(tail_of(payload))
    except BackendError:
        writer.abort()
        raise


def nth_failure(call: str, number: int, failing_with: int, calls: Iterator[int]) -> Callable[[str], None]:
    def fail(name: str) -> None:
        if name == call and next(calls) == number:
            raise OSError(failing_with, os.strerror(failing_with))

    return fail


@pytest.mark.parametrize("failing_with", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
@pytest.mark.parametrize(
    "call", ["write", "sync", "sync_directory", "reserve", "start_writeback", "finish_writeback", "punch"]
)
@pytest.mark.parametrize(
    ("write", "size_bytes"), [(append, 5000), (stream, 20 * MIB)], ids=["append", "stream"]
)
def test_acknowledged_pieces_stand_after_the_nth_failure(
    tmp_path: Path, write: Write, size_bytes: int, call: str, failing_with: int
) -> None:
    payload = payload_of(size_bytes)
    for number in itertools.count():
        calls = itertools.count()
        directory = tmp_path / str(number)
        make_volume_backend(directory).close()
        disk = FailingDisk(nth_failure(call, number, failing_with, calls))
        backend = make_volume_backend(directory, MemoryLedger(), disk=disk, full_holdoff_s=0.0)
        acknowledged = []
        failed_count = 0
        for _ in range(4):
            try:
                acknowledged.append(write(backend, payload))
            except BackendError:
                failed_count += 1
        backend.close()

        reopened = make_volume_backend(directory)
        assert len(acknowledged) == 4 - failed_count
        assert failed_count <= 1
        assert all(read_all(reopened, piece, size_bytes) == payload for piece in acknowledged)
        assert len({piece.storage_key for piece in acknowledged}) == len(acknowledged)
        assert {place(piece) for piece in acknowledged} <= complete_records(directory)
        append(reopened, payload_of(100))
        reopened.close()
        for path in directory.glob("*.volume"):
            path.unlink()
        if next(calls) <= number:
            return


def place(piece: StoredPiece) -> tuple[bytes, int]:
    return read_storage_key(piece.storage_key)


def complete_records(directory: Path) -> set[tuple[bytes, int]]:
    found: set[tuple[bytes, int]] = set()
    for path in directory.glob("*.volume"):
        volume_id = bytes.fromhex(path.stem)
        found.update(
            (volume_id, each.record.offset)
            for each in scan_volume(path, volume_id)
            if isinstance(each, FoundRecord)
        )
    return found
