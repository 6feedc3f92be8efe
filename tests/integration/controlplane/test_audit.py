"""What changes something is written down before it is done and before it is answered, and tampering shows."""

import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from penstock.admin.v1 import (
    audit_pb2,
    config_service_pb2,
    log_pb2,
    worker_service_pb2,
    worker_service_pb2_grpc,
)
from penstock.admin.v1 import log_service_pb2 as pb
from penstock.admin.v1 import log_service_pb2_grpc as pb_grpc

from engine.errors import DatabaseUnavailable
from engine.metadata.store import Store
from tests.integration.controlplane.clients import Client
from tests.support.control import RunningPlane, bearer, failure, wait_until, write_config
from tests.support.metadata import run_sql

TRIGGER = "/penstock.admin.v1.WorkerService/TriggerWorker"


def trigger(channel: grpc.Channel, role: str | None = None, name: str = "workers/cleanup") -> str:
    """The request id that the answer, or the refusal, tells."""
    method = worker_service_pb2_grpc.WorkerServiceStub(channel).TriggerWorker
    request = worker_service_pb2.TriggerWorkerRequest(name=name)
    call = method.future(request, metadata=bearer(role) if role else (), timeout=10)
    call.exception()
    return str(dict(call.trailing_metadata())["x-request-id"])


def events(client: Client, **wanted: str) -> list[audit_pb2.AuditEvent]:
    """The oldest first."""
    return list(client("log", pb.ListAuditEventsRequest(**wanted)).events)[::-1]  # type: ignore[arg-type]


def problems(client: Client) -> list[tuple[int, str]]:
    found = client("log", pb.VerifyAuditRequest()).findings
    return [(each.sequence, audit_pb2.AuditProblem.Name(each.problem)) for each in found]


def test_a_caller_may_choose_the_id_by_which_its_call_is_found(plane: RunningPlane, client: Client) -> None:
    with plane.channel() as channel:
        method = worker_service_pb2_grpc.WorkerServiceStub(channel).TriggerWorker
        request = worker_service_pb2.TriggerWorkerRequest(name="workers/cleanup")
        own = ("x-request-id", "deploy-42.step_3")
        call = method.future(request, metadata=(*bearer("operator"), own), timeout=10)
        call.result()

    assert own in [tuple(each) for each in call.trailing_metadata()]
    assert [each.outcome for each in events(client, request_id="deploy-42.step_3")] == ["BEGUN", "OK"]


def test_an_error_says_the_id_of_its_call(plane: RunningPlane) -> None:
    with plane.channel() as channel:
        method = worker_service_pb2_grpc.WorkerServiceStub(channel).TriggerWorker
        request = worker_service_pb2.TriggerWorkerRequest(name="workers/none")
        own = ("x-request-id", "deploy-42")
        error = method.future(request, metadata=(*bearer("operator"), own), timeout=10).exception()

    assert isinstance(error, grpc.Call)
    status = rpc_status.from_call(error)
    assert status is not None
    info = error_details_pb2.RequestInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    assert info.request_id == "deploy-42"


def test_a_change_is_begun_and_ended_in_the_trail(plane: RunningPlane, client: Client) -> None:
    with plane.channel() as channel:
        request_id = trigger(channel, "operator")

    begun, ended = events(client, request_id=request_id)

    assert (begun.actor, begun.method, begun.resource) == ("operator-1", TRIGGER, "workers/cleanup")
    assert (begun.outcome, ended.outcome) == ("BEGUN", "OK")
    assert json.loads(begun.detail) == {"name": "workers/cleanup"}
    assert json.loads(ended.detail)["operation"].startswith("operations/")
    assert begun.peer.startswith("ipv4:127.0.0.1:")
    assert begun.instance == f"instances/{plane.opened.instance_id.hex()}"
    assert problems(client) == []


def test_a_change_that_fails_says_so(plane: RunningPlane, client: Client) -> None:
    with plane.channel() as channel:
        request_id = trigger(channel, "operator", "workers/none")

    assert [each.outcome for each in events(client, request_id=request_id)] == ["BEGUN", "NOT_FOUND"]


def test_a_known_caller_who_may_not_is_written_down_once(plane: RunningPlane, client: Client) -> None:
    with plane.channel() as channel:
        request_id = trigger(channel, "viewer")

    (event,) = events(client, request_id=request_id)
    assert (event.actor, event.outcome) == ("viewer-1", "PERMISSION_DENIED")


def test_those_who_may_not_do_not_fill_the_database(plane: RunningPlane, client: Client) -> None:
    with plane.channel() as channel:
        for _ in range(100):
            trigger(channel, "viewer")

    # Ten a second; the hundred calls take less than four of them.
    assert len(events(client, outcome="PERMISSION_DENIED", page_size=1000)) <= 50  # type: ignore[arg-type]


def test_strangers_and_readers_leave_no_trace(plane: RunningPlane, client: Client) -> None:
    with plane.channel() as channel:
        trigger(channel)
        stub = worker_service_pb2_grpc.WorkerServiceStub(channel)
        stub.ListWorkers(worker_service_pb2.ListWorkersRequest(), metadata=bearer("admin"), timeout=10)

    assert events(client) == []


