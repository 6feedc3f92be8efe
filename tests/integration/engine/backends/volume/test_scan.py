"""A scan tells records from everything else: torn, flipped, swapped and forged bytes never hide or make a neighbour."""

import os
import random
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.backends.base import PieceTail
from engine.backends.volume.backend import VolumeBackend
from engine.backends.volume.format import (
    FIRST_RECORD_OFFSET,
    RECORD_HEADER_BYTES,
    RECORD_MAGIC,
    TRAILER_BYTES,
    NotARecord,
    read_storage_key,
)
from engine.backends.volume.scan import Found, FoundGap, FoundRecord, FoundState, FoundTorn, scan_volume
from engine.units import KIB, MIB
from tests.support.pieces import payload_of, settle, tail_of
from tests.support.volumes import make_volume_backend


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A record a test wrote, and where."""

    offset: int
    extent_bytes: int
    payload_bytes: int
    tail: PieceTail


def write(backend: VolumeBackend, payload: bytes, *, card: bytes = b"card") -> Written:
    tail = tail_of(payload, card=card)
    piece = settle(backend.store(memoryview(payload), tail))
    return Written(
        offset=read_storage_key(piece.storage_key)[1],
        extent_bytes=piece.stored_bytes,
        payload_bytes=len(payload),
        tail=tail,
    )


def write_streams(backend: VolumeBackend, payloads: Iterable[bytes]) -> list[Written]:
    written = []
    for payload in payloads:
        writer = backend.open_writer(len(payload), 100)
        writer.write(memoryview(payload))
        piece = writer.finish(tail_of(payload))
        written.append(
            Written(
                offset=read_storage_key(piece.storage_key)[1],
                extent_bytes=piece.stored_bytes,
                payload_bytes=len(payload),
                tail=tail_of(payload),
            )
        )
    return written


def the_file(directory: Path) -> Path:
    (path,) = directory.glob("*.volume")
    return path


def scan(path: Path) -> list[Found]:
    return list(scan_volume(path, bytes.fromhex(path.stem)))


def records(found: Iterable[Found]) -> dict[int, FoundRecord]:
    return {one.record.offset: one for one in found if isinstance(one, FoundRecord)}


def covers_everything(found: list[Found], path: Path) -> bool:
    """Whether what a scan found lies side by side from the first record's place to the end of file or behind it."""
    at = FIRST_RECORD_OFFSET
    for one in found:
        start = one.record.offset if isinstance(one, FoundRecord) else one.offset
        if start != at:
            return False
        at += one.record.extent_bytes if isinstance(one, FoundRecord) else one.length
    return at >= path.stat().st_size


def test_every_record_is_found_with_what_it_says(tmp_path: Path) -> None:
    backend = make_volume_backend(tmp_path)
    written = [
        write(backend, payload_of(size, seed=size), card=b"c" * (size % 50))
        for size in (0, 1, 64, 5000, 300 * KIB, 2 * MIB, 7)
    ]

    found = scan(the_file(tmp_path))

    expected = [(one.offset, one.extent_bytes, one.payload_bytes, one.tail) for one in written]
    assert [
        (
            offset,
            one.record.extent_bytes,
            one.record.payload_bytes,
            PieceTail(block_crcs=one.record.block_crcs, card=one.record.card),
        )
        for offset, one in records(found).items()
    ] == expected
    assert all(one.is_zero for one in found if isinstance(one, FoundGap))
    assert covers_everything(found, the_file(tmp_path))
    backend.close()


def test_an_empty_volume_has_nothing_but_zeros(tmp_path: Path) -> None:
    backend = make_volume_backend(tmp_path)
    backend.open_writer(100 * KIB, 10).abort()

    found = scan(the_file(tmp_path))

    assert records(found) == {}
    backend.close()


def test_an_unfinished_stream_is_torn_and_those_around_it_stand(tmp_path: Path) -> None:
    backend = make_volume_backend(tmp_path)
    (before,) = write_streams(backend, [payload_of(100 * KIB, seed=1)])
    unfinished = backend.open_writer(500 * KIB, 100)
    unfinished.write(memoryview(payload_of(200 * KIB)))
    (after,) = write_streams(backend, [payload_of(100 * KIB, seed=2)])

    found = scan(the_file(tmp_path))

    assert list(records(found)) == [before.offset, after.offset]
    (torn,) = [one for one in found if isinstance(one, FoundTorn)]
    assert (torn.payload_bytes, torn.offset + torn.length <= after.offset) == (500 * KIB, True)
    assert covers_everything(found, the_file(tmp_path))
    backend.close()


