"""Descriptors are bounded and let go of; short, missing and unreadable files are told apart."""

import os
from pathlib import Path

import pytest

from engine.backends.base import StoredPiece
from engine.backends.volume.backend import VolumeBackend
from engine.backends.volume.descriptors import GONE_CHECK_INTERVAL_S, DescriptorCache
from engine.backends.volume.format import read_storage_key
from engine.errors import ForeignBackend, Overloaded, PieceCorrupt, PieceMissing
from tests.support.pieces import payload_of, read_all, settle, tail_of
from tests.support.volumes import make_volume_backend


def files(directory: Path, count: int) -> list[Path]:
    paths = [directory / f"file-{number}" for number in range(count)]
    for path in paths:
        path.write_text(path.name)
    return paths


def store(backend: VolumeBackend, payload: bytes) -> StoredPiece:
    return settle(backend.store(memoryview(payload), tail_of(payload)))


def path_of(directory: Path, piece: StoredPiece) -> Path:
    return directory / f"{read_storage_key(piece.storage_key)[0].hex()}.volume"


def test_no_more_descriptors_than_allowed_stay_open(tmp_path: Path) -> None:
    cache = DescriptorCache(count_max=3)

    for path in files(tmp_path, 10):
        descriptor = cache.pin(str(path))
        assert os.pread(descriptor.fd, 20, 0) == path.name.encode()
        cache.unpin(descriptor)

    assert cache.count() == 3
    cache.close()


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    cache = DescriptorCache(count_max=2)
    old, recent, new = files(tmp_path, 3)
    fds = {}
    for path in (old, recent, recent, new):
        descriptor = cache.pin(str(path))
        fds[path] = descriptor
        cache.unpin(descriptor)

    again = cache.pin(str(recent))

    assert again is fds[recent]
    cache.unpin(again)
    assert cache.pin(str(old)) is not fds[old]
    cache.close()


def test_a_pinned_descriptor_is_never_closed_and_all_pinned_is_said(tmp_path: Path) -> None:
    cache = DescriptorCache(count_max=2)
    paths = files(tmp_path, 3)
    pinned = [cache.pin(str(paths[0])), cache.pin(str(paths[1]))]

    with pytest.raises(Overloaded):
        cache.pin(str(paths[2]))

    assert [os.pread(one.fd, 20, 0).decode() for one in pinned] == ["file-0", "file-1"]
    for descriptor in pinned:
        cache.unpin(descriptor)
    cache.unpin(cache.pin(str(paths[2])))
    cache.close()
    assert cache.count() == 0


def test_descriptors_of_unlinked_files_are_let_go_when_their_last_reader_is_done(tmp_path: Path) -> None:
    cache = DescriptorCache()
    path, idle = files(tmp_path, 2)
    cache.unpin(cache.pin(str(idle)))
    reading = cache.pin(str(path))
    path.unlink()
    idle.unlink()

    assert cache.drop_gone() == 2

    assert os.pread(reading.fd, 20, 0) == b"file-0"
    assert cache.count() == 1
    cache.unpin(reading)
    assert cache.count() == 0


def test_unlinked_files_are_noticed_in_passing(tmp_path: Path) -> None:
    now_s = 0.0
    cache = DescriptorCache(monotonic_s=lambda: now_s)
    gone, other = files(tmp_path, 2)
    cache.unpin(cache.pin(str(gone)))
    gone.unlink()

    now_s = GONE_CHECK_INTERVAL_S + 1
    cache.unpin(cache.pin(str(other)))

    assert cache.count() == 1
    cache.close()


def test_a_file_that_was_replaced_by_none_is_missing_and_costs_no_descriptor(tmp_path: Path) -> None:
    cache = DescriptorCache()

    with pytest.raises(FileNotFoundError):
        cache.pin(str(tmp_path / "nowhere"))

    assert cache.count() == 0


def test_a_reader_goes_on_after_its_file_was_unlinked(tmp_path: Path) -> None:
    backend = make_volume_backend(tmp_path)
    payload = payload_of(1000)
    piece = store(backend, payload)
    reader = backend.open_reader(piece.storage_key, 1000)
    path_of(tmp_path, piece).unlink()
    backend.drop_gone_descriptors()

    buffer = bytearray(1000)
    reader.read_into(0, memoryview(buffer))
    reader.close()
    reader.close()

    assert buffer == payload
    with pytest.raises(PieceMissing):
        backend.open_reader(piece.storage_key, 1000)
    backend.close()


def test_a_file_cut_short_is_corrupt(tmp_path: Path) -> None:
    backend = make_volume_backend(tmp_path, fill_bytes=0)
    piece = store(backend, payload_of(10_000))
    os.truncate(path_of(tmp_path, piece), 12_000)

    with pytest.raises(PieceCorrupt):
        read_all(backend, piece, 10_000)
    backend.close()


@pytest.mark.parametrize("key", ["", "x", "../../etc/passwd:0000000000", "pieces/00/1"])
def test_a_key_of_another_kind_of_backend_is_missing(tmp_path: Path, key: str) -> None:
    backend = make_volume_backend(tmp_path)

    with pytest.raises(PieceMissing):
        backend.open_reader(key, 10)
    backend.close()


def test_a_record_tells_its_lengths_checksums_and_card(tmp_path: Path) -> None:
    backend = make_volume_backend(tmp_path)
    payload = payload_of(300_000)
    tail = tail_of(payload, card=b"the card")
    piece = settle(backend.store(memoryview(payload), tail))

    record = backend.read_record(piece.storage_key)

    assert (record.payload_bytes, record.extent_bytes) == (300_000, piece.stored_bytes)
    assert (record.block_crcs, record.card) == (tail.block_crcs, b"the card")
    backend.close()


def test_a_record_whose_trailer_was_damaged_is_corrupt(tmp_path: Path) -> None:
    backend = make_volume_backend(tmp_path)
    piece = store(backend, payload_of(1000))
    with path_of(tmp_path, piece).open("r+b") as file:
        file.seek(read_storage_key(piece.storage_key)[1] + piece.stored_bytes - 1)
        file.write(b"?")

    with pytest.raises(PieceCorrupt):
        backend.read_record(piece.storage_key)
    backend.close()


def test_without_its_identity_a_missing_file_is_the_disks_failure_and_no_piece_is_missing(
    tmp_path: Path,
) -> None:
    backend = make_volume_backend(tmp_path / "disk")
    piece = store(backend, b"kept")
    backend.close_volumes()
    (tmp_path / "disk").rename(tmp_path / "away")

    for call in (
        lambda: backend.open_reader(piece.storage_key, 4),
        lambda: backend.read_record(piece.storage_key),
        lambda: backend.delete(piece.storage_key, piece.stored_bytes),
    ):
        with pytest.raises(ForeignBackend):
            call()

    (tmp_path / "away").rename(tmp_path / "disk")
    assert read_all(backend, piece, 4) == b"kept"
    backend.close()
