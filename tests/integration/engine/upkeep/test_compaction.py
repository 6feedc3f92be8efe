"""Compaction gives dead space back and never a live byte away, wherever it is stopped and whoever comes between."""

import itertools
import logging
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from engine.backends.volume.format import read_storage_key
from engine.errors import BackendError, LeaseLost, PlacementRefused
from engine.metadata import publish, volumes
from engine.metadata.store import Tx
from engine.records import Location, LocationState, Progress, VolumeState
from engine.units import BLOCK_BYTES, MIB
from engine.upkeep.fsck_report import Problem
from tests.support.deployments import GRACE_US, TestDeployment
from tests.support.moving import Unpaced
from tests.support.pieces import payload_of
from tests.support.volumes import FailingDisk

Contents = dict[str, bytes]


def fill(deployment: TestDeployment, count: int = 30, size_bytes: int = 20_000) -> Contents:
    """Objects over several files, all of them closed."""
    contents = {f"key-{number}": payload_of(size_bytes + number, seed=number) for number in range(count)}
    for key, payload in contents.items():
        deployment.put(key, payload)
    deployment.backend.close_volumes()
    return contents


def thin_out(deployment: TestDeployment, contents: Contents, *, keep_every: int = 3) -> Contents:
    """Delete most objects, all the way to their cleanup rows."""
    for number, key in enumerate(contents):
        if number % keep_every:
            deployment.delete(key)
    deployment.reap()
    deployment.clean_up()
    return {
        key: payload for number, (key, payload) in enumerate(contents.items()) if number % keep_every == 0
    }


def all_read_back(deployment: TestDeployment, contents: Contents) -> bool:
    return all(deployment.get(key) == payload for key, payload in contents.items())


def states(deployment: TestDeployment) -> list[VolumeState]:
    rows = deployment.store.read(lambda tx: volumes.list_volumes(tx, deployment.backend.backend_id))
    return [row.state for row in rows]


def file_of(deployment: TestDeployment, location: Location) -> Path:
    volume_id, _ = read_storage_key(location.storage_key)
    return deployment.directory / "near" / f"{volume_id.hex()}.volume"


def test_volumes_without_live_pieces_are_given_up_and_unlinked_after_the_grace(
    deployment: TestDeployment,
) -> None:
    contents = fill(deployment)
    for key in contents:
        deployment.delete(key)
    deployment.reap()
    deployment.clean_up()
    file_count = len(deployment.volume_files())
    assert file_count > 2

    done, deferred = deployment.compact()

    assert (done, deferred) == (file_count, 0)
    assert set(states(deployment)) == {VolumeState.GONE}
    assert deployment.sweeper().work().done_count == 0
    assert len(deployment.volume_files()) == file_count
    deployment.clock.pass_grace()
    assert deployment.sweeper().work().done_count == file_count
    assert deployment.volume_files() == []
    assert states(deployment) == []
    assert deployment.fsck().findings == ()


def test_live_pieces_of_mostly_dead_volumes_move_and_read_back(deployment: TestDeployment) -> None:
    kept = thin_out(deployment, fill(deployment))
    before = deployment.volume_files()

    deployment.compact()
    deployment.clock.pass_grace()
    deployment.sweeper().work()
    deployment.clean_up()

    assert all_read_back(deployment, kept)
    assert set(before).isdisjoint(deployment.volume_files())
    report = deployment.fsck()
    assert report.findings == ()
    assert report.counts["live_record_count"] == len(kept)


@pytest.mark.parametrize(
    "size_bytes", [BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES - 1, MIB - 100, MIB, MIB + 1]
)
def test_pieces_of_several_blocks_move_byte_for_byte(tmp_path: Path, size_bytes: int) -> None:
    deployment = TestDeployment(tmp_path, size_max_bytes=3 * MIB)
    kept = payload_of(size_bytes)
    deployment.put("kept", kept)
    for key in ("dead", "dead too"):
        deployment.put(key, payload_of(size_bytes, seed=1))
    deployment.backend.close_volumes()
    before = deployment.location("kept")
    for key in ("dead", "dead too"):
        deployment.delete(key)
    deployment.reap()
    deployment.clean_up()

    deployment.compact()

    assert deployment.location("kept") != before
    assert deployment.get("kept") == kept
    assert deployment.fsck().findings == ()
    deployment.close()