def cut_points(record: Written) -> dict[str, int]:
    """An offset inside each part of a record, and at each border."""
    payload = record.offset + RECORD_HEADER_BYTES
    crcs = payload + record.payload_bytes
    card = crcs + len(record.tail.block_crcs)
    padding = card + len(record.tail.card)
    end = record.offset + record.extent_bytes
    return {
        "before the header": record.offset,
        "in the header's magic": record.offset + 5,
        "in the header's mac": record.offset + 40,
        "after the header": payload,
        "in the payload": payload + record.payload_bytes // 2,
        "in the payload's last byte": crcs - 1,
        "after the payload": crcs,
        "in the checksums": crcs + 2,
        "after the checksums": card,
        "in the card": card + 3,
        "in the padding": padding + 1,
        "before the trailer": end - TRAILER_BYTES,
        "in the trailer": end - 20,
        "in its last byte": end - 1,
    }


POINTS = list(cut_points(Written(offset=0, extent_bytes=640, payload_bytes=300, tail=tail_of(b"x"))))


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("size_bytes", [500, 9000, 300 * KIB + 5])
def test_a_file_cut_anywhere_keeps_what_is_before_and_goes_on_behind(
    tmp_path: Path, point: str, size_bytes: int
) -> None:
    backend = make_volume_backend(tmp_path, fill_bytes=0)
    before = write(backend, payload_of(3000, seed=1))
    last = write(backend, payload_of(size_bytes, seed=2))
    backend.close()
    cut = cut_points(last)[point]
    # What is cut off reads as zeros once the file is longer again; where it was zeros before, nothing is missing.
    is_whole = not any(the_file(tmp_path).read_bytes()[cut : last.offset + last.extent_bytes])
    os.truncate(the_file(tmp_path), cut)

    # The next process finds the torn end and begins behind it, within the extent of what was torn.
    backend = make_volume_backend(tmp_path, fill_bytes=0)
    after = write(backend, payload_of(2000, seed=3))
    backend.close()

    found = scan(the_file(tmp_path))
    assert after.offset >= cut
    assert list(records(found)) == [before.offset, *([last.offset] if is_whole else []), after.offset]
    assert covers_everything(found, the_file(tmp_path))


def volume_of(directory: Path, count: int = 12) -> list[Written]:
    backend = make_volume_backend(directory, fill_bytes=0)
    written = [
        write(backend, payload_of(200 + number * 631, seed=number), card=b"c" * (number * 9))
        for number in range(count)
    ]
    backend.close()
    return written


def test_a_flipped_byte_anywhere_hurts_at_most_the_record_it_lies_in(tmp_path: Path) -> None:
    written = volume_of(tmp_path)
    path = the_file(tmp_path)
    original = path.read_bytes()
    generator = random.Random(7)
    edges = [point for one in written for point in cut_points(one).values() if point < len(original)]
    for at in [*range(0, len(original), 211), *edges]:
        with path.open("r+b") as file:
            file.seek(at)
            file.write(bytes([original[at] ^ (1 << generator.randrange(8))]))

        found = scan(path)

        standing = records(found)
        for one in written:
            if not one.offset <= at < one.offset + one.extent_bytes:
                assert standing[one.offset].state is FoundState.COMPLETE, (at, one)
        assert set(standing) <= {one.offset for one in written}
        assert covers_everything(found, path)
        with path.open("r+b") as file:
            file.seek(at)
            file.write(original[at : at + 1])


def test_a_record_whose_header_was_damaged_is_found_by_its_trailer(tmp_path: Path) -> None:
    backend = make_volume_backend(tmp_path)
    written = [write(backend, payload_of(size, seed=size)) for size in (5000, 3 * MIB, 100)]
    backend.close()
    for one in written:
        with the_file(tmp_path).open("r+b") as file:
            file.seek(one.offset)
            file.write(bytes(RECORD_HEADER_BYTES))

    found = records(scan(the_file(tmp_path)))

    assert [(offset, one.state, one.record.payload_bytes) for offset, one in found.items()] == [
        (one.offset, FoundState.HEADER_DAMAGED, one.payload_bytes) for one in written
    ]


