"""With a collector in its environment, a command is the root of the trace that goes down to the server's statements."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.adminctl.running import ControlProcess
from tests.support.collector import Collector, SeenSpan
from tests.support.control import wait_until

PARENT = f"00-{'ab' * 16}-{'cd' * 8}-01"
CLIENT, SERVER, ERROR = 3, 2, 2
LIST = "penstock.admin.v1.WorkerService/ListWorkers"
TRIGGER = "penstock.admin.v1.WorkerService/TriggerWorker"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture
def traced(tmp_path: Path, collector: Collector) -> Iterator[ControlProcess]:
    """A control plane that sends its spans to the same collector."""
    process = ControlProcess(tmp_path)
    with process.config.open("a") as config:
        config.write(f'\ntelemetry: {{tracing: {{endpoint: "{collector.endpoint}"}}}}\n')
    with process:
        yield process


def collecting(endpoint: str, **more: str) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, **more}


def named(collector: Collector, name: str, kind: int) -> list[SeenSpan]:
    return [each for each in list(collector.spans) if each.name.lstrip("/") == name and each.kind == kind]


def test_the_trace_is_whole_from_the_command_to_the_statements(
    traced: ControlProcess, collector: Collector
) -> None:
    done = traced.run("worker", "list", environ=collecting(collector.endpoint))
    wait_until(lambda: bool(named(collector, LIST, SERVER)), "the server's spans")

    assert (done.returncode, done.stderr) == (0, "")
    (command,) = [each for each in collector.spans if each.name == "adminctl worker"]
    (call,) = named(collector, LIST, CLIENT)
    (served,) = named(collector, LIST, SERVER)
    units = [each for each in collector.spans if each.parent_id == served.span_id]
    statements = {each.name for each in collector.spans if each.parent_id in {unit.span_id for unit in units}}
    assert command.parent_id is None
    assert (call.parent_id, served.parent_id) == (command.span_id, call.span_id)
    assert (call.resource["service.name"], call.attributes["rpc.grpc.status_code"]) == ("adminctl", "0")
    assert "list_workers" in statements
    assert {each.trace_id for each in (call, served, *units)} == {command.trace_id}
    assert traced.token not in str(collector.spans)


def test_a_command_and_a_call_that_fails_are_part_of_what_runs_them(
    traced: ControlProcess, collector: Collector
) -> None:
    environ = collecting(collector.endpoint, TRACEPARENT=PARENT)
    done = traced.run("-v", "worker", "trigger", "none", environ=environ)

    assert done.returncode == 4, done.stderr
    assert f"trace: {'ab' * 16}" in done.stderr
    (command,) = [each for each in collector.spans if each.name == "adminctl worker"]
    (call,) = named(collector, TRIGGER, CLIENT)
    assert (command.trace_id, command.parent_id) == ("ab" * 16, "cd" * 8)
    assert (call.parent_id, call.status, call.attributes["rpc.grpc.status_code"]) == (
        command.span_id,
        ERROR,
        "5",
    )


def test_a_stream_is_one_call(traced: ControlProcess, collector: Collector) -> None:
    done = traced.run("maintenance", "fsck", environ=collecting(collector.endpoint))

    assert (done.returncode, done.stderr.count("warning")) == (0, 0)
    assert {each.trace_id for each in collector.spans if each.kind == CLIENT} == {
        each.trace_id for each in collector.spans if each.name == "adminctl maintenance"
    }
    assert len(named(collector, "penstock.admin.v1.OperationService/WatchOperation", CLIENT)) == 1


def test_a_collector_that_is_away_costs_a_line_and_a_moment(control: ControlProcess) -> None:
    began_s = time.monotonic()
    done = control.run("worker", "list", environ=collecting("http://127.0.0.1:1"))

    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "warning: the spans of this command could not be sent to the collector"
    ]
    assert time.monotonic() - began_s < 15


@pytest.mark.parametrize("more", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}])
def test_spans_are_switched_off_as_opentelemetry_says(
    control: ControlProcess, collector: Collector, more: dict[str, str]
) -> None:
    done = control.run("worker", "list", environ=collecting(collector.endpoint, **more))

    assert (done.returncode, collector.spans) == (0, [])
