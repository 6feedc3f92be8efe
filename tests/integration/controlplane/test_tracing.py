"""A traced call is one trace from whoever calls to the statements, on either engine; off, nothing is made of it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from penstock.admin.v1 import worker_service_pb2, worker_service_pb2_grpc

from engine.settings.running import TracingSettings
from tests.support.collector import Collector, SeenSpan
from tests.support.control import RunningPlane, bearer, failure, wait_until, write_config
from tests.support.engines import ENGINES
from tests.support.postgres import shared_server, with_database

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
CALLED_FROM = (("traceparent", f"00-{TRACE}-{PARENT}-01"),)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


def config_of(folder: Path, endpoint: str, sample: float = 1.0) -> Path:
    return write_config(folder, extra=f'telemetry: {{tracing: {{endpoint: "{endpoint}", sample: {sample}}}}}')


def list_workers(channel: grpc.Channel, metadata: tuple[tuple[str, str], ...]) -> None:
    stub = worker_service_pb2_grpc.WorkerServiceStub(channel)
    stub.ListWorkers(worker_service_pb2.ListWorkersRequest(), metadata=metadata, timeout=10)


def trigger(channel: grpc.Channel, name: str, metadata: tuple[tuple[str, str], ...]) -> None:
    stub = worker_service_pb2_grpc.WorkerServiceStub(channel)
    stub.TriggerWorker(worker_service_pb2.TriggerWorkerRequest(name=name), metadata=metadata, timeout=10)


def named(collector: Collector, name: str) -> list[SeenSpan]:
    return [each for each in collector.spans if each.name == name]


@pytest.fixture(params=ENGINES)
def config(request: pytest.FixtureRequest, tmp_path: Path, collector: Collector) -> Iterator[Path]:
    """Of a traced deployment on either engine."""
    made = config_of(tmp_path, collector.endpoint)
    if request.param == "sqlite":
        yield made
        return
    name = shared_server().create_empty_database()
    text = made.read_text().replace("database: {path: metadata.sqlite}\n", "database:\n  path: x\n")
    made.write_text(with_database(text, shared_server(), name))
    yield made


def test_a_call_is_one_trace_down_to_its_statements(config: Path, collector: Collector) -> None:
    with RunningPlane(config) as plane, plane.channel() as channel:
        list_workers(channel, (*bearer("viewer"), *CALLED_FROM))

    (call,) = named(collector, "penstock.admin.v1.WorkerService/ListWorkers")
    units = [each for each in collector.spans if each.parent_id == call.span_id]
    statements = {each.name for each in collector.spans if each.parent_id in {unit.span_id for unit in units}}
    assert (call.trace_id, call.parent_id, call.kind, call.status) == (TRACE, PARENT, 2, 0)
    assert call.attributes["penstock.caller"] == "viewer-1"
    assert call.attributes["rpc.grpc.status_code"] == "0"
    assert call.resource["service.name"] == "penstock-controlplane"
    assert any(unit.name.startswith("read controlplane.services.workers") for unit in units)
    assert "list_workers" in statements
    assert {each.trace_id for each in collector.spans} == {TRACE}
    assert set(collector.paths) == {"/v1/traces"}


def test_what_is_written_is_part_of_the_trace_and_what_it_says_is_not(
    config: Path, collector: Collector
) -> None:
    with RunningPlane(config) as plane, plane.channel() as channel:
        trigger(channel, "workers/cleanup", (*bearer("operator"), *CALLED_FROM))

    names = {each.name for each in collector.spans}
    assert {"insert_audit_event", "insert_operation", "write engine.metadata.audit.append"} <= names
    assert "workers/cleanup" not in str(collector.spans)


def test_a_callers_mistake_is_no_error_of_the_server(tmp_path: Path, collector: Collector) -> None:
    with RunningPlane(config_of(tmp_path, collector.endpoint)) as plane, plane.channel() as channel:
        failure(lambda: trigger(channel, "workers/none", (*bearer("operator"), *CALLED_FROM)))

    (call,) = named(collector, "penstock.admin.v1.WorkerService/TriggerWorker")
    assert (call.attributes["rpc.grpc.status_code"], call.status) == ("5", 0)


def test_strangers_ask_for_no_traces(tmp_path: Path, collector: Collector) -> None:
    with RunningPlane(config_of(tmp_path, collector.endpoint)) as plane, plane.channel() as channel:
        failure(lambda: list_workers(channel, CALLED_FROM))

    assert collector.spans == []


@pytest.mark.parametrize("given", ["", "x" * 2000, f"00-{'0' * 32}-{PARENT}-01", f"ff-{TRACE}-{PARENT}-01"])
def test_what_is_no_context_begins_a_trace_of_its_own(
    tmp_path: Path, collector: Collector, given: str
) -> None:
    with RunningPlane(config_of(tmp_path, collector.endpoint)) as plane, plane.channel() as channel:
        list_workers(channel, (*bearer("viewer"), ("traceparent", given)))

    (call,) = named(collector, "penstock.admin.v1.WorkerService/ListWorkers")
    assert call.parent_id is None
    assert call.trace_id != TRACE


def test_a_sample_leaves_calls_out_that_nobody_asks_for(tmp_path: Path, collector: Collector) -> None:
    config = config_of(tmp_path, collector.endpoint, sample=0.000001)
    with RunningPlane(config) as plane, plane.channel() as channel:
        for _ in range(20):
            list_workers(channel, bearer("viewer"))
        list_workers(channel, (*bearer("viewer"), *CALLED_FROM))

    assert {each.trace_id for each in collector.spans} == {TRACE}


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "refusing"])
def test_a_collector_that_takes_nothing_costs_nothing_but_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, endpoint: str
) -> None:
    with Collector(status=503) as refusing:
        at = refusing.endpoint if endpoint == "refusing" else endpoint
        with RunningPlane(config_of(tmp_path, at)) as plane, plane.channel() as channel:
            for _ in range(3):
                list_workers(channel, bearer("viewer"))
            wait_until(lambda: "tracing.not_sent" in caplog.text, "the line")

    assert caplog.text.count("tracing.not_sent") == 1


def test_it_is_switched_while_calls_go_on(tmp_path: Path, collector: Collector) -> None:
    settings = TracingSettings(endpoint=collector.endpoint)
    with RunningPlane(write_config(tmp_path)) as plane, plane.channel() as channel:
        tracing = plane.plane._tracing
        list_workers(channel, bearer("viewer"))
        tracing.apply(settings)
        list_workers(channel, (*bearer("viewer"), *CALLED_FROM))
        tracing.apply(None)
        list_workers(channel, bearer("viewer"))

        wait_until(lambda: bool(collector.spans), "what was gathered")
    assert {each.trace_id for each in collector.spans} == {TRACE}


def test_off_it_is_not_even_imported() -> None:
    code = (
        "import sys, controlplane.app; "
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
