"""Operators see which objects lack copies or have too many, have extra ones removed, and heal behind a prefix."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from penstock.admin.v1 import heal_service_pb2, operation_pb2
from penstock.admin.v1 import replication_service_pb2 as pb

from controlplane.integrity import heal_policy, integrity_parts
from engine.metadata import repairs
from engine.metadata.bucket_settings import OwnBucket
from engine.metadata.repairs import RepairKind
from engine.metadata.store import Tx
from engine.names import bucket_name
from engine.upkeep.long_work import Unpaced
from engine.upkeep.prefix_healing import GONE, PrefixHealing
from tests.integration.controlplane.clients import Client
from tests.integration.controlplane.test_replication import ended, pieces
from tests.support.control import RunningPlane, failure, put_object, write_config
from tests.support.engines import ENGINES
from tests.support.metadata import run_sql
from tests.support.pieces import payload_of
from tests.support.postgres import shared_server, with_database

DATA = payload_of(60_000)
QUIET = "workers: {replicator: {enabled: false}, trimmer: {enabled: false}, scrubber: {enabled: false}}\n"


@pytest.fixture(params=ENGINES)
def plane(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningPlane]:
    """Two volumes that fail apart, three objects with one copy, one elsewhere; workers that would be quicker rest."""
    config = write_config(tmp_path, extra=QUIET)
    text = config.read_text()
    for name in ("v1", "v2"):
        text = text.replace(f"path: volumes/{name}", f"path: volumes/{name}, failure_domain: {name}")
    if request.param == "postgres":
        database = shared_server().lend_database()
        sectioned = text.replace("database: {path: metadata.sqlite}", "database:\n  path: x\n")
        text = with_database(sectioned, shared_server(), database)
    config.write_text(text)
    with RunningPlane(config) as running:
        for key in ("in/a", "in/b", "out/c"):
            put_object(running.opened, "photos", key, DATA)
        yield running
    if request.param == "postgres":
        shared_server().take_back_database(database)


def set_schemes(plane: RunningPlane, scheme: str) -> None:
    run_sql(plane.opened.store, "UPDATE blobs SET scheme = :scheme", {"scheme": scheme})


def ask(plane: RunningPlane, kind: RepairKind, *keys: str) -> None:
    blob_ids = [pieces(plane, key)[0].location.blob_id for key in keys]

    def unit(tx: Tx) -> None:
        for blob_id in blob_ids:
            repairs.ask_repair(tx, kind, blob_id, reason="noticed by a read")

    plane.opened.store.write(unit)


def copy_counts(plane: RunningPlane) -> list[int]:
    return [len(pieces(plane, key)) for key in ("in/a", "in/b", "out/c")]


def heal(client: Client, **fields: Any) -> Any:
    return client("heal", heal_service_pb2.HealPrefixRequest(bucket="photos", **fields))


def test_a_prefix_is_healed_and_nothing_else(plane: RunningPlane, client: Client) -> None:
    set_schemes(plane, "copies(2)")

    plan = heal(client, prefix="in/", dry_run=True)
    before = copy_counts(plane)
    operation = ended(client, heal(client, prefix="in/").operation)

    assert not plan.HasField("operation")
    assert (plan.plan.slice_count, plan.plan.lacking_count, plan.plan.bad_count) == (2, 2, 0)
    assert (plan.plan.excess_count, plan.plan.partial, before) == (0, False, [1, 1, 1])
    assert operation.state == operation_pb2.OPERATION_STATE_SUCCEEDED, operation.error_message
    told = dict(operation.result)
    assert (told["blob_count"], told["added_copy_count"], told["bad_count"]) == (2, 2, 0)
    assert copy_counts(plane) == [2, 2, 1]


def test_a_damaged_copy_is_made_anew(plane: RunningPlane, client: Client) -> None:
    set_schemes(plane, "copies(2)")
    ended(client, heal(client).operation)
    damaged = pieces(plane, "in/a")[0].location
    run_sql(
        plane.opened.store,
        "UPDATE object_locations SET state = 'suspect' WHERE storage_key = :key",
        {"key": damaged.storage_key},
    )

    plan = heal(client, dry_run=True).plan
    status = client("heal", heal_service_pb2.GetHealStatusRequest())
    operation = ended(client, heal(client, prefix="in/a").operation)

    assert (plan.slice_count, plan.lacking_count, plan.bad_count) == (3, 1, 1)
    assert (status.suspect_piece_count, status.stopped) == (1, False)
    assert operation.state == operation_pb2.OPERATION_STATE_SUCCEEDED, operation.error_message
    after = client("heal", heal_service_pb2.GetHealStatusRequest())
    assert (after.suspect_piece_count, after.lost_piece_count, copy_counts(plane)) == (0, 0, [2, 2, 2])


def test_objects_that_lack_copies_are_named(plane: RunningPlane, client: Client) -> None:
    set_schemes(plane, "copies(2)")
    ask(plane, RepairKind.HEAL, "in/a", "out/c")

    first = client("replication", pb.ListUnderReplicatedObjectsRequest(page_size=1))
    rest = client("replication", pb.ListUnderReplicatedObjectsRequest(page_token=first.next_page_token))
    over = client("replication", pb.ListOverReplicatedObjectsRequest())
    failures = client("heal", heal_service_pb2.ListHealFailuresRequest())

    told = [*first.objects, *rest.objects]
    assert sorted((each.bucket, each.key) for each in told) == [("photos", "in/a"), ("photos", "out/c")]
    one = told[0]
    assert (one.wanted_copy_count, one.copy_count, one.good_copy_count, one.current) == (2, 1, 1, True)
    assert (one.size_bytes, one.reason, one.error_message) == (len(DATA), "noticed by a read", "")
    assert rest.next_page_token == ""
    assert (list(over.objects), list(failures.objects)) == ([], [])
    run_sql(plane.opened.store, "UPDATE repair_jobs SET last_error = 'no room', attempt_count = 1")
    failures = client("heal", heal_service_pb2.ListHealFailuresRequest())
    assert {each.error_message for each in failures.objects} == {"no room"}


def test_extra_copies_are_shown_and_removed(plane: RunningPlane, client: Client) -> None:
    set_schemes(plane, "copies(2)")
    ended(client, heal(client).operation)
    set_schemes(plane, "copies(1)")
    ask(plane, RepairKind.TRIM, "in/a")

    plan = client("replication", pb.PreviewExcessCopiesRequest())
    (named,) = client("replication", pb.ListOverReplicatedObjectsRequest()).objects
    before = copy_counts(plane)
    operation = ended(client, client("replication", pb.CleanExcessCopiesRequest()).operation)

    assert (plan.blob_count, plan.copy_count, plan.partial) == (1, 1, False)
    assert plan.size_bytes == plan.backends[0].size_bytes > len(DATA)
    assert (named.key, named.copy_count, named.wanted_copy_count) == ("in/a", 2, 1)
    assert before == [2, 2, 2]
    assert operation.state == operation_pb2.OPERATION_STATE_SUCCEEDED, operation.error_message
    told = dict(operation.result)
    assert (told["trimmed_count"], told["removed_copy_count"], told["healed_count"]) == (3, 3, 0)
    assert copy_counts(plane) == [1, 1, 1]


def test_cleaning_leaves_missing_copies_alone(plane: RunningPlane, client: Client) -> None:
    set_schemes(plane, "copies(2)")
    ask(plane, RepairKind.HEAL, "in/a")

    operation = ended(client, client("replication", pb.CleanExcessCopiesRequest()).operation)

    assert dict(operation.result)["found_count"] == 0
    assert copy_counts(plane) == [1, 1, 1]


@pytest.mark.parametrize(
    ("service", "request_", "code"),
    [
        ("heal", heal_service_pb2.HealPrefixRequest(bucket="none"), grpc.StatusCode.NOT_FOUND),
        ("heal", heal_service_pb2.HealPrefixRequest(bucket="A"), grpc.StatusCode.INVALID_ARGUMENT),
        (
            "heal",
            heal_service_pb2.HealPrefixRequest(bucket="photos", prefix="x" * 1025),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
        (
            "heal",
            heal_service_pb2.HealPrefixRequest(bucket="photos", max_bytes_per_second=-1),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
        (
            "heal",
            heal_service_pb2.ListHealFailuresRequest(page_token="%%"),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
        (
            "replication",
            pb.ListUnderReplicatedObjectsRequest(page_size=-1),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
        (
            "replication",
            pb.CleanExcessCopiesRequest(max_bytes_per_second=-1),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
    ],
)
def test_what_cannot_be_is_refused(
    plane: RunningPlane, client: Client, service: str, request_: Any, code: Any
) -> None:
    assert failure(lambda: client(service, request_)).code is code


def test_another_bucket_of_the_name_is_left_alone(plane: RunningPlane) -> None:
    set_schemes(plane, "copies(2)")
    work = PrefixHealing(
        integrity_parts(plane.opened),
        heal_policy(plane.opened.snapshot.live.storage),
        bucket=OwnBucket(name=bucket_name("photos"), bucket_id=999),
        prefix=b"",
        fence=lambda tx: None,
        pace=Unpaced(),
    )

    step = work.step(None)

    assert (step.is_last, step.warnings) == (True, (GONE,))
    assert copy_counts(plane) == [1, 1, 1]
