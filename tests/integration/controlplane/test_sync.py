"""Operators take over what lies in a bucket already: it is served from where it is, and nothing else ever is."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import grpc
import pytest
from botocore.config import Config
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import MessageToDict
from penstock.admin.v1 import (
    backend_pb2,
    bucket_pb2,
    bucket_service_pb2,
    operation_pb2,
    operation_service_pb2,
    scrub_service_pb2,
)
from penstock.admin.v1 import backend_service_pb2 as pb

from engine.backends.s3.place import S3Place
from engine.clock import uuid7
from engine.errors import CorruptEverywhere
from engine.metadata.bucket_settings import OwnBucket
from engine.metadata.importing import Stand, stand_of
from engine.names import bucket_name, object_key
from engine.objects.degradations import Degradation
from engine.objects.read import Span
from engine.objects.remove import RemoveOrder
from engine.units import KIB, MIB
from tests.integration.controlplane.clients import Client
from tests.support.bodies import regions_of
from tests.support.control import RunningPlane, failure, put_object, wait_until, write_config
from tests.support.pieces import payload_of
from tests.support.postgres import shared_server, with_database
from tests.support.s3_stores import PenstockStore, RcloneStore

SIZES = {"empty": 0, "a/small": 700, "a/blocks": 600 * KIB, "b/large": 5 * MIB + 3, "ö b+c|d%": 10}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """A control plane with a volume and a store that somebody else filled."""

    plane: RunningPlane
    client: Client
    store: Any
    bucket: str

    def sync(self, **fields: Any) -> operation_pb2.Operation:
        request = pb.SyncBackendRequest(name="backends/far", bucket="buckets/photos", **fields)
        return self.ended(self.client("backend", request).operation)

    def ended(self, operation: Any) -> operation_pb2.Operation:
        request = operation_service_pb2.GetOperationRequest(name=operation.name)
        wait_until(lambda: bool(self.client("operation", request).operation.done), "the end of it")
        found: operation_pb2.Operation = self.client("operation", request).operation
        return found

    def synced(self, **fields: Any) -> dict[str, int]:
        operation = self.sync(**fields)
        assert operation.state == operation_pb2.OPERATION_STATE_SUCCEEDED, operation.error_message
        return {name: int(value) for name, value in MessageToDict(operation.result).items() if value}

    def fill(self, key: str, payload: bytes, **fields: Any) -> None:
        self.store.put_object(Bucket=self.bucket, Key=key, Body=payload, **fields)

    def keys(self) -> set[str]:
        listed = self.store.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return {each["Key"] for each in listed if not each["Key"].startswith("corner/")}

    def find(self, key: str) -> Any:
        return self.plane.opened.use.reader.find(bucket_name("photos"), object_key(key.encode()))

    def get(self, key: str) -> bytes:
        stored = self.find(key)
        span = Span(start=0, stop=stored.version.size_bytes)
        return b"".join(regions_of(self.plane.opened.use.reader.open(stored, span)))

    def delete(self, key: str) -> None:
        self.plane.opened.use.remover.delete(bucket_name("photos"), RemoveOrder(key=object_key(key.encode())))


@pytest.fixture(scope="module", params=["penstock-sqlite", "rclone-postgres"])
def far(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[S3Place, str]]:
    """A store, which makes a bucket for each test, and the engine that it goes with."""
    kind, engine = request.param.split("-")
    folder = tmp_path_factory.mktemp(kind)
    store: PenstockStore | RcloneStore = (PenstockStore if kind == "penstock" else RcloneStore)(folder)
    with store:
        yield store.place, engine


@pytest.fixture
def rig(far: tuple[S3Place, str], tmp_path: Path) -> Iterator[Rig]:
    place, engine = far
    client = boto3.client(
        "s3",
        endpoint_url=place.endpoint,
        region_name=place.region,
        aws_access_key_id=place.access_key_id,
        aws_secret_access_key=place.secret_access_key,
        config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
    )
    bucket = f"found-{uuid7().hex()}"
    client.create_bucket(Bucket=bucket)
    backend = (
        f"  - {{name: far, kind: s3, preset: {place.preset}, endpoint: '{place.endpoint}', bucket: {bucket}, "
        f"prefix: corner, access_key_id: {place.access_key_id}, secret_access_key: '{place.secret_access_key}'}}\n"
    )
    config = write_config(
        tmp_path / "main",
        volume_count=1,
        extra="storage: {read_grace: 0s, chunk_bytes: 2MiB}\n"
        "workers: {cleanup: {interval: 1s}, reaper: {interval: 1s}}\n"
        "debug: {allowed: true}",
    )
    text = config.read_text().replace("backends:\n", f"backends:\n{backend}")
    with ExitStack() as stack:
        if engine == "postgres":
            database = shared_server().lend_database()
            stack.callback(shared_server().take_back_database, database)
            sectioned = text.replace("database: {path: metadata.sqlite}", "database:\n  path: x\n")
            text = with_database(sectioned, shared_server(), database)
        config.write_text(text)
        plane = stack.enter_context(RunningPlane(config))
        channel = stack.enter_context(plane.channel(socket="admin"))
        put_object(plane.opened, "photos", "mine", b"here before")
        yield Rig(plane=plane, client=Client(channel), store=client, bucket=bucket)


def test_what_lies_there_is_served_from_there(rig: Rig) -> None:
    bodies = {key: payload_of(size, seed=size) for key, size in SIZES.items()}
    for key, payload in bodies.items():
        rig.fill(key, payload, ContentType="image/png", Metadata={"colour": "blue"})
    rig.fill("mine", b"another one")
    rig.fill("else/pieces/0f/0123456789abcdef0123456789abcd0f", b"somebody's piece")
    rig.fill("else/penstock-backend.json", b"{}")
    before = rig.keys()

    counted = rig.synced(dry_run=True)
    assert {key: rig.find(key).version.etag for key in ("mine",)} == {
        "mine": hashlib.md5(b"here before").hexdigest()
    }
    result = rig.synced()

    # The identity below our own prefix is among what is passed over, and the piece of `mine` may be.
    assert result.pop("own_count") >= 3
    assert counted.pop("own_count") >= 3
    assert (
        result
        == counted
        == {
            "imported_count": len(bodies),
            "size_bytes": sum(map(len, bodies.values())),
            "existing_count": 1,
        }
    )
    assert {key: rig.get(key) for key in bodies} == bodies
    assert rig.get("mine") == b"here before"
    for key, payload in bodies.items():
        version = rig.find(key).version
        head = rig.store.head_object(Bucket=rig.bucket, Key=key)
        assert (version.etag, version.size_bytes) == (head["ETag"].strip('"'), len(payload))
        assert version.created_at_us == int(head["LastModified"].timestamp()) * 1_000_000
        assert version.headers.content_type == head["ContentType"]
        assert dict(version.headers.user) == {name.lower(): value for name, value in head["Metadata"].items()}
    assert rig.keys() == before
    assert rig.plane.opened.use.degradations.counts()[Degradation.UNVERIFIED] >= len(bodies) - 1
    again = rig.synced()
    assert (again["known_count"], again["existing_count"]) == (len(bodies), 1)


def test_a_prefix_bounds_it_and_a_later_run_takes_what_has_come_since(rig: Rig) -> None:
    for number in range(105):
        rig.fill(f"in/{number:03}", b"%d" % number)
    rig.fill("out", b"stays")

    assert rig.synced(prefix="in/")["imported_count"] == 105
    rig.fill("in/new", b"new")
    assert rig.synced(prefix="in/") == {"imported_count": 1, "size_bytes": 3, "known_count": 105}

    assert rig.get("in/103") == b"103"
    assert rig.synced()["imported_count"] == 1


def test_an_object_that_was_overwritten_there_is_never_served_for_the_one_it_was(rig: Rig) -> None:
    rig.fill("a", payload_of(1000, seed=1))
    rig.synced()
    rig.fill("a", payload_of(1000, seed=2))

    with pytest.raises(CorruptEverywhere):
        rig.get("a")

    assert rig.synced()["known_count"] == 1
    rig.delete("a")
    wait_until(lambda: stand(rig, "a") is Stand.FREE, "its deletion")
    assert rig.keys() == {"a"}
    assert rig.synced()["imported_count"] == 1
    assert rig.get("a") == payload_of(1000, seed=2)


def test_what_is_deleted_here_goes_there_and_does_not_come_back(rig: Rig) -> None:
    for key in ("a", "b", "empty"):
        rig.fill(key, b"" if key == "empty" else key.encode() * 100)
    rig.synced()

    rig.delete("a")
    rig.delete("empty")
    put_object(rig.plane.opened, "photos", "b", b"ours now")
    between = rig.sync().result

    wait_until(lambda: rig.keys() == set(), "the deletions")
    assert between["imported_count"] == 0
    assert rig.get("b") == b"ours now"
    assert "imported_count" not in rig.synced()


def test_draining_makes_them_objects_of_ours(rig: Rig) -> None:
    bodies = {key: payload_of(size, seed=size) for key, size in SIZES.items()}
    for key, payload in bodies.items():
        rig.fill(key, payload, Metadata={"colour": "blue"})
    rig.synced()
    before = {key: rig.find(key).version for key in bodies}

    drained = rig.ended(rig.client("backend", pb.DrainBackendRequest(name="backends/far")).operation)

    assert drained.state == operation_pb2.OPERATION_STATE_SUCCEEDED, (drained.error_message, drained.warnings)
    assert {key: rig.get(key) for key in bodies} == bodies
    for key, size in SIZES.items():
        stored = rig.find(key)
        assert stored.version == before[key]
        assert all(each.blob.has_checksums for each in stored.slices)
        assert len(stored.slices) == -(-size // (2 * MIB))
    wait_until(lambda: rig.keys() == set(), "the deletions")


def test_copies_are_objects_of_ours_and_those_there_are_left_alone(rig: Rig) -> None:
    bodies = {key: payload_of(size, seed=size) for key, size in SIZES.items()}
    for key, payload in bodies.items():
        rig.fill(key, payload, ContentType="text/css", Metadata={"colour": "blue"})
    rig.fill("mine", b"another one")
    before = rig.keys()
    rig.client(
        "backend",
        pb.UpdateBackendRequest(
            backend=backend_pb2.Backend(name="backends/far", read_only=True),
            update_mask=FieldMask(paths=["read_only"]),
        ),
    )

    copied = rig.synced(copy=True)

    assert (copied["imported_count"], copied["existing_count"]) == (len(bodies), 1)
    assert {key: rig.get(key) for key in bodies} == bodies
    for key, payload in bodies.items():
        stored = rig.find(key)
        head = rig.store.head_object(Bucket=rig.bucket, Key=key)
        assert stored.version.etag == hashlib.md5(payload).hexdigest()
        assert stored.version.created_at_us == int(head["LastModified"].timestamp()) * 1_000_000
        assert stored.version.headers.content_type == head["ContentType"]
        assert dict(stored.version.headers.user) == {
            name.lower(): value for name, value in head["Metadata"].items()
        }
        assert all(each.blob.has_checksums for each in stored.slices)
    for key in bodies:
        rig.delete(key)
    assert rig.keys() == before
    rig.fill("later", b"later")
    again = rig.synced(copy=True)
    assert again["imported_count"] == len(bodies) + 1


def test_what_was_read_once_is_verified_from_then_on(rig: Rig) -> None:
    bodies = {key: payload_of(size, seed=size) for key, size in SIZES.items()}
    for key, payload in bodies.items():
        rig.fill(key, payload)
    rig.synced()
    rig.fill("gone", b"before")
    rig.synced()
    rig.fill("gone", b"behind")

    def backfilled() -> dict[str, int]:
        request = scrub_service_pb2.BackfillChecksumsRequest(backend="backends/far")
        operation = rig.ended(rig.client("scrub", request).operation)
        assert operation.state == operation_pb2.OPERATION_STATE_SUCCEEDED, operation.error_message
        return {name: int(value) for name, value in MessageToDict(operation.result).items() if value}

    filled = backfilled()
    again = backfilled()

    total = sum(SIZES.values())
    assert filled == {"filled_count": 4, "size_bytes": total, "large_count": 1, "bad_count": 1}
    assert again == {"bad_count": 1}
    assert {key: rig.get(key) for key in bodies} == bodies
    known = {key for key in bodies if all(each.blob.has_checksums for each in rig.find(key).slices)}
    assert known == {"a/small", "a/blocks", "ö b+c|d%"}
    scrubbed = rig.ended(
        rig.client("scrub", scrub_service_pb2.RunScrubRequest(backend="backends/far")).operation
    )
    assert MessageToDict(scrubbed.result)["bad_count"] == 1
    drained = rig.ended(rig.client("backend", pb.DrainBackendRequest(name="backends/far")).operation)
    assert drained.progress.failed_count == 1
    assert {key: rig.get(key) for key in bodies} == bodies


def stand(rig: Rig, key: str) -> Stand:
    opened = rig.plane.opened
    (far,) = [each.backend_id for each in opened.backends if each.name == "far"]
    bucket_id = rig.find("mine").bucket.bucket_id
    own = OwnBucket(name=bucket_name("photos"), bucket_id=bucket_id)
    return opened.store.read(partial(stand_of, bucket=own, key=object_key(key.encode()), backend_ids=[far]))


def test_it_is_refused_for_other_stores_other_buckets_and_sealed_ones(rig: Rig) -> None:
    def asked(name: str, bucket: str) -> Any:
        request = pb.SyncBackendRequest(name=f"backends/{name}", bucket=f"buckets/{bucket}")
        return failure(lambda: rig.client("backend", request))

    assert asked("v1", "photos").code == grpc.StatusCode.INVALID_ARGUMENT
    assert asked("nothing", "photos").code == grpc.StatusCode.NOT_FOUND
    assert asked("far", "nothing").code == grpc.StatusCode.NOT_FOUND
    opened = rig.plane.opened
    account_id = rig.find("mine").version.account_id
    opened.use.buckets.create(bucket_name("sealed"), account_id)
    rig.client(
        "bucket",
        bucket_service_pb2.UpdateBucketRequest(
            bucket=bucket_pb2.Bucket(name="buckets/sealed", seal=bucket_pb2.SEALING_ALL),
            update_mask=FieldMask(paths=["seal"]),
        ),
    )
    assert asked("far", "sealed").code == grpc.StatusCode.INVALID_ARGUMENT