def test_large_pieces_are_streamed_across(tmp_path: Path) -> None:
    deployment = TestDeployment(tmp_path, size_max_bytes=3 * MIB)
    contents = {f"key-{number}": payload_of(MIB + 300_000 + number, seed=number) for number in range(6)}
    for key, payload in contents.items():
        deployment.put(key, payload)
    deployment.backend.close_volumes()
    kept = thin_out(deployment, contents)

    deployment.compact()

    assert all_read_back(deployment, kept)
    assert VolumeState.GONE in states(deployment)
    assert deployment.fsck().findings == ()
    deployment.close()


def test_whatever_moves_was_asked_of_the_pace_before(deployment: TestDeployment) -> None:
    kept = thin_out(deployment, fill(deployment))
    pace = Unpaced()
    compactor = deployment.compactor(pace=pace)
    moved_bytes = sum(map(len, kept.values()))

    while compactor.work().has_more:
        assert pace.taken_bytes <= moved_bytes

    assert pace.taken_bytes == moved_bytes
    assert all_read_back(deployment, kept)


def test_a_volume_that_is_mostly_alive_stays(deployment: TestDeployment) -> None:
    contents = fill(deployment)
    before = deployment.volume_files()
    for key in list(contents)[::4]:
        deployment.delete(key)
    deployment.reap()
    deployment.clean_up()

    assert deployment.compact() == (0, 0)
    assert deployment.volume_files() == before


def test_a_volume_that_is_appended_to_is_left_alone(deployment: TestDeployment) -> None:
    deployment.put("key", payload_of(1000))
    deployment.delete("key")
    deployment.reap()
    deployment.clean_up()

    assert deployment.compact() == (0, 0)

    assert states(deployment) == [VolumeState.OPEN]


def test_an_open_volume_of_a_dead_process_is_compacted(deployment: TestDeployment) -> None:
    deployment.put("key", payload_of(1000))
    deployment.delete("key")
    deployment.reap()
    deployment.clean_up()
    deployment.reopen()

    assert deployment.compact() == (1, 0)

    assert states(deployment) == [VolumeState.GONE]


def test_one_unit_moves_no_more_than_it_may(deployment: TestDeployment) -> None:
    thin_out(deployment, fill(deployment, count=60, size_bytes=2000), keep_every=2)

    progress = deployment.compactor(unit_count_max=3).work()

    assert progress.has_more
    assert progress.done_count <= 3


def test_a_file_that_was_written_to_just_now_may_hold_the_beginning_of_a_large_body(
    deployment: TestDeployment,
) -> None:
    _, (new, barriers) = deployment.prepare("key", payload_of(2 * MIB))
    deployment.backend.close_volumes()
    compactor = deployment.compactor(rest_us=GRACE_US)

    assert compactor.work() == Progress()

    deployment.store.write(partial(publish.publish, new=new), after=barriers)
    assert deployment.get("key") == payload_of(2 * MIB)


def test_a_file_that_nobody_wrote_to_for_long_holds_nothing_that_is_on_its_way(
    deployment: TestDeployment,
) -> None:
    deployment.prepare("key", payload_of(2 * MIB))
    deployment.backend.close_volumes()
    compactor = deployment.compactor(rest_us=GRACE_US)
    deployment.clock.pass_grace()

    while compactor.work().has_more:
        pass

    assert VolumeState.GONE in states(deployment)


class Stopped(Exception):
    """The process died here."""


def stop_at(number: int) -> Callable[[object], None]:
    calls = itertools.count()

    def hook(_: object) -> None:
        if next(calls) == number:
            raise Stopped

    return hook


@pytest.mark.parametrize("number", range(12))
def test_a_death_at_any_transaction_loses_nothing_and_the_next_run_finishes(
    tmp_path: Path, number: int
) -> None:
    # The fence runs first in every transaction of the worker: raising there is a death after all that came before.
    deployment = TestDeployment(tmp_path, size_max_bytes=100_000)
    kept = thin_out(deployment, fill(deployment, count=20))
    try:
        deployment.compact(fence=stop_at(number))
    except Stopped:
        pass

    deployment.reopen()
    assert all_read_back(deployment, kept)
    deployment.compact()
    deployment.clock.pass_grace()
    deployment.sweeper().work()
    deployment.clean_up()

    assert all_read_back(deployment, kept)
    assert VolumeState.COMPACTING not in states(deployment)
    assert deployment.fsck().findings == ()
    deployment.close()


