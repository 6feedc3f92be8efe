"""A delete gives blocks back inside the record alone, and touches nothing that it cannot tell to be that record."""

from pathlib import Path

import pytest

from engine.backends.base import StoredPiece
from engine.backends.volume.backend import VolumeBackend
from engine.backends.volume.format import (
    FILE_BLOCK_BYTES,
    FIRST_RECORD_OFFSET,
    read_storage_key,
    write_storage_key,
)
from engine.errors import PieceCorrupt
from engine.units import KIB
from tests.support.pieces import payload_of, read_all, settle, tail_of
from tests.support.volumes import make_volume_backend


def store(backend: VolumeBackend, size_bytes: int, *, seed: int = 0) -> StoredPiece:
    payload = payload_of(size_bytes, seed=seed)
    return settle(backend.store(memoryview(payload), tail_of(payload)))


def the_file(directory: Path) -> Path:
    (path,) = directory.glob("*.volume")
    return path


def test_only_whole_blocks_inside_the_payload_change(tmp_path: Path) -> None:
    backend = make_volume_backend(tmp_path)
    pieces = []
    for number in range(3):
        payload = payload_of(200 * KIB + 13, seed=number)
        pieces.append(backend.store(memoryview(payload), tail_of(payload)))
    settle(pieces[-1])
    before = the_file(tmp_path).read_bytes()
    offset = read_storage_key(pieces[1].storage_key)[1]

    backend.delete(pieces[1].storage_key, pieces[1].stored_bytes)

    after = the_file(tmp_path).read_bytes()
    start = -(-(offset + 64) // FILE_BLOCK_BYTES) * FILE_BLOCK_BYTES
    stop = (offset + 64 + 200 * KIB + 13) // FILE_BLOCK_BYTES * FILE_BLOCK_BYTES
    assert after[:start] == before[:start]
    assert not any(after[start:stop])
    assert after[stop:] == before[stop:]
    backend.close()


def test_a_delete_gives_the_blocks_back(tmp_path: Path) -> None:
    backend = make_volume_backend(tmp_path)
    piece = store(backend, 1000 * KIB)
    before = the_file(tmp_path).stat()

    backend.delete(piece.storage_key, piece.stored_bytes)

    after = the_file(tmp_path).stat()
    assert after.st_size == before.st_size
    assert before.st_blocks - after.st_blocks >= 990 * KIB // 512
    backend.close()


def test_header_checksums_and_card_outlive_the_payload(tmp_path: Path) -> None:
    backend = make_volume_backend(tmp_path)
    piece = store(backend, 500 * KIB)
    before = backend.read_record(piece.storage_key)

    backend.delete(piece.storage_key, piece.stored_bytes)

    assert backend.read_record(piece.storage_key) == before
    backend.close()


def test_a_small_record_is_left_to_compaction(tmp_path: Path) -> None:
    backend = make_volume_backend(tmp_path)
    piece = store(backend, 10 * KIB)
    before = the_file(tmp_path).read_bytes()

    backend.delete(piece.storage_key, piece.stored_bytes)

    assert the_file(tmp_path).read_bytes() == before
    backend.close()


@pytest.mark.parametrize("shift", [64, 4096, -64, 1 << 36])
def test_an_offset_where_no_record_starts_is_refused(tmp_path: Path, shift: int) -> None:
    backend = make_volume_backend(tmp_path)
    store(backend, 300 * KIB)
    piece = store(backend, 300 * KIB, seed=1)
    volume_id, offset = read_storage_key(piece.storage_key)
    before = the_file(tmp_path).read_bytes()

    with pytest.raises(PieceCorrupt):
        backend.delete(write_storage_key(volume_id, offset + shift), piece.stored_bytes)

    assert the_file(tmp_path).read_bytes() == before
    backend.close()


def test_a_record_of_another_length_than_asked_for_is_refused(tmp_path: Path) -> None:
    backend = make_volume_backend(tmp_path)
    piece = store(backend, 300 * KIB)

    with pytest.raises(PieceCorrupt):
        backend.delete(piece.storage_key, piece.stored_bytes + 64)

    assert read_all(backend, piece, 300 * KIB) == payload_of(300 * KIB)
    backend.close()


def test_a_record_with_a_damaged_header_is_refused(tmp_path: Path) -> None:
    backend = make_volume_backend(tmp_path)
    piece = store(backend, 300 * KIB)
    with the_file(tmp_path).open("r+b") as file:
        file.seek(read_storage_key(piece.storage_key)[1] + 20)
        file.write(b"\x7f")

    with pytest.raises(PieceCorrupt):
        backend.delete(piece.storage_key, piece.stored_bytes)

    assert read_all(backend, piece, 300 * KIB) == payload_of(300 * KIB)
    backend.close()


def test_a_volume_header_whose_both_copies_are_damaged_stops_deletes_and_not_reads(tmp_path: Path) -> None:
    backend = make_volume_backend(tmp_path)
    piece = store(backend, 300 * KIB)
    with the_file(tmp_path).open("r+b") as file:
        file.write(bytes(FIRST_RECORD_OFFSET))

    with pytest.raises(PieceCorrupt):
        backend.delete(piece.storage_key, piece.stored_bytes)

    assert read_all(backend, piece, 300 * KIB) == payload_of(300 * KIB)
    backend.close()