def test_swapped_and_copied_records_are_none(tmp_path: Path) -> None:
    backend = make_volume_backend(tmp_path, fill_bytes=0)
    one, other, third = (write(backend, payload_of(2000, seed=number)) for number in range(3))
    backend.close()
    path = the_file(tmp_path)
    raw = bytearray(path.read_bytes())
    first = bytes(raw[one.offset : one.offset + one.extent_bytes])
    second = bytes(raw[other.offset : other.offset + other.extent_bytes])
    raw[one.offset : one.offset + one.extent_bytes] = second
    raw[other.offset : other.offset + other.extent_bytes] = first
    raw += first
    path.write_bytes(raw)

    found = scan(path)

    assert list(records(found)) == [third.offset]
    assert any(not gap.is_zero for gap in found if isinstance(gap, FoundGap))
    assert covers_everything(found, path)


def test_records_of_another_volume_are_none(tmp_path: Path) -> None:
    volume_of(tmp_path / "one", 4)
    mine = volume_of(tmp_path / "other", 1)
    foreign = the_file(tmp_path / "one").read_bytes()
    path = the_file(tmp_path / "other")
    start = mine[0].offset + mine[0].extent_bytes
    with path.open("r+b") as file:
        file.seek(start)
        file.write(foreign[start:])

    assert list(records(scan(path))) == [mine[0].offset]


@pytest.mark.parametrize("shift", range(0, 64, 3))
def test_a_volumes_own_bytes_uploaded_as_an_object_fool_nobody(tmp_path: Path, shift: int) -> None:
    # The worst case: the very file the object is stored into, so that volume id and key are right, at every alignment,
    # and with the header of the record around it damaged, so that the scan walks through the payload.
    backend = make_volume_backend(tmp_path, fill_bytes=0)
    written = [write(backend, payload_of(1500, seed=number)) for number in range(4)]
    payload = b"x" * shift + the_file(tmp_path).read_bytes()
    around = write(backend, payload)
    last = write(backend, payload_of(100))
    backend.close()
    expected = [one.offset for one in (*written, around, last)]

    intact = scan(the_file(tmp_path))
    with the_file(tmp_path).open("r+b") as file:
        file.seek(around.offset)
        file.write(bytes(RECORD_HEADER_BYTES))
        file.seek(around.offset + around.extent_bytes - TRAILER_BYTES)
        file.write(bytes(TRAILER_BYTES))
    damaged = scan(the_file(tmp_path))

    assert list(records(intact)) == expected
    assert list(records(damaged)) == [offset for offset in expected if offset != around.offset]
    assert covers_everything(damaged, the_file(tmp_path))


def test_a_payload_full_of_magics_ends_a_scan_all_the_same(tmp_path: Path) -> None:
    backend = make_volume_backend(tmp_path)
    payload = (RECORD_MAGIC.ljust(32, b"\1") + b"PNSTEND\n\0\0\0\1\0\0\0\0".ljust(32, b"\0")) * (8 * KIB)
    write_streams(backend, [payload])
    writer = backend.open_writer(len(payload), 10)
    writer.write(memoryview(payload))
    (last,) = write_streams(backend, [payload_of(10)])

    found = scan(the_file(tmp_path))

    assert list(records(found))[-1] == last.offset
    assert len(records(found)) == 2
    backend.close()


def test_freed_payloads_do_not_hide_their_records_or_neighbours(tmp_path: Path) -> None:
    backend = make_volume_backend(tmp_path)
    written = [write(backend, payload_of(300 * KIB, seed=number)) for number in range(4)]
    volume_id = the_file(tmp_path).stem
    for one in written[1:3]:
        backend.delete(f"{volume_id}:{one.offset:010x}", one.extent_bytes)

    found = records(scan(the_file(tmp_path)))

    assert [(offset, one.state) for offset, one in found.items()] == [
        (one.offset, FoundState.COMPLETE) for one in written
    ]
    backend.close()


def test_a_file_without_a_header_of_its_own_is_not_scanned(tmp_path: Path) -> None:
    volume_of(tmp_path, 2)
    path = the_file(tmp_path)
    renamed = path.with_name("0" * 32 + ".volume")
    shutil.copy(path, renamed)
    os.truncate(path, 4000)

    with pytest.raises(NotARecord):
        scan(renamed)
    with path.open("r+b") as file:
        file.write(b"\0")
    with pytest.raises(NotARecord):
        scan(path)
