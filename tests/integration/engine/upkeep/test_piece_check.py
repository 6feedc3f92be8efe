"""A look at one piece tells what is wrong with it, and nothing of pieces that are good, moved, or out of reach."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from engine.backends.base import Backend
from engine.backends.layers.layer import Layer
from engine.backends.memory import Call, Fault
from engine.backends.registry import Backends
from engine.backends.volume.format import read_storage_key
from engine.backends.volume.identity import IDENTITY_NAME
from engine.errors import BackendUnavailable, PieceCorrupt
from engine.metadata.pieces import StandingPiece, find_piece
from engine.records import Location
from engine.upkeep.piece_check import Depth, PieceChecker, PieceFault
from tests.integration.engine.upkeep.conftest import MakeRig
from tests.integration.engine.upkeep.test_fsck import file_of, flip
from tests.support.deployments import BlobIdCards, TestDeployment
from tests.support.pieces import payload_of


def checker_of(deployment: TestDeployment) -> PieceChecker:
    backend = deployment.backend
    return PieceChecker(deployment.store, Backends([backend]), volumes=[backend], cards=BlobIdCards())


def piece_at(deployment: TestDeployment, key: str) -> StandingPiece:
    location = deployment.location(key)
    found = deployment.store.read(
        partial(find_piece, backend_id=location.backend_id, storage_key=location.storage_key)
    )
    assert found is not None
    return found


def flip_at(at: Callable[[int, Location], int]) -> Callable[[TestDeployment, Location], None]:
    def damage(deployment: TestDeployment, location: Location) -> None:
        flip(file_of(deployment, location), at(read_storage_key(location.storage_key)[1], location))

    return damage


def unlink(deployment: TestDeployment, location: Location) -> None:
    file_of(deployment, location).unlink()


def cut_before(deployment: TestDeployment, location: Location) -> None:
    os.truncate(file_of(deployment, location), read_storage_key(location.storage_key)[1])


def zero(deployment: TestDeployment, location: Location) -> None:
    with file_of(deployment, location).open("r+b") as file:
        file.seek(read_storage_key(location.storage_key)[1])
        file.write(bytes(location.stored_bytes))


DAMAGES: dict[str, tuple[PieceFault, bool, Callable[[TestDeployment, Location], None]]] = {
    "payload": (PieceFault.CHECKSUM, False, flip_at(lambda offset, _: offset + 64 + 3000)),
    "header": (PieceFault.CHECKSUM, True, flip_at(lambda offset, _: offset + 17)),
    "card": (PieceFault.CHECKSUM, True, flip_at(lambda offset, _: offset + 64 + 6000 + 4 + 2)),
    "trailer": (PieceFault.CHECKSUM, True, flip_at(lambda offset, at: offset + at.stored_bytes - 3)),
    "file": (PieceFault.MISSING, False, unlink),
    "end of file": (PieceFault.MISSING, False, cut_before),
    "zeros": (PieceFault.MISSING, False, zero),
}


@pytest.mark.parametrize("where", DAMAGES)
def test_each_damage_is_told_by_kind_and_the_neighbours_are_good(
    deployment: TestDeployment, where: str
) -> None:
    fault, is_readable, damage = DAMAGES[where]
    for number in range(3):
        deployment.put(f"key-{number}", payload_of(6000, seed=number))
    checker = checker_of(deployment)
    deployment.backend.close_volumes()

    damage(deployment, deployment.location("key-2"))

    verdict = checker.check(piece_at(deployment, "key-2"), Depth.FULL)
    assert (verdict.fault, verdict.is_readable) == (fault, is_readable)
    if where != "file":
        neighbours = [checker.check(piece_at(deployment, f"key-{n}"), Depth.FULL) for n in range(2)]
        assert [(each.fault, each.read_bytes) for each in neighbours] == [(None, 6000)] * 2


def test_a_flipped_byte_is_seen_in_full_depth_alone(deployment: TestDeployment) -> None:
    location = deployment.put("key", payload_of(6000))
    flip_at(lambda offset, _: offset + 64 + 3000)(deployment, location)
    checker = checker_of(deployment)

    assert checker.check(piece_at(deployment, "key"), Depth.SIZE).fault is None
    assert checker.check(piece_at(deployment, "key"), Depth.FULL).fault is PieceFault.CHECKSUM


def test_a_row_that_tells_another_size_is_wrong_and_the_bytes_are_good(deployment: TestDeployment) -> None:
    deployment.put("key", payload_of(6000))
    piece = piece_at(deployment, "key")
    told = replace(piece, location=replace(piece.location, stored_bytes=64))

    verdict = checker_of(deployment).check(told, Depth.FULL)

    assert (verdict.fault, verdict.is_readable) == (PieceFault.SIZE, True)
    assert verdict.occupied_bytes == piece.location.stored_bytes


def test_another_blobs_record_is_told_by_its_size_or_its_checksums(deployment: TestDeployment) -> None:
    deployment.put("key", payload_of(6000, seed=1))
    deployment.put("longer", payload_of(6500, seed=2))
    deployment.put("other", payload_of(6000, seed=3))
    piece, checker = piece_at(deployment, "key"), checker_of(deployment)

    def check_at(key: str) -> PieceFault | None:
        location = replace(piece.location, storage_key=deployment.location(key).storage_key)
        return checker.check(replace(piece, location=location), Depth.FULL).fault

    assert check_at("longer") is PieceFault.SIZE
    assert check_at("other") is PieceFault.CHECKSUM
    assert check_at("key") is None


def test_a_card_of_another_blob_is_told(deployment: TestDeployment) -> None:
    deployment.put("key", payload_of(6000))
    piece = piece_at(deployment, "key")
    location = replace(piece.location, blob_id=bytes(16))

    verdict = checker_of(deployment).check(replace(piece, location=location), Depth.SIZE)

    assert verdict.fault is PieceFault.CARD


def test_a_piece_that_moved_meanwhile_has_nothing_to_tell(deployment: TestDeployment) -> None:
    deployment.put("key", payload_of(6000))
    piece, checker = piece_at(deployment, "key"), checker_of(deployment)
    deployment.delete("key")
    deployment.reap()
    file_of(deployment, piece.location).unlink()

    assert checker.check(piece, Depth.FULL).fault is PieceFault.MISSING
    assert checker.check_standing(piece, Depth.FULL) is None


def test_a_disk_that_is_away_says_nothing_of_its_pieces(deployment: TestDeployment, tmp_path: Path) -> None:
    deployment.put("key", payload_of(6000))
    piece = piece_at(deployment, "key")
    deployment.backend.close_volumes()
    folder = deployment.directory / "near"
    folder.rename(tmp_path / "unmounted")
    folder.mkdir()

    with pytest.raises(BackendUnavailable):
        checker_of(deployment).check(piece, Depth.FULL)

    assert not (folder / IDENTITY_NAME).exists()


def test_pieces_without_records_are_read_too(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=1)
    rig.put("key", payload_of(300_000))
    (location,) = rig.find("key").slices[0].locations
    checker = PieceChecker(rig.store, rig.backends, volumes=[])
    named = partial(find_piece, backend_id=location.backend_id, storage_key=location.storage_key)
    piece = rig.store.read(named)
    assert piece is not None

    assert checker.check(piece, Depth.FULL).read_bytes == 300_000
    rig.damage(location.storage_key, 290_000)
    assert checker.check(piece, Depth.FULL).fault is PieceFault.CHECKSUM
    rig.memories[0].faults.add(Call.READ, Fault.UNAVAILABLE)
    with pytest.raises(BackendUnavailable):
        checker.check(piece, Depth.FULL)
    rig.memories[0].delete(location.storage_key, 0)
    assert checker.check(piece, Depth.SIZE).fault is PieceFault.MISSING


class Verifying(Layer):
    """A store that is asked to verify what it has."""

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self.finds_bad = False

    def verify_in_place(self, storage_key: str, payload_bytes: int, block_crcs: bytes, /) -> bool:
        if self.finds_bad:
            raise PieceCorrupt("it says so", backend=self.name)
        return True


def test_a_store_that_verifies_a_piece_itself_sends_no_bytes_of_it(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=1)
    rig.put("key", payload_of(300_000))
    (location,) = rig.find("key").slices[0].locations
    store = Verifying(rig.memories[0])
    checker = PieceChecker(rig.store, Backends([store]), volumes=[])
    piece = rig.store.read(
        partial(find_piece, backend_id=location.backend_id, storage_key=location.storage_key)
    )
    assert piece is not None
    rig.memories[0].faults.add(Call.READ, Fault.UNAVAILABLE)

    verdict = checker.check(piece, Depth.FULL)

    assert (verdict.fault, verdict.read_bytes, verdict.is_readable) == (None, 0, True)
    assert not rig.memories[0].faults.is_spent()


@pytest.mark.parametrize("is_damaged", [True, False])
def test_what_it_finds_bad_is_read_before_it_is_believed(make_rig: MakeRig, is_damaged: bool) -> None:
    rig = make_rig(volume_count=0, memory_count=1)
    rig.put("key", payload_of(300_000))
    (location,) = rig.find("key").slices[0].locations
    store = Verifying(rig.memories[0])
    store.finds_bad = True
    checker = PieceChecker(rig.store, Backends([store]), volumes=[])
    piece = rig.store.read(
        partial(find_piece, backend_id=location.backend_id, storage_key=location.storage_key)
    )
    assert piece is not None
    if is_damaged:
        rig.damage(location.storage_key, 1000)

    verdict = checker.check(piece, Depth.FULL)

    assert verdict.fault is (PieceFault.CHECKSUM if is_damaged else None)
