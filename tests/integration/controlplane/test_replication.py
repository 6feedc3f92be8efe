"""Operators see what lacks copies, have all of it repaired, and heal one object."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from penstock.admin.v1 import operation_pb2, operation_service_pb2
from penstock.admin.v1 import replication_service_pb2 as pb

from engine.metadata import repairs
from engine.metadata.pieces import StandingPiece, list_pieces_of
from engine.metadata.repairs import RepairKind
from engine.metadata.store import Tx
from engine.metadata.versions import find_current
from engine.records import Copies
from tests.integration.controlplane.clients import Client
from tests.support.control import RunningPlane, failure, put_object, wait_until, write_config
from tests.support.metadata import run_sql
from tests.support.pieces import payload_of

DATA = payload_of(300_000)


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RunningPlane]:
    """Two volumes that fail apart; the workers that would be quicker rest."""
    config = write_config(tmp_path)
    text = config.read_text()
    for name in ("v1", "v2"):
        text = text.replace(f"path: volumes/{name}", f"path: volumes/{name}, failure_domain: {name}")
    text += (
        "\nworkers: {replicator: {enabled: false}, trimmer: {enabled: false}, scrubber: {enabled: false}}\n"
    )
    config.write_text(text)
    with RunningPlane(config) as running:
        put_object(running.opened, "photos", "key", DATA)
        # It asks for two copies from now on, and has one.
        run_sql(running.opened.store, "UPDATE blobs SET scheme = :scheme", {"scheme": str(Copies(count=2))})
        yield running


def pieces(plane: RunningPlane, key: str = "key") -> list[StandingPiece]:
    def unit(tx: Tx) -> list[StandingPiece]:
        (part,) = find_current(tx, "photos", key.encode()).slices
        return list_pieces_of(tx, part.blob.blob_id)

    return plane.opened.store.read(unit)


def ended(client: Client, operation: Any) -> Any:
    request = operation_service_pb2.GetOperationRequest(name=operation.name)
    wait_until(lambda: bool(client("operation", request).operation.done), "the end of it")
    return client("operation", request).operation


def test_a_run_finds_what_lacks_copies_and_adds_them(plane: RunningPlane, client: Client) -> None:
    operation = ended(client, client("replication", pb.RunReplicationRequest()).operation)

    assert operation.state == operation_pb2.OPERATION_STATE_SUCCEEDED, operation.error_message
    assert dict(operation.result) == {
        "found_count": 1,
        "healed_count": 1,
        "trimmed_count": 0,
        "added_copy_count": 1,
        "removed_copy_count": 0,
    }
    assert len({each.location.backend_id for each in pieces(plane)}) == 2
    status = client("replication", pb.GetReplicationStatusRequest())
    assert (status.under_replicated.waiting_count, status.under_replicated.ended_count) == (0, 1)
    assert not status.stopped


def test_an_object_is_healed(plane: RunningPlane, client: Client) -> None:
    request = pb.HealObjectRequest(bucket="photos", key="key")

    operation = ended(client, client("replication", request).operation)

    assert operation.state == operation_pb2.OPERATION_STATE_SUCCEEDED, operation.error_message
    assert dict(operation.result)["added_copy_count"] == 1
    assert len({each.location.backend_id for each in pieces(plane)}) == 2


def test_what_waits_is_counted_and_listed_page_by_page(plane: RunningPlane, client: Client) -> None:
    blob_ids = sorted(bytes([number]) * 16 for number in range(3))

    def ask(tx: Tx) -> None:
        for blob_id in blob_ids:
            repairs.ask_repair(tx, RepairKind.TRIM, blob_id, reason="its backend has come back")

    plane.opened.store.write(ask)

    status = client("replication", pb.GetReplicationStatusRequest())
    request = pb.ListRepairsRequest(kind=pb.REPAIR_KIND_TRIM, page_size=2)
    first = client("replication", request)
    request.page_token = first.next_page_token
    rest = client("replication", request)

    assert status.over_replicated.waiting_count == 3
    assert [each.blob_id for each in (*first.repairs, *rest.repairs)] == [each.hex() for each in blob_ids]
    assert rest.next_page_token == ""
    assert first.repairs[0].reason == "its backend has come back"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (pb.ListRepairsRequest(), grpc.StatusCode.INVALID_ARGUMENT),
        (pb.HealObjectRequest(bucket="photos", key="none"), grpc.StatusCode.NOT_FOUND),
        (
            pb.HealObjectRequest(bucket="photos", key="key", version_id="nothing"),
            grpc.StatusCode.NOT_FOUND,
        ),
        (pb.RunReplicationRequest(max_bytes_per_second=-1), grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
def test_what_cannot_be_is_refused(plane: RunningPlane, client: Client, request_: Any, code: Any) -> None:
    assert failure(lambda: client("replication", request_)).code is code
