"""Streams share a file without sharing blocks, are durable at their end, and give their room back when aborted."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.backends.base import StoredPiece
from engine.backends.volume.backend import VolumeBackend
from engine.backends.volume.format import FILE_BLOCK_BYTES, FIRST_RECORD_OFFSET, read_storage_key
from engine.backends.volume.streaming import WRITEBACK_STRIDE_BYTES
from engine.errors import BackendFull, BackendUnavailable
from engine.units import MIB
from tests.support.pieces import payload_of, read_all, settle, tail_of
from tests.support.volumes import FailingDisk, MemoryLedger, make_volume_backend


def stream(backend: VolumeBackend, payload: bytes, *, chunk_bytes: int = 256 * 1024) -> StoredPiece:
    writer = backend.open_writer(len(payload), 300)
    for start in range(0, len(payload), chunk_bytes):
        writer.write(memoryview(payload)[start : start + chunk_bytes])
    return writer.finish(tail_of(payload))


def place(piece: StoredPiece) -> tuple[bytes, int]:
    return read_storage_key(piece.storage_key)


def test_interleaved_streams_share_a_file_and_stay_contiguous(tmp_path: Path) -> None:
    backend = make_volume_backend(tmp_path)
    payloads = [payload_of(700_000, seed=number) for number in range(5)]
    writers = [backend.open_writer(len(payload), 300) for payload in payloads]
    for start in range(0, 700_000, 50_000):
        for writer, payload in zip(writers, payloads, strict=True):
            writer.write(memoryview(payload)[start : start + 50_000])

    pieces = [writer.finish(tail_of(payload)) for writer, payload in zip(writers, payloads, strict=True)]

    assert len({place(piece)[0] for piece in pieces}) == 1
    assert all(place(piece)[1] % FILE_BLOCK_BYTES == 0 for piece in pieces)
    for piece, payload in zip(pieces, payloads, strict=True):
        assert read_all(backend, piece, len(payload)) == payload
    backend.close()


def test_small_appends_and_streams_use_different_files(tmp_path: Path) -> None:
    backend = make_volume_backend(tmp_path)
    payload = payload_of(1000)

    small = backend.store(memoryview(payload), tail_of(payload))
    large = stream(backend, payload)

    assert place(small)[0] != place(large)[0]
    backend.close()


def test_a_long_stream_reads_back_across_its_strides(tmp_path: Path) -> None:
    backend = make_volume_backend(tmp_path)
    payload = payload_of(3 * WRITEBACK_STRIDE_BYTES + 12_345)

    piece = stream(backend, payload, chunk_bytes=1_000_003)

    assert read_all(backend, piece, len(payload)) == payload
    backend.close()


def test_a_stream_is_synced_before_finish_returns(tmp_path: Path) -> None:
    calls: list[str] = []
    backend = make_volume_backend(tmp_path, disk=FailingDisk(calls.append))
    stream(backend, payload_of(1000))
    calls.clear()

    stream(backend, payload_of(1000))

    assert calls == ["reserve", "write", "write", "write", "sync"]
    backend.close()


def test_an_aborted_stream_gives_its_blocks_back(tmp_path: Path) -> None:
    backend = make_volume_backend(tmp_path)
    kept = stream(backend, payload_of(MIB))
    path = tmp_path / f"{place(kept)[0].hex()}.volume"
    blocks_before = path.stat().st_blocks
    payload = payload_of(4 * MIB)
    writer = backend.open_writer(len(payload), 300)
    writer.write(memoryview(payload)[: 3 * MIB])
    assert path.stat().st_blocks > blocks_before + 3 * MIB // 512

    writer.abort()

    assert path.stat().st_blocks <= blocks_before + 4 * FILE_BLOCK_BYTES // 512
    assert read_all(backend, kept, MIB) == payload_of(MIB)
    backend.close()


@pytest.mark.parametrize(
    ("number", "expected"),
    [(errno.EIO, BackendUnavailable), (errno.ENOSPC, BackendFull)],
    ids=["EIO", "ENOSPC"],
)
def test_a_failed_sync_fails_every_stream_of_the_file_and_closes_it(
    tmp_path: Path, number: int, expected: type[Exception]
) -> None:
    failing: list[int] = []

    def fail_sync(call: str) -> None:
        if failing and call == "sync":
            raise OSError(failing[0], os.strerror(failing[0]))

    ledger = MemoryLedger()
    backend = make_volume_backend(tmp_path, ledger, disk=FailingDisk(fail_sync))
    payload = payload_of(10_000)
    before = stream(backend, payload)
    doomed, neighbour = backend.open_writer(10_000, 300), backend.open_writer(10_000, 300)
    doomed.write(memoryview(payload))
    neighbour.write(memoryview(payload))

    failing.append(number)
    with pytest.raises(expected):
        doomed.finish(tail_of(payload))
    doomed.abort()
    failing.clear()

    with pytest.raises(BackendUnavailable):
        neighbour.finish(tail_of(payload))
    neighbour.abort()
    after = stream(backend, payload)
    assert place(after)[0] != place(before)[0]
    assert list(ledger.closed_sizes) == [place(before)[0]]
    assert read_all(backend, before, 10_000) == payload
    backend.close()


def test_a_full_file_is_closed_when_its_last_stream_ends(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    backend = make_volume_backend(tmp_path, ledger, size_max_bytes=FIRST_RECORD_OFFSET + MIB)
    payload = payload_of(2 * MIB)
    slow = backend.open_writer(len(payload), 300)

    quick = stream(backend, payload)
    assert ledger.closed_sizes == {}

    slow.write(memoryview(payload))
    piece = slow.finish(tail_of(payload))

    assert place(piece)[0] != place(quick)[0]
    assert list(ledger.closed_sizes) == [place(piece)[0]]
    assert read_all(backend, piece, len(payload)) == payload
    backend.close()


def test_a_full_disk_is_known_before_a_byte_of_a_stream_is_received(small_disk: Path) -> None:
    backend = make_volume_backend(small_disk / "near")
    kept = settle(stream(backend, payload_of(MIB)))

    with pytest.raises(BackendFull):
        backend.open_writer(64 * MIB, 300)

    assert read_all(backend, kept, MIB) == payload_of(MIB)
    backend.close()


def ends_well(action: Callable[[], object]) -> bool:
    try:
        action()
    except BackendFull:
        return False
    return True


def test_a_disk_that_fills_up_under_a_stream_fails_it_and_leaves_the_others(small_disk: Path) -> None:
    backend = make_volume_backend(small_disk / "near")
    payload = payload_of(3 * MIB)
    writer = backend.open_writer(len(payload), 300)
    writer.write(memoryview(payload)[:MIB])
    hog = small_disk / "hog"
    with hog.open("wb") as file:
        while ends_well(lambda: _write(file.fileno())):
            pass

    # Its room was set aside when it began.
    writer.write(memoryview(payload)[MIB:])
    piece = writer.finish(tail_of(payload))

    assert read_all(backend, piece, len(payload)) == payload
    backend.close()


def _write(fd: int) -> None:
    try:
        os.write(fd, b"x" * 4096)
    except OSError as error:
        raise BackendFull("full", backend="near") from error