class Refusing:
    """A store whose writes can be made to fail; implements `engine.metadata.store.Store`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.refuses = False

    def __getattr__(self, name: str):  # type: ignore[no-untyped-def]
        return getattr(self._store, name)

    def write(self, unit, /, **options):  # type: ignore[no-untyped-def]
        if self.refuses:
            raise DatabaseUnavailable("the disk is full of sand")
        return self._store.write(unit, **options)


def test_what_cannot_be_written_down_is_not_done(tmp_path: Path) -> None:
    stores: list[Refusing] = []

    def wrap(store: Store) -> Store:
        stores.append(Refusing(store))
        return stores[0]

    config = write_config(tmp_path, extra="workers: {cleanup: {enabled: false}}")
    with RunningPlane(config, wrap_store=wrap) as plane, plane.channel(socket="admin") as channel:
        client = Client(channel)
        request = pb.SetLogLevelRequest(logger="penstock.server", severity=log_pb2.LOG_SEVERITY_DEBUG)
        stores[0].refuses = True
        failed = failure(lambda: client("log", request))
        stores[0].refuses = False

        assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
        assert [each.logger for each in client("log", pb.ListLogLevelsRequest()).levels] == ["penstock"]
        assert events(client) == []


def test_secrets_do_not_reach_the_trail(plane: RunningPlane, client: Client) -> None:
    """ValidateConfig takes a whole configuration and changes nothing; what creates keys is told in their own tests."""
    client("config", config_service_pb2.ValidateConfigRequest(raw="admin_tokens: [secret-canary-1]\n"))

    assert "secret-canary-1" not in str(events(client))


def test_pages_of_events_join(plane: RunningPlane, client: Client) -> None:
    with plane.channel(socket="admin") as channel:
        for _ in range(5):
            trigger(channel)
    whole = client("log", pb.ListAuditEventsRequest(page_size=1000)).events

    first = client("log", pb.ListAuditEventsRequest(page_size=4))
    rest = client("log", pb.ListAuditEventsRequest(page_size=1000, page_token=first.next_page_token))

    assert [*first.events, *rest.events] == list(whole)
    assert rest.next_page_token == ""


def test_events_are_filtered_by_method_and_time(plane: RunningPlane, client: Client) -> None:
    with plane.channel(socket="admin") as channel:
        trigger(channel)
    (begun, ended) = events(client, method="WorkerService/TriggerWorker")

    later = client("log", pb.ListAuditEventsRequest(since=ended.create_time)).events
    earlier = client("log", pb.ListAuditEventsRequest(until=begun.create_time)).events

    assert ended in later
    assert list(earlier) == []
    assert events(client, method="WorkerService/PauseWorker") == []


def test_events_are_told_as_they_come(plane: RunningPlane) -> None:
    with plane.channel(socket="admin") as channel, plane.channel(socket="admin") as other:
        trigger(other)
        told: Any = pb_grpc.LogServiceStub(channel).TailAuditEvents(
            pb.TailAuditEventsRequest(tail_count=1), timeout=20
        )
        answers = iter(told)
        first = next(answers).event
        request_id = trigger(other)
        then = [next(answers).event for _ in range(2)]
        told.cancel()

    assert first.outcome == "OK"
    assert [(each.request_id, each.outcome) for each in then] == [(request_id, "BEGUN"), (request_id, "OK")]


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        ("UPDATE audit_events SET actor = 'somebody' WHERE event_seq = :seq", "AUDIT_PROBLEM_ALTERED"),
        ("DELETE FROM audit_events WHERE event_seq = :seq", "AUDIT_PROBLEM_DETACHED"),
    ],
)
def test_tampering_shows(plane: RunningPlane, client: Client, harm: str, problem: str) -> None:
    with plane.channel(socket="admin") as channel:
        for _ in range(3):
            trigger(channel)
    harmed = events(client)[2].sequence

    run_sql(plane.opened.store, harm, {"seq": harmed})

    assert [told for _, told in problems(client)] == [problem]


def test_an_end_that_was_cut_off_shows_on_the_node_that_wrote_it(plane: RunningPlane, client: Client) -> None:
    with plane.channel(socket="admin") as channel:
        trigger(channel)
        trigger(channel)
    last = events(client)[-1].sequence

    run_sql(plane.opened.store, "DELETE FROM audit_events WHERE event_seq = :seq", {"seq": last})

    assert problems(client) == [(0, "AUDIT_PROBLEM_TRUNCATED")]


def test_the_next_instance_goes_on_where_the_one_before_ended(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    for _ in range(2):
        with RunningPlane(config) as plane, plane.channel(socket="admin") as channel:
            trigger(channel)
            client = Client(channel)
            whole, report = events(client), client("log", pb.VerifyAuditRequest())

    assert len({each.instance for each in whole}) == 2
    assert (report.event_count, report.chain_count, list(report.findings)) == (4, 2, [])


def test_a_call_whose_caller_goes_away_is_ended_in_the_trail(plane: RunningPlane, client: Client) -> None:
    with plane.channel(socket="admin") as channel:
        method: Any = worker_service_pb2_grpc.WorkerServiceStub(channel).TriggerWorker
        for _ in range(10):
            method.future(
                worker_service_pb2.TriggerWorkerRequest(name="workers/cleanup"), timeout=10
            ).cancel()

    def is_settled() -> bool:
        told = events(client, page_size=1000)  # type: ignore[arg-type]
        begun = {each.request_id for each in told if each.outcome == "BEGUN"}
        return begun == {each.request_id for each in told if each.outcome != "BEGUN"}

    wait_until(is_settled, "an end for each call that was begun")
    assert problems(client) == []
