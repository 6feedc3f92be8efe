"""A power cut keeps what was synced and makes anything of the rest: old blocks, new ones, garbage, a shorter file."""

import os
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engine.backends.volume.backend import VolumeBackend
from engine.backends.volume.disk import Buffer, LinuxDisk
from engine.backends.volume.format import FILE_BLOCK_BYTES, read_storage_key
from engine.backends.volume.identity import IDENTITY_NAME
from engine.backends.volume.scan import FoundRecord, scan_volume
from tests.support.pieces import payload_of, tail_of
from tests.support.volumes import make_volume_backend


@dataclass(slots=True)
class FileState:
    """What of a file is on stable storage, and which blocks were written since."""

    durable: bytes = b""
    touched: set[int] = field(default_factory=set)


class PowerCutDisk(LinuxDisk):
    """Remembers, for every file, what the last sync made durable and what was written after it."""

    def __init__(self) -> None:
        super().__init__()
        self._files: dict[int, FileState] = defaultdict(FileState)

    def write(self, fd: int, parts: Sequence[Buffer], offset: int, /) -> int:
        end = super().write(fd, parts, offset)
        blocks = range(offset // FILE_BLOCK_BYTES, -(-end // FILE_BLOCK_BYTES))
        self._files[os.fstat(fd).st_ino].touched.update(blocks)
        return end

    def sync(self, fd: int, /) -> None:
        super().sync(fd)
        status = os.fstat(fd)
        self._files[status.st_ino] = FileState(durable=os.pread(fd, status.st_size, 0))

    def image(self, path: Path, generator: random.Random) -> bytes:
        """One of the states the file may be found in after a cut now."""
        state = self._files[path.stat().st_ino]
        now = path.read_bytes()
        size_bytes = generator.choice(
            [len(state.durable), len(now), generator.randint(len(state.durable), len(now))]
        )
        found = bytearray(state.durable.ljust(len(now), b"\0"))
        for block in sorted(state.touched):
            start, stop = block * FILE_BLOCK_BYTES, min((block + 1) * FILE_BLOCK_BYTES, len(now))
            fate = generator.randrange(3)
            if fate == 1:
                found[start:stop] = now[start:stop]
            elif fate == 2:
                found[start:stop] = generator.randbytes(stop - start)
        return bytes(found[:size_bytes])


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """A piece whose sync returned."""

    storage_key: str
    stored_bytes: int
    payload: bytes


def work(
    backend: VolumeBackend, generator: random.Random, named: set[str]
) -> tuple[list[Acknowledged], set[tuple[bytes, int]]]:
    """Appends, streams, syncs and deletes; the pieces acknowledged and alive, and all places ever written.

    `named` takes the key of every piece acknowledged, of those deleted later too.
    """
    alive: list[Acknowledged] = []
    pending: list[tuple[Acknowledged, object]] = []
    places: set[tuple[bytes, int]] = set()
    for number in range(generator.randint(5, 40)):
        payload = payload_of(generator.choice([10, 500, 4096, 9000, 80_000]) + number, seed=number)
        act = generator.randrange(10)
        if act < 6:
            piece = backend.store(memoryview(payload), tail_of(payload))
            places.add(read_storage_key(piece.storage_key))
            pending.append((acknowledge(piece.storage_key, piece.stored_bytes, payload), piece.barrier))
        elif act == 6:
            writer = backend.open_writer(len(payload), 50)
            writer.write(memoryview(payload))
            piece = writer.finish(tail_of(payload))
            places.add(read_storage_key(piece.storage_key))
            alive.append(acknowledge(piece.storage_key, piece.stored_bytes, payload))
            named.add(piece.storage_key)
        elif act == 7:
            writer = backend.open_writer(len(payload), 50)
            writer.write(memoryview(payload)[: len(payload) // 2])
        elif act == 8 and pending:
            barrier = pending[generator.randrange(len(pending))][1]
            barrier.sync()  # type: ignore[attr-defined]
            covered = [one for one in pending if one[1].epoch <= barrier.epoch]  # type: ignore[attr-defined]
            alive += [one for one, _ in covered]
            named.update(one.storage_key for one, _ in covered)
            pending = [one for one in pending if one not in covered]
        elif alive:
            dead = alive.pop(generator.randrange(len(alive)))
            backend.delete(dead.storage_key, dead.stored_bytes)
    return alive, places


def acknowledge(storage_key: str, stored_bytes: int, payload: bytes) -> Acknowledged:
    return Acknowledged(storage_key=storage_key, stored_bytes=stored_bytes, payload=payload)


def reads_back(backend: VolumeBackend, piece: Acknowledged) -> bool:
    buffer = bytearray(len(piece.payload))
    reader = backend.open_reader(piece.storage_key, len(buffer))
    reader.read_into(0, memoryview(buffer))
    reader.close()
    return bytes(buffer) == piece.payload


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


@pytest.mark.parametrize("fill_bytes", [0, 64 * 1024])
@pytest.mark.parametrize("seed", range(40))
def test_every_acknowledged_piece_survives_and_nothing_else_appears(
    tmp_path: Path, seed: int, fill_bytes: int
) -> None:
    generator = random.Random(seed)
    named: set[str] = set()
    disk = PowerCutDisk()
    before = make_volume_backend(tmp_path / "before", disk=disk, fill_bytes=fill_bytes)
    alive, places = work(before, generator, named)
    after = tmp_path / "after"
    after.mkdir()
    (after / IDENTITY_NAME).write_bytes((tmp_path / "before" / IDENTITY_NAME).read_bytes())
    for path in (tmp_path / "before").glob("*.volume"):
        (after / path.name).write_bytes(disk.image(path, generator))
    before.close()

    assert complete_records(after) <= places
    reopened = make_volume_backend(after, disk=PowerCutDisk(), fill_bytes=fill_bytes)
    assert all(reads_back(reopened, piece) for piece in alive)

    more, more_places = work(reopened, generator, set())
    reopened.close()

    last = make_volume_backend(after)
    assert all(reads_back(last, piece) for piece in more)
    assert all(reads_back(last, piece) for piece in alive)
    # What was never synced was never named: its place may be used again, that of an acknowledged piece never is.
    assert more_places.isdisjoint(read_storage_key(key) for key in named)
    assert {read_storage_key(piece.storage_key) for piece in alive} <= complete_records(after)
    last.close()
