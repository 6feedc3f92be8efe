"""Fsck finds each kind of damage, calls nothing damaged that is not, and changes nothing."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from engine.backends.memory import MemoryBackend
from engine.backends.volume.format import FIRST_RECORD_OFFSET, read_storage_key
from engine.backends.volume.identity import IDENTITY_NAME
from engine.metadata import publish, quota
from engine.metadata.backends import ensure_backend
from engine.metadata.store import Store, Tx
from engine.names import BackendName
from engine.records import Location, LocationState
from engine.upkeep.fsck import Fsck
from engine.upkeep.fsck_report import FINDING_COUNT_MAX, FsckReport, FsckTally, Problem
from tests.support.deployments import BlobIdCards, TestDeployment
from tests.support.pieces import payload_of, tail_of

T = TypeVar("T")


def file_of(deployment: TestDeployment, location: Location) -> Path:
    volume_id, _ = read_storage_key(location.storage_key)
    return deployment.directory / "near" / f"{volume_id.hex()}.volume"


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


def problems(report: FsckReport) -> list[tuple[Problem, str]]:
    return [(finding.problem, finding.subject) for finding in report.findings]


def test_a_sound_deployment_has_no_findings_and_everything_is_counted(deployment: TestDeployment) -> None:
    for number in range(20):
        deployment.put(f"key-{number}", payload_of(5000 + number, seed=number))
    deployment.put("large", payload_of(1_500_000))
    for number in range(5):
        deployment.delete(f"key-{number}")
    deployment.put("key-7", payload_of(10))
    deployment.reap()
    deployment.prepare("never published", payload_of(2000))
    deployment.backend.open_writer(500_000, 16).abort()

    report = deployment.fsck()

    assert report.is_clean
    counts = report.counts
    assert (counts["blob_count"], counts["location_count"], counts["live_record_count"]) == (16, 16, 16)
    assert (counts["queued_record_count"], counts["dead_record_count"], counts["torn_count"]) == (6, 1, 1)
    assert counts["card_count"] == 16
    assert counts["verified_bytes"] == 1_500_000 + sum(5000 + n for n in range(5, 20) if n != 7) + 10
    assert counts["unknown_bytes"] == 0


def test_an_empty_deployment_is_clean(deployment: TestDeployment) -> None:
    assert deployment.fsck().is_clean


class BusyStore:
    """A store on which something else happens once, right after the read of that number."""

    def __init__(self, store: Store, after: int, change: Callable[[], object]) -> None:
        self._store = store
        self._after = after
        self._change = change
        self.read_count = 0
        self.write, self.look, self.close = store.write, store.look, store.close

    @property
    def waits_for_network(self) -> bool:
        return self._store.waits_for_network

    def read(self, unit: Callable[[Tx], T], /) -> T:
        result = self._store.read(unit)
        self.read_count += 1
        if self.read_count == self._after:
            self._change()
        return result


def grow(deployment: TestDeployment) -> None:
    deployment.put("fresh", payload_of(4000))


def overwrite(deployment: TestDeployment) -> None:
    deployment.put("key-0", payload_of(3000))
    deployment.reap()


def delete(deployment: TestDeployment) -> None:
    deployment.delete("key-1")
    deployment.reap()
    deployment.clean_up()


@pytest.mark.parametrize("change", [grow, overwrite, delete])
def test_what_changes_while_it_is_looked_at_is_no_damage(
    deployment: TestDeployment, change: Callable[[TestDeployment], None]
) -> None:
    after, read_count = 0, 1
    while after < read_count:
        after += 1
        for number in range(3):
            deployment.put(f"key-{number}", payload_of(500 + number))
        deployment.delete("fresh")
        deployment.reap()
        deployment.clean_up()
        store = BusyStore(deployment.store, after, partial(change, deployment))

        report = Fsck(store, [deployment.backend], volumes=[deployment.backend], cards=BlobIdCards()).run()

        read_count = store.read_count
        assert problems(report) == [], f"after read {after}"
    assert after > 10


def damaged(at: Callable[[int, Location], int]) -> Callable[[TestDeployment, Location], None]:
    def damage(deployment: TestDeployment, location: Location) -> None:
        offset = read_storage_key(location.storage_key)[1]
        flip(file_of(deployment, location), at(offset, location))

    return damage


def shift_row(deployment: TestDeployment, location: Location) -> None:
    volume_id, offset = read_storage_key(location.storage_key)
    deployment.move(location, f"{volume_id.hex()}:{offset + 64:010x}")


DAMAGES = {
    "payload": (Problem.BLOCK_DAMAGED, damaged(lambda offset, _: offset + 64 + 3000)),
    "header": (Problem.RECORD_DAMAGED, damaged(lambda offset, _: offset + 17)),
    "card": (Problem.RECORD_DAMAGED, damaged(lambda offset, _: offset + 64 + 6000 + 4 + 2)),
    "trailer": (Problem.RECORD_DAMAGED, damaged(lambda offset, location: offset + location.stored_bytes - 3)),
}


@pytest.mark.parametrize("where", DAMAGES)
def test_each_kind_of_damage_is_found_where_it_is_and_nowhere_else(
    deployment: TestDeployment, where: str
) -> None:
    problem, damage = DAMAGES[where]
    for number in range(5):
        deployment.put(f"key-{number}", payload_of(6000, seed=number))
    victim = deployment.location("key-2")

    damage(deployment, victim)

    assert problems(deployment.fsck()) == [(problem, victim.storage_key)]


def test_a_location_at_a_place_where_no_record_begins_is_missing(deployment: TestDeployment) -> None:
    deployment.put("key", payload_of(6000))
    deployment.put("other", payload_of(6000))

    shift_row(deployment, deployment.location("key"))

    assert problems(deployment.fsck()) == [(Problem.RECORD_MISSING, deployment.location("key").storage_key)]


def test_a_location_that_names_another_blobs_record_differs(deployment: TestDeployment) -> None:
    deployment.put("key", payload_of(6000, seed=1))
    other = deployment.put("other", payload_of(6000, seed=2))
    deployment.delete("other")
    deployment.reap()
    deployment.clean_up()

    deployment.move(deployment.location("key"), other.storage_key)

    moved = deployment.location("key").storage_key
    assert problems(deployment.fsck()) == [
        (Problem.RECORD_DIFFERS, moved),
        (Problem.CARD_DAMAGED, moved),
    ]


def test_a_torn_record_that_a_location_names_is_damaged(deployment: TestDeployment) -> None:
    deployment.put("first", payload_of(6000))
    last = deployment.put("last", payload_of(6000, seed=1))
    deployment.backend.close_volumes()
    os.truncate(file_of(deployment, last), read_storage_key(last.storage_key)[1] + 3000)

    assert problems(deployment.fsck()) == [(Problem.RECORD_DAMAGED, last.storage_key)]


def test_a_lost_file_is_told_with_all_that_lay_in_it(deployment: TestDeployment) -> None:
    lost = [deployment.put(f"key-{number}", payload_of(100, seed=number)) for number in range(3)]
    deployment.backend.close_volumes()
    file_of(deployment, lost[0]).unlink()

    found = problems(deployment.fsck())

    volume_id = read_storage_key(lost[0].storage_key)[0]
    assert found[0] == (Problem.ROW_WITHOUT_FILE, f"volume {volume_id.hex()}")
    assert found[1:] == [(Problem.RECORD_MISSING, location.storage_key) for location in lost]


def test_a_file_without_a_row_is_told(deployment: TestDeployment) -> None:
    location = deployment.put("key", payload_of(100))
    copy = file_of(deployment, location).with_name("0" * 32 + ".volume")
    copy.write_bytes(file_of(deployment, location).read_bytes())

    assert problems(deployment.fsck()) == [
        (Problem.FILE_WITHOUT_ROW, "volume " + "0" * 32),
        (Problem.VOLUME_UNREADABLE, "volume " + "0" * 32),
    ]


def test_a_file_without_a_header_is_told(deployment: TestDeployment) -> None:
    location = deployment.put("key", payload_of(100))
    with file_of(deployment, location).open("r+b") as file:
        file.write(bytes(FIRST_RECORD_OFFSET))

    found = problems(deployment.fsck())

    assert found == [(Problem.VOLUME_UNREADABLE, f"volume {read_storage_key(location.storage_key)[0].hex()}")]


def test_a_directory_that_is_not_ours_is_told(deployment: TestDeployment) -> None:
    deployment.put("key", payload_of(100))
    (deployment.directory / "near" / IDENTITY_NAME).unlink()

    assert (Problem.BACKEND_UNREACHABLE, "near") in problems(deployment.fsck())


def test_a_piece_nobody_trusts_leaves_its_blob_short(deployment: TestDeployment) -> None:
    location = deployment.put("key", payload_of(100))

    deployment.mark(location, LocationState.SUSPECT)

    report = deployment.fsck()
    assert problems(report) == [(Problem.PIECES_MISSING, f"blob {location.blob_id.hex()}")]
    assert report.counts["suspect_count"] == 1


def test_wrong_accounts_are_told(deployment: TestDeployment) -> None:
    deployment.put("key", payload_of(100))
    subject = quota.backend_subject(deployment.backend.backend_id)
    deployment.store.write(lambda tx: quota.take(tx, subject, size_bytes=7))

    assert problems(deployment.fsck()) == [(Problem.COUNTER, subject)]


def test_the_bytes_of_a_volume_stored_as_an_object_are_an_object(deployment: TestDeployment) -> None:
    for number in range(4):
        deployment.put(f"key-{number}", payload_of(3000, seed=number))
    uploaded = file_of(deployment, deployment.location("key-0")).read_bytes()

    deployment.put("the volume itself", uploaded)
    deployment.put("shifted", b"x" * 61 + uploaded)
    deployment.put("after", payload_of(3000))

    report = deployment.fsck()
    assert report.is_clean
    assert (report.counts["live_record_count"], report.counts["dead_record_count"]) == (7, 0)


def test_fsck_changes_nothing(deployment: TestDeployment) -> None:
    for number in range(4):
        deployment.put(f"key-{number}", payload_of(3000, seed=number))
    flip(file_of(deployment, deployment.location("key-1")), FIRST_RECORD_OFFSET + 100)
    before = [path.read_bytes() for path in deployment.volume_files()]

    first, second = deployment.fsck(), deployment.fsck()

    assert first == second
    assert [path.read_bytes() for path in deployment.volume_files()] == before


def test_a_piece_published_after_its_file_was_read_is_no_fault(deployment: TestDeployment) -> None:
    location, (new, barriers) = deployment.prepare("late", payload_of(3000))
    deployment.store.write(partial(publish.publish, new=new), after=barriers)

    assert deployment.fsck().counts["live_record_count"] == 1
    assert deployment.location("late") == location


def test_pieces_on_a_backend_that_cannot_be_listed_are_read_one_by_one(deployment: TestDeployment) -> None:
    backend_id = deployment.store.write(
        partial(
            ensure_backend,
            name=BackendName("far"),
            kind="memory",
            node=None,
            failure_domain="cloud",
            identity_id=b"backend--------2",
            quota_bytes=None,
        )
    )
    far = MemoryBackend(backend_id=backend_id, name=BackendName("far"))
    for number in range(4):
        payload = payload_of(3000, seed=number)
        piece = far.store(memoryview(payload), tail_of(payload), storage_key=f"pieces/00/{number}")
        _, (new, _) = deployment.prepare(f"key-{number}", payload)
        old = new.blobs[0].locations[0]
        moved = replace(
            old, backend_id=backend_id, storage_key=piece.storage_key, stored_bytes=piece.stored_bytes
        )
        blobs = (replace(new.blobs[0], locations=(moved,)),)
        deployment.store.write(partial(publish.publish, new=replace(new, blobs=blobs)))
    fsck = Fsck(deployment.store, [deployment.backend, far], volumes=[deployment.backend])
    assert fsck.run().is_clean

    far.flip_bit("pieces/00/1", 500)
    far.delete("pieces/00/2", 1)
    far.truncate("pieces/00/3", 100)

    assert problems(fsck.run()) == [
        (Problem.BLOCK_DAMAGED, "pieces/00/1"),
        (Problem.RECORD_MISSING, "pieces/00/2"),
        (Problem.RECORD_DAMAGED, "pieces/00/3"),
    ]


def test_a_report_stays_bounded() -> None:
    tally = FsckTally()
    for number in range(FINDING_COUNT_MAX + 5):
        tally.find(Problem.RECORD_MISSING, str(number))

    report = tally.report()

    assert len(report.findings) == FINDING_COUNT_MAX
    assert report.finding_count == FINDING_COUNT_MAX + 5
    assert not report.is_clean
