"""Each service tells what the rows say: whole, in pages, with NOT_FOUND and the field at fault where there is one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from penstock.admin.v1 import (
    backend_pb2,
    backend_service_pb2,
    object_service_pb2,
    operation_pb2,
    operation_service_pb2,
    system_pb2,
    system_service_pb2,
    worker_service_pb2,
)

from controlplane.fields import write_page_token
from engine.clock import uuid7
from engine.metadata import backends, processes
from engine.metadata.workers import apply_worker
from engine.records import BackendState
from tests.integration.controlplane.clients import Client
from tests.support.control import VERSION, RunningPlane, failure, put_object, wait_until, write_config

# --- names, pages ---


@pytest.mark.parametrize(
    ("service", "request_of", "missing"),
    [
        ("backend", backend_service_pb2.GetBackendRequest, "backends/nowhere"),
        ("worker", worker_service_pb2.GetWorkerRequest, "workers/nobody"),
        ("system", system_service_pb2.GetInstanceRequest, f"instances/{'0' * 32}"),
        ("operation", operation_service_pb2.GetOperationRequest, "operations/none"),
    ],
)
def test_what_is_not_there_is_not_found_by_name(
    reader: Client, service: str, request_of: Callable[..., Any], missing: str
) -> None:
    failed = failure(lambda: reader(service, request_of(name=missing)))

    assert (failed.code, failed.reason) == (grpc.StatusCode.NOT_FOUND, "NO_SUCH_RESOURCE")
    assert missing in failed.text


@pytest.mark.parametrize(
    ("service", "request_of"),
    [
        ("backend", backend_service_pb2.GetBackendRequest),
        ("worker", worker_service_pb2.GetWorkerRequest),
        ("system", system_service_pb2.GetInstanceRequest),
        ("operation", operation_service_pb2.GetOperationRequest),
    ],
)
@pytest.mark.parametrize("name", ["", "near", "buckets/near", "backends/", "workers/a/b", "instances/xyz"])
def test_a_malformed_name_is_refused_by_field(
    reader: Client, service: str, request_of: Callable[..., Any], name: str
) -> None:
    failed = failure(lambda: reader(service, request_of(name=name)))

    assert (failed.code, failed.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_FIELD")
    assert list(failed.fields) == ["name"]


LISTS = [
    ("backend", backend_service_pb2.ListBackendsRequest, "backends"),
    ("worker", worker_service_pb2.ListWorkersRequest, "workers"),
    ("system", system_service_pb2.ListInstancesRequest, "instances"),
]


@pytest.mark.parametrize(("service", "request_of", "items"), LISTS)
def test_pages_add_up_to_the_whole_list(
    plane: RunningPlane, client: Client, service: str, request_of: Callable[..., Any], items: str
) -> None:
    for _ in range(2):
        register_process(plane, "dataplane")
    whole = [each.name for each in getattr(client(service, request_of()), items)]

    paged: list[str] = []
    token = ""
    while True:
        page = client(service, request_of(page_size=1, page_token=token))
        paged += [each.name for each in getattr(page, items)]
        token = page.next_page_token
        if not token:
            break

    assert paged == whole
    assert len(whole) > 1


@pytest.mark.parametrize(("service", "request_of", "items"), LISTS)
@pytest.mark.parametrize(
    ("fields", "at_fault"),
    [({"page_size": -1}, "page_size"), ({"page_token": "%%%"}, "page_token")],
)
def test_a_malformed_page_is_refused_by_field(
    reader: Client,
    service: str,
    request_of: Callable[..., Any],
    items: str,
    fields: dict[str, Any],
    at_fault: str,
) -> None:
    failed = failure(lambda: reader(service, request_of(**fields)))

    assert (failed.code, list(failed.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, [at_fault])


# --- backends ---


def test_a_backend_tells_what_its_rows_say(plane: RunningPlane, client: Client) -> None:
    put_object(plane.opened, "photos", "k", bytes(100_000))

    listed = client("backend", backend_service_pb2.ListBackendsRequest()).backends
    got = client("backend", backend_service_pb2.GetBackendRequest(name="backends/v1")).backend

    assert [each.name for each in listed] == ["backends/v1", "backends/v2"]
    assert (got.kind, got.node, got.state) == ("volume", "node-1", backend_pb2.BACKEND_STATE_ACTIVE)
    assert got.failure_domain
    assert got.identity_ok
    assert got.problem == ""
    assert not got.capacity.HasField("limit_bytes")
    assert sum(each.capacity.used_bytes for each in listed) > 100_000
    assert sum(each.capacity.piece_count for each in listed) == 1


def test_a_limit_is_shown(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    config.write_text(config.read_text().replace("path: volumes/v1", "path: volumes/v1, quota_bytes: 1GiB"))

    with RunningPlane(config) as plane, plane.channel(socket="viewer") as channel:
        got = Client(channel)("backend", backend_service_pb2.GetBackendRequest(name="backends/v1")).backend

    assert got.capacity.limit_bytes == 1024**3


def test_a_backend_whose_identity_is_gone_says_so(plane: RunningPlane, client: Client) -> None:
    row = plane.opened.store.read(backends.list_backends)[0]
    note_problem(plane, row.backend_id, "its identity object is missing")

    got = client("backend", backend_service_pb2.GetBackendRequest(name="backends/v1")).backend
    health = client("system", system_service_pb2.GetHealthRequest())

    assert (got.identity_ok, got.problem) == (False, "its identity object is missing")
    check = next(each for each in health.checks if each.name == "backends/v1")
    assert (check.status, check.message) == (system_pb2.HEALTH_STATUS_FAILED, got.problem)


def test_a_removed_backend_is_listed_no_more(plane: RunningPlane, client: Client) -> None:
    row = plane.opened.store.read(backends.list_backends)[0]
    plane.opened.store.write(
        lambda tx: backends.set_state(tx, row.backend_id, BackendState.REMOVED, reason=None)
    )

    listed = client("backend", backend_service_pb2.ListBackendsRequest()).backends

    assert [each.name for each in listed] == ["backends/v2"]


# --- system ---


def test_versions_are_told(reader: Client) -> None:
    answer = reader("system", system_service_pb2.GetVersionRequest())

    assert (answer.version, list(answer.api_versions)) == (VERSION, ["penstock.admin.v1"])
    assert answer.database_version.startswith("SQLite 3.")
    assert answer.python_version.startswith("3.")
    assert answer.protobuf_version


def test_health_without_a_data_plane_has_failed_and_with_one_is_well(
    plane: RunningPlane, client: Client
) -> None:
    without = client("system", system_service_pb2.GetHealthRequest())
    register_process(plane, "dataplane")
    with_one = client("system", system_service_pb2.GetHealthRequest())

    assert without.status == system_pb2.HEALTH_STATUS_FAILED
    assert with_one.status == system_pb2.HEALTH_STATUS_OK
    names = [check.name for check in with_one.checks]
    assert names[:3] == ["database", "backends/v1", "backends/v2"]
    assert "workers/cleanup" in names
    assert with_one.checks[0].HasField("latency")


def test_this_instance_and_its_process_are_listed(plane: RunningPlane, client: Client) -> None:
    (instance,) = client("system", system_service_pb2.ListInstancesRequest()).instances
    got = client("system", system_service_pb2.GetInstanceRequest(name=instance.name)).instance

    assert instance.name == f"instances/{plane.opened.instance_id.hex()}"
    assert (got.node, got.version, got.alive) == ("node-1", VERSION, True)
    (process,) = got.processes
    assert (process.plane, process.config_generation, process.alive) == (system_pb2.PLANE_CONTROL, 1, True)
    assert process.process_id == plane.opened.process_id.hex()
    assert got.start_time.seconds > 1_700_000_000


def test_signs_of_life_go_on_while_nobody_calls(plane: RunningPlane, client: Client) -> None:
    (first,) = client("system", system_service_pb2.ListInstancesRequest()).instances

    def has_beaten() -> bool:
        (now,) = client("system", system_service_pb2.ListInstancesRequest()).instances
        return bool(now.heartbeat_time.ToNanoseconds() > first.heartbeat_time.ToNanoseconds())

    wait_until(has_beaten, "a sign of life")


# --- workers ---


def test_every_worker_of_the_roster_is_listed_with_its_settings(client: Client) -> None:
    listed = client("worker", worker_service_pb2.ListWorkersRequest()).workers

    assert [each.name for each in listed] == [
        f"workers/{name}"
        for name in (
            "canary",
            "cleanup",
            "compaction",
            "intents",
            "multipart",
            "notifier",
            "reaper",
            "replicator",
            "scrubber",
            "trimmer",
            "usage",
        )
    ]
    for each in listed:
        assert each.description.endswith(".")
        assert each.enabled
        assert each.interval.seconds >= 1
    assert listed[0].HasField("backlog_count")


def test_a_triggered_run_is_an_operation_that_can_be_followed(client: Client) -> None:
    started = client("worker", worker_service_pb2.TriggerWorkerRequest(name="workers/cleanup")).operation

    def now() -> operation_pb2.Operation:
        request = operation_service_pb2.GetOperationRequest(name=started.name)
        operation: operation_pb2.Operation = client("operation", request).operation
        return operation

    wait_until(lambda: now().done, "the run")
    ended = now()
    assert ended.state == operation_pb2.OPERATION_STATE_SUCCEEDED
    assert ended.method == "penstock.admin.v1.WorkerService/TriggerWorker"
    assert ended.target == "workers/cleanup"
    assert ended.end_time.ToNanoseconds() >= ended.create_time.ToNanoseconds()
    worker = client("worker", worker_service_pb2.GetWorkerRequest(name="workers/cleanup")).worker
    assert worker.last_success_time.seconds
    assert not worker.triggered


def test_waiting_for_a_run_answers_its_end(client: Client) -> None:
    request = worker_service_pb2.TriggerWorkerRequest(name="workers/reaper", wait=True)

    operation = client("worker", request).operation

    assert (operation.done, operation.state) == (True, operation_pb2.OPERATION_STATE_SUCCEEDED)


def test_a_worker_that_never_runs_is_not_triggered(plane: RunningPlane, client: Client) -> None:
    plane.opened.store.write(lambda tx: apply_worker(tx, "cleanup", is_enabled=False, interval_s=1.0))
    request = worker_service_pb2.TriggerWorkerRequest(name="workers/cleanup")

    failed = failure(lambda: client("worker", request))

    assert (failed.code, failed.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "WORKER_DISABLED")
    worker = client("worker", worker_service_pb2.GetWorkerRequest(name="workers/cleanup")).worker
    assert (worker.enabled, worker.triggered) == (False, False)


def test_an_unknown_worker_is_not_triggered(client: Client) -> None:
    request = worker_service_pb2.TriggerWorkerRequest(name="workers/nobody")

    assert failure(lambda: client("worker", request)).code is grpc.StatusCode.NOT_FOUND


# --- objects ---


def test_every_piece_of_an_object_is_told_page_by_page(tmp_path: Path) -> None:
    config = write_config(tmp_path, extra="storage: {chunk_bytes: 1MiB, seal: all}")
    with RunningPlane(config) as plane, plane.channel(socket="viewer") as channel:
        put_object(plane.opened, "photos", "ünï/code", bytes(5 * 1024 * 1024 // 2))
        client = Client(channel)

        pages: list[object_service_pb2.GetObjectLocationsResponse] = []
        token = ""
        while not pages or token:
            request = object_service_pb2.GetObjectLocationsRequest(
                bucket="photos", key="ünï/code", page_size=2, page_token=token
            )
            pages.append(client("object", request))
            token = pages[-1].next_page_token

    pieces = [piece for page in pages for piece in page.pieces]
    assert [len(page.pieces) for page in pages] == [2, 1]
    assert {(page.version_id, page.size_bytes, len(page.etag)) for page in pages} == {("null", 2_621_440, 32)}
    assert [(piece.start_offset_bytes, piece.length_bytes) for piece in pieces] == [
        (0, 1_048_576),
        (1_048_576, 1_048_576),
        (2_097_152, 524_288),
    ]
    for piece in pieces:
        assert piece.backend in ("backends/v1", "backends/v2")
        assert piece.state == object_service_pb2.PIECE_STATE_LIVE
        assert piece.stored_bytes > piece.length_bytes
        assert piece.sealed
        assert piece.key_id
        assert ":" in piece.storage_key


@pytest.mark.parametrize(
    ("bucket", "key", "code", "reason"),
    [
        ("nowhere", "k", grpc.StatusCode.NOT_FOUND, "NO_SUCH_BUCKET"),
        ("photos", "missing", grpc.StatusCode.NOT_FOUND, "NO_SUCH_KEY"),
        ("", "k", grpc.StatusCode.INVALID_ARGUMENT, "INVALID_BUCKET_NAME"),
        ("PHOTOS", "k", grpc.StatusCode.INVALID_ARGUMENT, "INVALID_BUCKET_NAME"),
        ("../..", "k", grpc.StatusCode.INVALID_ARGUMENT, "INVALID_BUCKET_NAME"),
        ("photos", "", grpc.StatusCode.INVALID_ARGUMENT, "INVALID_KEY"),
        ("photos", "x" * 1025, grpc.StatusCode.INVALID_ARGUMENT, "KEY_TOO_LONG"),
    ],
)
def test_an_object_that_is_not_there_or_cannot_be_is_told_apart(
    plane: RunningPlane, client: Client, bucket: str, key: str, code: grpc.StatusCode, reason: str
) -> None:
    put_object(plane.opened, "photos", "k", b"x")
    request = object_service_pb2.GetObjectLocationsRequest(bucket=bucket, key=key)

    failed = failure(lambda: client("object", request))

    assert (failed.code, failed.reason) == (code, reason)


@pytest.mark.parametrize("size_bytes", [1, 300_000])
def test_an_object_of_one_blob_has_its_piece(plane: RunningPlane, client: Client, size_bytes: int) -> None:
    put_object(plane.opened, "photos", "k", bytes(size_bytes))

    request = object_service_pb2.GetObjectLocationsRequest(bucket="photos", key="k")
    answer = client("object", request)

    assert [piece.length_bytes for piece in answer.pieces] == [size_bytes]
    assert answer.next_page_token == ""


def test_an_empty_object_has_no_pieces(plane: RunningPlane, client: Client) -> None:
    put_object(plane.opened, "photos", "k", b"")

    answer = client("object", object_service_pb2.GetObjectLocationsRequest(bucket="photos", key="k"))

    assert (answer.size_bytes, list(answer.pieces)) == (0, [])


def test_pages_of_two_versions_are_never_mixed(tmp_path: Path) -> None:
    config = write_config(tmp_path, extra="storage: {chunk_bytes: 1MiB}")
    with RunningPlane(config) as plane, plane.channel(socket="viewer") as channel:
        client = Client(channel)
        put_object(plane.opened, "photos", "k", bytes(2 * 1024 * 1024))
        request = object_service_pb2.GetObjectLocationsRequest(bucket="photos", key="k", page_size=1)
        first = client("object", request)
        put_object(plane.opened, "photos", "k", b"another")

        request.page_token = first.next_page_token
        failed = failure(lambda: client("object", request))

    assert (failed.code, failed.reason) == (grpc.StatusCode.ABORTED, "CONCURRENT_WRITE")


@pytest.mark.parametrize("position", ["x", "-1", "1.-5", "²", "1", "1.2.3", "9" * 30 + ".1"])
def test_a_page_token_of_another_method_is_refused(
    plane: RunningPlane, client: Client, position: str
) -> None:
    put_object(plane.opened, "photos", "k", b"x")
    request = object_service_pb2.GetObjectLocationsRequest(
        bucket="photos", key="k", page_token=write_page_token(position)
    )

    failed = failure(lambda: client("object", request))

    assert list(failed.fields) == ["page_token"]


def register_process(plane: RunningPlane, plane_name: str) -> None:
    """A process of another instance shows up."""
    plane.opened.store.write(
        lambda tx: processes.register(
            tx,
            instance_id=uuid7(),
            process_id=uuid7(),
            node="node-1",
            version=VERSION,
            plane=plane_name,
            pid=1,
            generation=1,
        )
    )


def note_problem(plane: RunningPlane, backend_id: int, problem: str) -> None:
    """Another instance says what is wrong with a backend."""
    plane.opened.store.write(
        lambda tx: backends.note_view(tx, backend_id=backend_id, instance_id=uuid7(), problem=problem)
    )
