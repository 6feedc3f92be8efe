"""Scrub, reconcile and maintenance over the API: found, told, settled when told, and nothing else touched."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import field_mask_pb2
from google.protobuf.json_format import MessageToDict
from penstock.admin.v1 import (
    discrepancy_pb2,
    maintenance_service_pb2,
    operation_pb2,
    operation_service_pb2,
    reconcile_service_pb2,
    scrub_service_pb2,
    worker_pb2,
    worker_service_pb2,
)

from controlplane.integrity import integrity_parts
from engine.metadata.versions import find_current
from engine.names import bucket_name, object_key
from engine.records import Location
from tests.integration.controlplane.clients import Client
from tests.support.control import RunningPlane, failure, put_object, wait_until, write_config
from tests.support.pieces import payload_of

BUCKET = "photos"
DATA = payload_of(300_000)
WAIT_S = 30.0
D = discrepancy_pb2


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RunningPlane]:
    """Two copies of everything; nobody scrubs but who is asked to."""
    extra = (
        "storage: {default_scheme: copies(2), read_grace: 0s}\n"
        "workers: {scrubber: {enabled: false}, cleanup: {interval: 0.1s}}"
    )
    config = write_config(tmp_path, extra=extra)
    config.write_text(
        config.read_text()
        .replace("path: volumes/v1}", "path: volumes/v1, failure_domain: one}")
        .replace("path: volumes/v2}", "path: volumes/v2, failure_domain: two}")
    )
    with RunningPlane(config) as plane:
        yield plane


def locations(plane: RunningPlane, key: str) -> tuple[Location, ...]:
    stored = plane.opened.store.read(
        lambda tx: find_current(tx, bucket_name(BUCKET), object_key(key.encode()))
    )
    return tuple(stored.slices[0].locations)


def flip(plane: RunningPlane, location: Location, at: int = 5000) -> None:
    volume_id, _, offset = location.storage_key.partition(":")
    (path,) = plane.config.parent.glob(f"volumes/*/{volume_id}.volume")
    with path.open("r+b") as file:
        file.seek(int(offset, 16) + 64 + at)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))


def ended(client: Client, answer: Any) -> operation_pb2.Operation:
    """The operation of an answer, once it has ended."""
    name, deadline_s = answer.operation.name, time.monotonic() + WAIT_S
    while True:
        operation: operation_pb2.Operation = client(
            "operation", operation_service_pb2.GetOperationRequest(name=name)
        ).operation
        if operation.done:
            return operation
        assert time.monotonic() < deadline_s, operation
        time.sleep(0.05)


def result_of(client: Client, answer: Any) -> dict[str, Any]:
    operation = ended(client, answer)
    assert operation.state == operation_pb2.OPERATION_STATE_SUCCEEDED, operation
    return MessageToDict(operation.result)


def test_a_comparison_lists_what_it_finds_and_settling_heals_it(plane: RunningPlane, client: Client) -> None:
    for number in range(3):
        put_object(plane.opened, BUCKET, f"key-{number}", DATA)
    bad, good = locations(plane, "key-1")
    flip(plane, bad)
    stranger = plane.config.parent / "volumes" / "v1" / "holiday.jpg"
    stranger.write_bytes(b"somebody's")

    found = result_of(client, client("reconcile", reconcile_service_pb2.StartReconcileRequest()))

    assert found == {"checksum_count": 1, "foreign_count": 1}
    listed = client("reconcile", reconcile_service_pb2.ListDiscrepanciesRequest()).discrepancies
    assert {(each.kind, each.subject) for each in listed} == {
        (D.DISCREPANCY_KIND_CHECKSUM, bad.storage_key),
        (D.DISCREPANCY_KIND_FOREIGN, "holiday.jpg"),
    }
    assert locations(plane, "key-1") == (bad, good)

    settled = result_of(
        client,
        client("reconcile", reconcile_service_pb2.ResolveDiscrepanciesRequest(repair=D.REPAIR_BOTH)),
    )

    assert settled == {"settled_count": 1, "left_count": 1}
    assert locations(plane, "key-1")[0].storage_key != bad.storage_key
    assert stranger.read_bytes() == b"somebody's"
    status = client("reconcile", reconcile_service_pb2.GetReconcileStatusRequest())
    assert {(each.kind, each.settled, each.count) for each in status.counts} == {
        (D.DISCREPANCY_KIND_FOREIGN, False, 1),
        (D.DISCREPANCY_KIND_CHECKSUM, True, 1),
    }
    assert status.last_operation.state == operation_pb2.OPERATION_STATE_SUCCEEDED
    (left,) = client("reconcile", reconcile_service_pb2.ListDiscrepanciesRequest()).discrepancies
    assert "never touched" in left.resolution
    fsck = result_of(client, client("maintenance", maintenance_service_pb2.FsckRequest()))
    assert fsck["is_clean"], fsck


def test_a_scrub_heals_what_it_finds_and_status_and_lists_tell(plane: RunningPlane, client: Client) -> None:
    for key in ("a/1", "a/2", "b/1"):
        put_object(plane.opened, BUCKET, key, DATA)
    bad, _ = locations(plane, "b/1")
    flip(plane, bad)
    verified = client("scrub", scrub_service_pb2.VerifyObjectRequest(bucket=BUCKET, key="b/1"))
    assert [each.good for each in verified.copies] == [False, True]
    assert "does not verify" in verified.copies[0].problem
    assert verified.next_page_token == ""

    elsewhere = result_of(
        client, client("scrub", scrub_service_pb2.RunScrubRequest(bucket=BUCKET, prefix="a/"))
    )
    everything = result_of(client, client("scrub", scrub_service_pb2.RunScrubRequest()))

    assert (elsewhere["checked_count"], elsewhere["bad_count"]) == (4, 0)
    assert everything["checked_count"] >= 6
    assert (everything["bad_count"], everything["healed_count"]) == (1, 1)
    again = client("scrub", scrub_service_pb2.VerifyObjectRequest(bucket=BUCKET, key="b/1"))
    assert [each.good for each in again.copies] == [True, True]
    assert client("scrub", scrub_service_pb2.ListCorruptCopiesRequest()).copies == []
    status = client("scrub", scrub_service_pb2.GetIntegrityStatusRequest())
    assert [each.piece_count for each in status.backends] == [3, 3]
    assert status.scrub_period.seconds == 30 * 86400


def test_copies_that_stay_bad_are_listed_by_page(plane: RunningPlane, client: Client) -> None:
    for number in range(3):
        put_object(plane.opened, BUCKET, f"key-{number}", DATA)
        for each in locations(plane, f"key-{number}"):
            flip(plane, each)
    result = result_of(client, client("scrub", scrub_service_pb2.RunScrubRequest()))
    assert (result["bad_count"], result["healed_count"]) == (6, 0)

    found: list[str] = []
    token = ""
    while True:
        page = client("scrub", scrub_service_pb2.ListCorruptCopiesRequest(page_size=4, page_token=token))
        found += [each.storage_key for each in page.copies]
        assert all(each.good_copy_count == 0 for each in page.copies)
        token = page.next_page_token
        if not token:
            break

    assert sorted(found) == sorted(
        each.storage_key for number in range(3) for each in locations(plane, f"key-{number}")
    )


def test_the_scrubber_heals_what_a_read_stumbled_over(plane: RunningPlane, client: Client) -> None:
    put_object(plane.opened, BUCKET, "key", DATA)
    bad, _ = locations(plane, "key")
    flip(plane, bad)
    plane.opened.use.suspicions.add(bad, "a test")
    plane.opened.use.suspicions.flush()
    update = worker_service_pb2.UpdateWorkerRequest(
        worker=worker_pb2.Worker(name="workers/scrubber", overrides=worker_pb2.WorkerOverrides(enabled=True)),
        update_mask=field_mask_pb2.FieldMask(paths=["overrides.enabled"]),
    )
    client("worker", update)

    wait_until(lambda: locations(plane, "key")[0].storage_key != bad.storage_key, "the heal")


def test_compaction_and_recount_answer_what_they_did(plane: RunningPlane, client: Client) -> None:
    put_object(plane.opened, BUCKET, "key", DATA)

    compacted = result_of(
        client, client("maintenance", maintenance_service_pb2.CompactRequest(all=True, dry_run=True))
    )
    recounted = result_of(client, client("maintenance", maintenance_service_pb2.RecountQuotasRequest()))

    assert set(compacted) <= {"volume_count", "reclaimed_bytes", "skipped_count"}
    assert recounted == {"corrected_count": 0}


@pytest.mark.parametrize(
    ("service", "request_", "field"),
    [
        ("scrub", scrub_service_pb2.RunScrubRequest(prefix="a"), "prefix"),
        ("scrub", scrub_service_pb2.RunScrubRequest(sample=1.5), "sample"),
        ("scrub", scrub_service_pb2.RunScrubRequest(sample=float("nan")), "sample"),
        ("scrub", scrub_service_pb2.RunScrubRequest(max_bytes_per_second=-1), "max_bytes_per_second"),
        ("scrub", scrub_service_pb2.RunScrubRequest(backend="v1"), "backend"),
        ("scrub", scrub_service_pb2.RunScrubRequest(backend="backends/v1", bucket="photos"), "backend"),
        ("scrub", scrub_service_pb2.ListCorruptCopiesRequest(page_token="W10="), "page_token"),
        ("scrub", scrub_service_pb2.ListCorruptCopiesRequest(page_token="MQ=="), "page_token"),
        ("reconcile", reconcile_service_pb2.ResolveDiscrepanciesRequest(), "repair"),
        ("reconcile", reconcile_service_pb2.StartReconcileRequest(backends=["x"]), "backends"),
        ("reconcile", reconcile_service_pb2.ListDiscrepanciesRequest(page_token="YQ=="), "page_token"),
        ("maintenance", maintenance_service_pb2.CompactRequest(), "backend"),
        ("maintenance", maintenance_service_pb2.CompactRequest(backend="backends/v1", all=True), "backend"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_field(
    plane: RunningPlane, client: Client, service: str, request_: Any, field: str
) -> None:
    refused = failure(lambda: client(service, request_))

    assert refused.code == grpc.StatusCode.INVALID_ARGUMENT
    assert set(refused.fields) == {field}


def test_what_is_not_there_is_not_found(plane: RunningPlane, client: Client) -> None:
    requests: list[tuple[str, Any]] = [
        ("scrub", scrub_service_pb2.RunScrubRequest(backend="backends/none")),
        ("scrub", scrub_service_pb2.RunScrubRequest(bucket="none")),
        ("scrub", scrub_service_pb2.VerifyObjectRequest(bucket="none", key="k")),
        ("reconcile", reconcile_service_pb2.StartReconcileRequest(backends=["backends/none"])),
        ("reconcile", reconcile_service_pb2.ListDiscrepanciesRequest(backend="backends/none")),
        ("maintenance", maintenance_service_pb2.CompactRequest(backend="backends/none")),
    ]
    for service, request in requests:
        assert failure(partial(client, service, request)).code == grpc.StatusCode.NOT_FOUND


def test_pieces_in_the_memory_of_other_processes_are_nobodys_to_judge(tmp_path: Path) -> None:
    config = write_config(tmp_path, extra="debug: {allowed: true}")
    text = config.read_text()
    config.write_text(text.replace("kind: volume, path: volumes/v2}", "kind: memory}"))
    with RunningPlane(config) as plane:
        reached = [str(each.name) for each in integrity_parts(plane.opened).backends]

    assert reached == ["v1"]