@pytest.mark.parametrize("call", ["write", "sync", "sync_directory", "punch"])
def test_the_nth_failing_call_to_the_disk_loses_nothing(tmp_path: Path, call: str) -> None:
    for number in itertools.count():
        calls = itertools.count()
        armed: list[bool] = []

        def fail(
            name: str, calls: Iterator[int] = calls, armed: list[bool] = armed, number: int = number
        ) -> None:
            if armed and name == call and next(calls) == number:
                raise OSError(5, "Input/output error")

        directory = tmp_path / str(number)
        directory.mkdir()
        deployment = TestDeployment(directory, size_max_bytes=60_000, disk=FailingDisk(fail))
        kept = thin_out(deployment, fill(deployment, count=8))
        armed.append(True)
        try:
            deployment.compact()
            deployment.clean_up()
        except BackendError:
            pass
        assert all_read_back(deployment, kept)

        deployment.reopen()
        deployment.compact()
        deployment.clean_up()
        assert all_read_back(deployment, kept)
        assert deployment.fsck().findings == ()
        deployment.close()
        if next(calls) <= number:
            return


def damage(deployment: TestDeployment, location: Location, *, at: int) -> None:
    with file_of(deployment, location).open("r+b") as file:
        file.seek(read_storage_key(location.storage_key)[1] + at)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


@pytest.mark.parametrize("at", [20, 64 + 5000], ids=["header", "payload"])
def test_a_record_that_does_not_verify_keeps_its_file_and_raises_an_alarm(
    deployment: TestDeployment, caplog: pytest.LogCaptureFixture, at: int
) -> None:
    kept = thin_out(deployment, fill(deployment))
    bad_key = list(kept)[1]
    bad = deployment.location(bad_key)
    damage(deployment, bad, at=at)
    compactor = deployment.compactor()

    with caplog.at_level(logging.CRITICAL):
        while compactor.work().has_more:
            pass
    deployment.clock.pass_grace()
    deployment.sweeper().work()

    assert compactor.damaged_count == 1
    assert VolumeState.COMPACTING in states(deployment)
    assert [record.message for record in caplog.records].count("volume.compaction_stopped") == 2
    assert deployment.volume_files().count(file_of(deployment, bad)) == 1
    assert deployment.location(bad_key).storage_key == bad.storage_key
    assert deployment.location(bad_key).state is LocationState.SUSPECT
    assert all_read_back(deployment, {key: payload for key, payload in kept.items() if key != bad_key})
    report = deployment.fsck()
    assert Problem.PIECES_MISSING in {finding.problem for finding in report.findings}


def test_a_record_that_is_not_the_one_the_metadata_means_is_not_moved(deployment: TestDeployment) -> None:
    contents = fill(deployment, count=3)
    other = deployment.location("key-1").storage_key
    deployment.delete("key-1")
    deployment.delete("key-2")
    deployment.reap()
    deployment.clean_up()
    deployment.move(deployment.location("key-0"), other)
    compactor = deployment.compactor()

    while compactor.work().has_more:
        pass

    assert compactor.damaged_count == 1
    assert deployment.location("key-0").storage_key == other
    assert len(contents) == 3


def test_a_damaged_volume_header_stops_compaction_of_that_file_alone(deployment: TestDeployment) -> None:
    kept = thin_out(deployment, fill(deployment))
    victim = deployment.volume_files()[0]
    with victim.open("r+b") as file:
        file.write(bytes(8192))

    done, deferred = deployment.compact()
    deployment.clock.pass_grace()
    deployment.sweeper().work()

    assert done > 0
    assert deferred == 1
    assert victim in deployment.volume_files()
    assert all_read_back(deployment, kept)


def test_a_piece_not_yet_published_when_compaction_begins_is_refused(deployment: TestDeployment) -> None:
    _, (new, barriers) = deployment.prepare("late", payload_of(5000))
    deployment.backend.close_volumes()

    deployment.compact()

    with pytest.raises(PlacementRefused):
        deployment.store.write(lambda tx: publish.publish(tx, new), after=barriers)


def test_a_piece_published_before_compaction_begins_moves_with_the_others(deployment: TestDeployment) -> None:
    kept = thin_out(deployment, fill(deployment, count=6))
    _, (new, barriers) = deployment.prepare("late", payload_of(5000))
    deployment.backend.close_volumes()
    deployment.store.write(lambda tx: publish.publish(tx, new), after=barriers)

    deployment.compact()

    assert deployment.get("late") == payload_of(5000)
    assert all_read_back(deployment, kept)


