"""WorkerService: workers rest, run otherwise and tell of their runs, as operators ask, on every instance."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from penstock.admin.v1 import operation_pb2, watch_pb2, worker_pb2
from penstock.admin.v1 import operation_service_pb2 as operation_pb
from penstock.admin.v1 import worker_service_pb2 as pb
from penstock.admin.v1 import worker_service_pb2_grpc as pb_grpc

from controlplane.fields import write_page_token
from engine.metadata import leases, workers
from tests.integration.controlplane.clients import Client
from tests.support.control import RunningPlane, bearer, failure, wait_until, write_config

WAIT_S = 20.0
NAME = "workers/compaction"
SETTINGS = "workers: {compaction: {interval: 1h, rate_bytes: 50MiB}, reaper: {interval: 1h}}"


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RunningPlane]:
    with RunningPlane(write_config(tmp_path, extra=SETTINGS)) as plane:
        yield plane


@pytest.fixture
def client(plane: RunningPlane) -> Iterator[Client]:
    with plane.channel(socket="admin") as channel:
        yield Client(channel)


def worker(client: Client, name: str = NAME) -> worker_pb2.Worker:
    found: worker_pb2.Worker = client("worker", pb.GetWorkerRequest(name=name)).worker
    return found


def update(client: Client, *paths: str, name: str = NAME, **overrides: Any) -> worker_pb2.Worker:
    request = pb.UpdateWorkerRequest(
        worker=worker_pb2.Worker(name=name, overrides=worker_pb2.WorkerOverrides(**overrides)),
        update_mask=FieldMask(paths=[f"overrides.{path}" if path else "overrides" for path in paths]),
    )
    answered: worker_pb2.Worker = client("worker", request).worker
    return answered


def run_once(client: Client, name: str) -> operation_pb2.Operation:
    answered: operation_pb2.Operation = client(
        "worker", pb.TriggerWorkerRequest(name=name, wait=True)
    ).operation
    return answered


# --- pauses ---


def test_a_pause_says_who_and_why_and_nothing_runs_until_it_ends(plane: RunningPlane, client: Client) -> None:
    with plane.channel() as channel:
        stub = pb_grpc.WorkerServiceStub(channel)
        request = pb.PauseWorkerRequest(name="workers/reaper", reason="moving disks")
        paused = stub.PauseWorker(request, timeout=WAIT_S, metadata=bearer("operator")).worker

    failed = failure(lambda: run_once(client, "workers/reaper"))
    resumed = client("worker", pb.ResumeWorkerRequest(name="workers/reaper")).worker

    assert (paused.enabled, paused.pause.creator, paused.pause.reason) == (
        False,
        "operator-1",
        "moving disks",
    )
    assert paused.pause.create_time.seconds > 0
    assert not paused.pause.HasField("expire_time")
    assert not paused.HasField("next_run_time")
    assert (failed.code, failed.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "WORKER_DISABLED")
    assert resumed.enabled
    assert not resumed.HasField("pause")
    assert run_once(client, "workers/reaper").state == operation_pb2.OPERATION_STATE_SUCCEEDED


def test_a_pause_with_an_end_ends_by_itself(client: Client) -> None:
    until = Timestamp()
    until.GetCurrentTime()
    until.FromMicroseconds(until.ToMicroseconds() + 700_000)

    paused = client("worker", pb.PauseWorkerRequest(name=NAME, expire_time=until)).worker

    assert paused.pause.expire_time.ToMicroseconds() == until.ToMicroseconds()
    wait_until(lambda: worker(client).enabled, "the end of the pause")


@pytest.mark.parametrize(
    ("fields", "at_fault"),
    [
        ({"reason": "x" * 501}, "reason"),
        ({"reason": "a\nb"}, "reason"),
        ({"expire_time": Timestamp(seconds=1)}, "expire_time"),
        ({"expire_time": Timestamp(seconds=1 << 60)}, "expire_time"),
        ({"name": "workers/"}, "name"),
    ],
)
def test_a_pause_that_makes_no_sense_is_refused(
    client: Client, fields: dict[str, Any], at_fault: str
) -> None:
    failed = failure(lambda: client("worker", pb.PauseWorkerRequest(**{"name": NAME, **fields})))

    assert (failed.code, list(failed.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, [at_fault])
    assert worker(client).enabled


# --- overrides ---


def test_what_an_operator_sets_holds_before_the_configuration_and_over_restarts(
    plane: RunningPlane, client: Client
) -> None:
    assert (worker(client).interval.seconds, worker(client).rate_limit_bytes) == (3600, 50 << 20)

    update(client, "interval", "rate_limit_bytes", interval=Duration(seconds=90), rate_limit_bytes=1000)
    changed = update(client, "enabled", enabled=False)
    plane.stop()

    with RunningPlane(plane.config) as again, again.channel(socket="viewer") as channel:
        kept = worker(Client(channel))
    assert (changed.enabled, changed.interval.seconds, changed.rate_limit_bytes) == (False, 90, 1000)
    assert changed.overrides.creator == "local"
    assert changed.overrides.update_time.seconds > 0
    assert kept.overrides == changed.overrides
    assert (kept.enabled, kept.interval.seconds, kept.rate_limit_bytes) == (False, 90, 1000)


def test_what_the_mask_names_and_the_request_does_not_goes_back(client: Client) -> None:
    update(client, "", enabled=False, interval=Duration(seconds=90), rate_limit_bytes=0)
    assert not worker(client).HasField("rate_limit_bytes")

    some = update(client, "rate_limit_bytes", "enabled")
    none = update(client, "")

    assert (some.enabled, some.interval.seconds, some.rate_limit_bytes) == (True, 90, 50 << 20)
    assert (none.interval.seconds, none.overrides.HasField("interval")) == (3600, False)


@pytest.mark.parametrize(
    ("paths", "overrides", "name", "at_fault"),
    [
        ([], {}, NAME, "update_mask"),
        (["leader"], {}, NAME, "update_mask"),
        (["interval"], {"interval": Duration(nanos=1)}, NAME, "worker.overrides.interval"),
        (["interval"], {"interval": Duration(seconds=31 * 86400)}, NAME, "worker.overrides.interval"),
        (["interval"], {"interval": Duration(seconds=-5)}, NAME, "worker.overrides.interval"),
        (["rate_limit_bytes"], {"rate_limit_bytes": -1}, NAME, "worker.overrides.rate_limit_bytes"),
        (
            ["rate_limit_bytes"],
            {"rate_limit_bytes": 1},
            "workers/reaper",
            "worker.overrides.rate_limit_bytes",
        ),
        (["enabled"], {}, "reaper", "worker.name"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    client: Client, paths: list[str], overrides: dict[str, Any], name: str, at_fault: str
) -> None:
    failed = failure(lambda: update(client, *paths, name=name, **overrides))

    assert (failed.code, list(failed.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, [at_fault])


@pytest.mark.parametrize(
    "request_of",
    [
        pb.PauseWorkerRequest(name="workers/nobody"),
        pb.ResumeWorkerRequest(name="workers/nobody"),
        pb.UpdateWorkerRequest(
            worker=worker_pb2.Worker(name="workers/nobody"),
            update_mask=FieldMask(paths=["overrides.enabled"]),
        ),
        pb.GetWorkerRunRequest(name="workers/reaper/runs/999999"),
    ],
    ids=lambda request: type(request).__name__,
)
def test_what_is_not_there_is_not_found(client: Client, request_of: Any) -> None:
    assert failure(lambda: client("worker", request_of)).code is grpc.StatusCode.NOT_FOUND


# --- runs ---


def test_runs_are_listed_page_by_page_and_shown(client: Client) -> None:
    for _ in range(3):
        run_once(client, "workers/reaper")

    paged: list[worker_pb2.WorkerRun] = []
    token = ""
    while True:
        request = pb.ListWorkerRunsRequest(parent="workers/reaper", page_size=2, page_token=token)
        page = client("worker", request)
        paged += page.runs
        token = page.next_page_token
        if not token:
            break
    newest = client("worker", pb.GetWorkerRunRequest(name=paged[0].name)).run

    numbers = [int(run.name.rpartition("/")[2]) for run in paged]
    assert len(numbers) >= 3
    assert numbers == sorted(numbers, reverse=True)
    assert {run.state for run in paged} == {worker_pb2.WORKER_RUN_STATE_SUCCEEDED}
    assert newest == paged[0]
    assert newest.end_time.ToNanoseconds() >= newest.start_time.ToNanoseconds()


@pytest.mark.parametrize(
    "name", ["workers/reaper", "workers/reaper/runs/", "workers/reaper/runs/x", "a/b/runs/1"]
)
def test_a_malformed_name_of_a_run_is_refused(client: Client, name: str) -> None:
    failed = failure(lambda: client("worker", pb.GetWorkerRunRequest(name=name)))

    assert (failed.code, list(failed.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, ["name"])


def test_a_token_of_another_list_is_refused(client: Client) -> None:
    request = pb.ListWorkerRunsRequest(parent="workers/-", page_token=write_page_token("-3"))

    assert list(failure(lambda: client("worker", request)).fields) == ["page_token"]


def test_who_follows_runs_sees_each_begin_or_end(plane: RunningPlane, client: Client) -> None:
    run_once(client, "workers/reaper")
    with plane.channel(socket="viewer") as channel:
        stub = pb_grpc.WorkerServiceStub(channel)
        watching: Any = stub.WatchWorkerRuns(
            pb.WatchWorkerRunsRequest(parent="workers/reaper"), timeout=WAIT_S
        )
        first = next(watching)

        run_once(client, "workers/reaper")
        told = []
        for answer in watching:
            told += answer.runs
            if any(run.HasField("end_time") for run in told):
                break
        watching.cancel()

    assert first.kind == watch_pb2.WATCH_KIND_SNAPSHOT
    assert len({run.name for run in told}) == 1
    assert told[0].name not in {run.name for run in first.runs}


# --- operations of runs ---


def test_a_run_that_has_not_begun_is_cancelled_at_once(plane: RunningPlane, client: Client) -> None:
    # A worker whose lease somebody else has begins nothing.
    store = plane.opened.store
    wait_until(lambda: worker(client).leader == "", "the first run to end")
    held = store.write(partial(leases.acquire, worker="compaction", holder=b"o" * 16, ttl_s=60.0))
    assert held is not None
    asked = client("worker", pb.TriggerWorkerRequest(name=NAME)).operation

    cancelled = client("operation", operation_pb.CancelOperationRequest(name=asked.name)).operation

    assert (cancelled.state, cancelled.canceller) == (operation_pb2.OPERATION_STATE_CANCELLED, "local")
    assert asked.creator == "local"
    row = store.read(partial(workers.find_worker, name="compaction"))
    assert row.triggered_at_us is None
