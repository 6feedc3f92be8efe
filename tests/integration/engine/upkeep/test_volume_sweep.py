"""Only files given up whose time has come are unlinked; what cannot be accounted for is told, never deleted."""

import os
from functools import partial
from pathlib import Path

import pytest

from engine.backends.volume.disk import LinuxDisk
from engine.backends.volume.files import create_volume
from engine.backends.volume.format import read_storage_key
from engine.backends.volume.identity import IDENTITY_NAME
from engine.clock import uuid7
from engine.errors import LeaseLost
from engine.metadata import volumes
from engine.metadata.store import Tx
from engine.records import VolumeState
from engine.upkeep.volume_sweep import LEFTOVER_AGE_S, VolumeSweeper
from tests.support.deployments import TestDeployment
from tests.support.pieces import payload_of


def empty_volume(deployment: TestDeployment) -> bytes:
    """A volume that was given up and whose grace is over."""
    location = deployment.put("gone", payload_of(3000))
    deployment.delete("gone")
    deployment.reap()
    deployment.clean_up()
    deployment.backend.close_volumes()
    deployment.compact()
    deployment.clock.pass_grace()
    return read_storage_key(location.storage_key)[0]


def row_ids(deployment: TestDeployment) -> list[bytes]:
    rows = deployment.store.read(partial(volumes.list_volumes, backend_id=deployment.backend.backend_id))
    return [row.volume_id for row in rows]


def file_of(deployment: TestDeployment, volume_id: bytes) -> Path:
    return deployment.directory / "near" / f"{volume_id.hex()}.volume"


def test_a_death_between_unlinking_and_forgetting_is_made_up_for(deployment: TestDeployment) -> None:
    volume_id = empty_volume(deployment)

    def die(tx: Tx) -> None:
        raise LeaseLost

    with pytest.raises(LeaseLost):
        VolumeSweeper(deployment.store, [deployment.backend], fence=die, clock=deployment.clock).work()
    assert not file_of(deployment, volume_id).exists()
    assert row_ids(deployment) == [volume_id]

    assert deployment.sweeper().work().done_count == 1
    assert row_ids(deployment) == []


def test_a_file_that_no_row_names_is_told_and_kept(deployment: TestDeployment) -> None:
    deployment.put("key", payload_of(100))
    stranger = create_volume(
        LinuxDisk(), deployment.directory / "near", volume_id=uuid7(), identity_id=b"x" * 16, created_at_us=1
    )
    stranger.close()
    (deployment.directory / "near" / "notes.txt").write_text("somebody's")

    sweeper = deployment.sweeper()
    sweeper.work()

    assert sweeper.mismatch(deployment.backend).files_without_row == (stranger.volume_id,)
    assert stranger.path.exists()
    assert (deployment.directory / "near" / "notes.txt").exists()


def test_a_file_whose_row_is_about_to_be_written_is_not_told(deployment: TestDeployment) -> None:
    deployment.put("key", payload_of(100))
    fresh = create_volume(
        LinuxDisk(), deployment.directory / "near", volume_id=uuid7(), identity_id=b"x" * 16, created_at_us=1
    )

    assert deployment.sweeper().mismatch(deployment.backend).files_without_row == ()

    fresh.close()


def test_a_row_whose_file_is_missing_is_told_and_kept(deployment: TestDeployment) -> None:
    location = deployment.put("key", payload_of(100))
    volume_id = read_storage_key(location.storage_key)[0]
    deployment.backend.close_volumes()
    file_of(deployment, volume_id).unlink()

    sweeper = deployment.sweeper()
    sweeper.work()

    assert sweeper.mismatch(deployment.backend).rows_without_file == (volume_id,)
    assert row_ids(deployment) == [volume_id]


def test_a_gone_volume_that_a_location_still_names_is_not_unlinked(deployment: TestDeployment) -> None:
    # No code path leads here; unlinking is for ever, so the sweep asks once more.
    location = deployment.put("key", payload_of(100))
    volume_id = read_storage_key(location.storage_key)[0]
    deployment.backend.close_volumes()
    deployment.store.write(
        lambda tx: volumes.set_volume_state(
            tx, volume_id, from_state=VolumeState.CLOSED, to_state=VolumeState.GONE, unlink_after_us=1
        )
    )

    deployment.sweeper().work()

    assert deployment.get("key") == payload_of(100)


def test_a_gone_volume_with_a_damaged_header_is_kept_for_somebody_to_look(deployment: TestDeployment) -> None:
    volume_id = empty_volume(deployment)
    with file_of(deployment, volume_id).open("r+b") as file:
        file.write(bytes(8192))

    assert deployment.sweeper().work().deferred_count == 1

    assert file_of(deployment, volume_id).exists()
    assert row_ids(deployment) == [volume_id]


def test_nothing_is_judged_on_a_directory_that_is_not_ours(deployment: TestDeployment) -> None:
    volume_id = empty_volume(deployment)
    (deployment.directory / "near" / IDENTITY_NAME).unlink()

    assert deployment.sweeper().work().deferred_count == 1

    assert file_of(deployment, volume_id).exists()


def test_only_old_files_under_construction_are_dropped(deployment: TestDeployment) -> None:
    deployment.put("key", payload_of(100))
    old, new = (deployment.directory / "near" / f".{uuid7().hex()}.tmp" for _ in range(2))
    for path in (old, new):
        path.write_bytes(b"half")
    past_s = deployment.clock.now_us() / 1_000_000 - LEFTOVER_AGE_S - 60
    os.utime(old, (past_s, past_s))

    deployment.sweeper().work()

    assert not old.exists()
    assert new.exists()