def test_an_object_deleted_while_its_piece_is_copied_stays_deleted(tmp_path: Path) -> None:
    hooks: list[Callable[[], None]] = []

    def between(name: str) -> None:
        if name == "write" and hooks:
            hooks.pop()()

    deployment = TestDeployment(tmp_path, size_max_bytes=100_000, disk=FailingDisk(between))
    kept = thin_out(deployment, fill(deployment, count=12))
    victim = next(iter(kept))

    def delete() -> None:
        deployment.delete(victim)
        deployment.reap()

    hooks.append(delete)
    deployment.compact()
    deployment.clean_up()

    assert not hooks
    del kept[victim]
    assert all_read_back(deployment, kept)
    report = deployment.fsck()
    assert report.findings == ()
    assert report.counts["live_record_count"] == len(kept)
    deployment.close()


def test_a_copy_in_a_file_that_is_being_emptied_itself_is_not_switched_to(deployment: TestDeployment) -> None:
    kept = thin_out(deployment, fill(deployment))

    def another_leader(tx: Tx) -> None:
        for row in volumes.list_volumes(tx, deployment.backend.backend_id):
            if row.state is VolumeState.OPEN:
                volumes.set_volume_state(
                    tx, row.volume_id, from_state=VolumeState.OPEN, to_state=VolumeState.COMPACTING
                )

    before = {key: deployment.location(key).storage_key for key in kept}
    compactor = deployment.compactor(fence=another_leader)
    for _ in range(2):
        compactor.work()

    assert {key: deployment.location(key).storage_key for key in kept} == before
    assert all_read_back(deployment, kept)


def test_a_lost_lease_rolls_the_switch_back(deployment: TestDeployment) -> None:
    kept = thin_out(deployment, fill(deployment))
    before = {key: deployment.location(key).storage_key for key in kept}
    calls = itertools.count()

    def fence(tx: Tx) -> None:
        if next(calls) > 0:
            raise LeaseLost

    with pytest.raises(LeaseLost):
        deployment.compact(fence=fence)

    assert {key: deployment.location(key).storage_key for key in kept} == before


def test_a_reader_that_is_open_goes_on_through_copy_switch_and_unlink(deployment: TestDeployment) -> None:
    kept = thin_out(deployment, fill(deployment))
    key, payload = next(iter(kept.items()))
    old = deployment.location(key)
    reader = deployment.backend.open_reader(old.storage_key, len(payload))

    deployment.compact()
    deployment.clock.pass_grace()
    deployment.sweeper().work()

    buffer = bytearray(len(payload))
    reader.read_into(0, memoryview(buffer))
    reader.close()
    assert buffer == payload
    assert not file_of(deployment, old).exists()
    assert deployment.location(key).storage_key != old.storage_key


def test_a_full_disk_puts_compaction_off_and_loses_nothing(deployment: TestDeployment) -> None:
    kept = thin_out(deployment, fill(deployment))
    deployment.volume_options["free_min_bytes"] = 1 << 60
    deployment.reopen()

    done, deferred = deployment.compact()

    assert done == 0
    assert deferred > 0
    assert all_read_back(deployment, kept)


def test_writes_go_on_while_volumes_are_compacted(deployment: TestDeployment) -> None:
    kept = thin_out(deployment, fill(deployment))
    other = deployment.open_backend()
    numbers = itertools.count()

    def write() -> None:
        number = next(numbers)
        kept[f"new-{number}"] = payload_of(7000, seed=number)
        deployment.put(f"new-{number}", kept[f"new-{number}"], through=other)

    deployment.compact(after_unit=write)

    other.close()
    assert next(numbers) > 3
    assert all_read_back(deployment, kept)
    assert deployment.fsck().findings == ()


def test_copies_are_synced_before_a_transaction_names_them(tmp_path: Path) -> None:
    events: list[str] = []
    deployment = TestDeployment(tmp_path, size_max_bytes=100_000, disk=FailingDisk(events.append))
    thin_out(deployment, fill(deployment, count=12))
    events.clear()

    deployment.compact(fence=lambda tx: events.append("transaction"))

    unsynced = False
    for event in events:
        if event == "write":
            unsynced = True
        elif event == "sync":
            unsynced = False
        elif event == "transaction":
            assert not unsynced
    assert events.count("write") > 0
    deployment.close()
