"""Rows decide who may append to a file: closed for good means for every process that comes later."""

from functools import partial
from pathlib import Path

import pytest

from engine.backends.volume.format import read_storage_key
from engine.clock import uuid7
from engine.errors import BackendUnavailable
from engine.metadata import volumes
from engine.records import VolumeRow, VolumeState
from engine.upkeep.volume_ledger import StoredVolumeLedger
from tests.support.deployments import TestDeployment
from tests.support.pieces import payload_of
from tests.support.volumes import FailingDisk


def row_of(deployment: TestDeployment, volume_id: bytes) -> VolumeRow:
    rows = deployment.store.read(partial(volumes.list_volumes, backend_id=deployment.backend.backend_id))
    (row,) = (row for row in rows if row.volume_id == volume_id)
    return row


def test_a_file_changes_owner_when_another_process_takes_it(deployment: TestDeployment) -> None:
    backend_id = deployment.backend.backend_id
    volume_id, one, other = uuid7(), uuid7(), uuid7()

    assert StoredVolumeLedger(deployment.store, backend_id=backend_id, process_id=one).opened(volume_id)
    assert StoredVolumeLedger(deployment.store, backend_id=backend_id, process_id=other).opened(volume_id)

    row = row_of(deployment, volume_id)
    assert (row.state, row.owner_process) == (VolumeState.OPEN, other)


@pytest.mark.parametrize("state", [VolumeState.CLOSED, VolumeState.COMPACTING, VolumeState.GONE])
def test_only_an_open_file_takes_appends(deployment: TestDeployment, state: VolumeState) -> None:
    ledger = StoredVolumeLedger(
        deployment.store, backend_id=deployment.backend.backend_id, process_id=uuid7()
    )
    volume_id = uuid7()
    ledger.opened(volume_id)
    deployment.store.write(
        lambda tx: volumes.set_volume_state(tx, volume_id, from_state=VolumeState.OPEN, to_state=state)
    )

    assert not ledger.opened(volume_id)
    assert row_of(deployment, volume_id).state is state


def test_a_closing_told_twice_changes_nothing(deployment: TestDeployment) -> None:
    ledger = StoredVolumeLedger(
        deployment.store, backend_id=deployment.backend.backend_id, process_id=uuid7()
    )
    volume_id = uuid7()
    ledger.opened(volume_id)

    ledger.closed(volume_id, 4096)
    ledger.closed(volume_id, 9999)

    assert (row_of(deployment, volume_id).state, row_of(deployment, volume_id).size_bytes) == (
        VolumeState.CLOSED,
        4096,
    )


def test_a_poisoned_file_is_never_appended_to_again_by_anybody(tmp_path: Path) -> None:
    failing: list[bool] = []

    def fail_sync(call: str) -> None:
        if failing and call == "sync":
            raise OSError(5, "Input/output error")

    deployment = TestDeployment(tmp_path, disk=FailingDisk(fail_sync))
    poisoned = deployment.put("before", payload_of(100))
    failing.append(True)
    with pytest.raises(BackendUnavailable):
        deployment.put("lost", payload_of(200))
    failing.clear()
    deployment.put("after", payload_of(300))
    size_bytes = deployment.volume_files()[0].stat().st_size

    deployment.reopen()
    later = deployment.put("later", payload_of(400))

    volume_id = read_storage_key(poisoned.storage_key)[0]
    assert read_storage_key(later.storage_key)[0] != volume_id
    assert row_of(deployment, volume_id).state is VolumeState.CLOSED
    assert deployment.volume_files()[0].stat().st_size == size_bytes
    assert deployment.get("before") == payload_of(100)
    assert deployment.fsck().is_clean
    deployment.close()
