"""Logs, levels and traces of a node: what is kept comes first, what is told comes at once, and what ends, ends."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from penstock.admin.v1 import log_pb2
from penstock.admin.v1 import log_service_pb2 as pb
from penstock.admin.v1 import log_service_pb2_grpc as pb_grpc

from dataplane.middleware.traces import Traces
from engine.telling.datagrams import Kind
from engine.telling.lines import plain_line, write_line
from engine.telling.process import ProcessTelling
from tests.integration.controlplane.clients import Client
from tests.support.control import RunningPlane, failure, wait_until, write_config

LOG = logging.getLogger("penstock.tests")


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlane]:
    with RunningPlane(write_config(tmp_path_factory.mktemp("logs"))) as plane:
        yield plane


@pytest.fixture
def stub(plane: RunningPlane) -> Iterator[pb_grpc.LogServiceStub]:
    with plane.channel(socket="viewer") as channel:
        yield pb_grpc.LogServiceStub(channel)


@pytest.fixture(autouse=True)
def everything_is_logged() -> Iterator[None]:
    root = logging.getLogger()
    before = root.level
    root.setLevel("INFO")
    yield
    root.setLevel(before)


def kept(stub: pb_grpc.LogServiceStub, **wanted: Any) -> list[log_pb2.LogEntry]:
    answers: Any = stub.TailLogs(pb.TailLogsRequest(**wanted), timeout=10)
    return [answer.entry for answer in answers]


def test_lines_that_are_kept_come_with_their_fields(stub: pb_grpc.LogServiceStub) -> None:
    LOG.warning("thing.happened", extra={"backend": "near", "count": 3})

    (entry,) = kept(stub, grep="thing.happened")

    assert (entry.event, entry.severity, entry.logger) == (
        "thing.happened",
        log_pb2.LOG_SEVERITY_WARNING,
        "penstock.tests",
    )
    assert dict(entry.fields) == {"backend": "near", "count": "3"}
    assert entry.process == "controlplane"


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({"grep": "MARKED.1"}, 3),
        ({"grep": "number=2"}, 1),
        ({"grep": "marked.1", "min_severity": log_pb2.LOG_SEVERITY_ERROR}, 1),
        ({"grep": "marked.1", "logger": "penstock"}, 3),
        ({"grep": "marked.1", "logger": "penstock.test"}, 0),
        ({"grep": "marked.1", "tail_count": 2}, 2),
        ({"grep": "marked.1", "process": "dataplane"}, 0),
        ({"grep": "marked.1", "since": Timestamp(seconds=2**33)}, 0),
    ],
)
def test_filters_leave_out_the_rest(stub: pb_grpc.LogServiceStub, wanted: dict[str, Any], count: int) -> None:
    if not kept(stub, grep="marked.1"):
        for number, level in enumerate((logging.INFO, logging.WARNING, logging.ERROR)):
            LOG.log(level, "marked.1", extra={"number": number})

    assert len(kept(stub, **wanted)) == count


def test_an_error_comes_with_its_traceback(stub: pb_grpc.LogServiceStub) -> None:
    try:
        raise LookupError("not where it was")
    except LookupError:
        LOG.exception("broke.down")

    (entry,) = kept(stub, grep="broke.down")
    assert entry.traceback.endswith("LookupError: not where it was")


def test_new_lines_come_at_once(stub: pb_grpc.LogServiceStub) -> None:
    LOG.info("before.following")
    told: Any = stub.TailLogs(pb.TailLogsRequest(follow=True, grep="following"), timeout=20)
    assert told.initial_metadata() is not None
    LOG.info("while.following")

    assert next(told).entry.event == "while.following"
    told.cancel()


@pytest.mark.parametrize(
    "wanted",
    [
        {"grep": "x" * 257},
        {"tail_count": -1},
        {"process": "arbiter"},
        {"min_severity": 9},
        {"instance": "backends/x"},
        {"since": Timestamp(seconds=-5)},
    ],
)
def test_what_makes_no_sense_is_refused(stub: pb_grpc.LogServiceStub, wanted: dict[str, Any]) -> None:
    failed = failure(lambda: kept(stub, **wanted))

    assert failed.code is grpc.StatusCode.INVALID_ARGUMENT


def test_another_instance_is_to_be_asked_itself(plane: RunningPlane, stub: pb_grpc.LogServiceStub) -> None:
    failed = failure(lambda: kept(stub, instance=f"instances/{'0' * 32}"))
    own = kept(stub, instance=f"instances/{plane.opened.instance_id.hex()}", tail_count=1)

    assert failed.code is grpc.StatusCode.NOT_FOUND
    assert own


def test_lines_of_other_processes_are_there_too(plane: RunningPlane, stub: pb_grpc.LogServiceStub) -> None:
    # The handler sees this process's own lines: those of the control plane are there twice for a moment.
    other = ProcessTelling(plane.state_dir, process="dataplane")
    LOG.info("from.elsewhere")
    other.close()

    wait_until(lambda: len(kept(stub, grep="from.elsewhere", process="dataplane")) == 1, "the line")


def test_what_finds_no_room_is_counted_and_told(plane: RunningPlane, stub: pb_grpc.LogServiceStub) -> None:
    other = ProcessTelling(plane.state_dir, process="dataplane")
    other.close()
    line = write_line(
        plain_line(logger="penstock.tests", process="dataplane", pid=1, event="many", fields={})
    )

    other.teller.tell(Kind.LOG, [line] * 40_000)

    def is_told() -> bool:
        other.teller.tell(Kind.LOG, [line])
        return bool(kept(stub, grep="log.lines_not_told"))

    wait_until(is_told, "the count of lines that were dropped, once there is room again")

    (told, *_) = kept(stub, grep="log.lines_not_told")
    assert int(told.fields["count"]) > 0
    assert len(kept(stub)) <= 5000
    other.teller.close()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"{}",
        b"[]",
        b'{"kind":"log"}',
        b"\xff" * 100,
        b'{"kind":"log","pid":1,"dropped":0}\n{}',
        b"[" * 9000,
    ],
)
def test_what_is_no_telling_does_no_harm(
    plane: RunningPlane, stub: pb_grpc.LogServiceStub, data: bytes
) -> None:
    teller = ProcessTelling(plane.state_dir, process="dataplane").teller
    teller._send(data)
    LOG.info("still.there")

    wait_until(lambda: bool(kept(stub, grep="still.there", process="dataplane")) or True, "an answer")
    assert kept(stub, grep="still.there")
    teller.close()


def test_a_level_is_set_for_a_while_and_goes_back(tmp_path: Path) -> None:
    with RunningPlane(write_config(tmp_path)) as plane, plane.channel(socket="admin") as channel:
        client = Client(channel)
        elsewhere = ProcessTelling(plane.state_dir, process="dataplane")
        request = pb.SetLogLevelRequest(
            logger="penstock.tests.deep", severity=log_pb2.LOG_SEVERITY_DEBUG, ttl=Duration(seconds=1)
        )
        client("log", request)
        elsewhere.tick()
        deep = logging.getLogger("penstock.tests.deep")
        assert deep.getEffectiveLevel() == logging.DEBUG
        named = [each.logger for each in client("log", pb.ListLogLevelsRequest()).levels]
        assert named == ["penstock", "penstock.tests.deep"]

        def is_back() -> bool:
            elsewhere.tick()
            return deep.level == logging.NOTSET

        wait_until(is_back, "the level of the configuration")
        assert [each.logger for each in client("log", pb.ListLogLevelsRequest()).levels] == ["penstock"]
        elsewhere.close()


def test_a_level_goes_back_when_asked_and_outlasts_the_control_plane_otherwise(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    request = pb.SetLogLevelRequest(logger="penstock.tests.deep", severity=log_pb2.LOG_SEVERITY_ERROR)
    deep = logging.getLogger("penstock.tests.deep")
    with RunningPlane(config) as plane, plane.channel(socket="admin") as channel:
        told = Client(channel)("log", request).level
    with RunningPlane(config) as plane, plane.channel(socket="admin") as channel:
        (_, kept_level) = Client(channel)("log", pb.ListLogLevelsRequest()).levels
        assert deep.level == logging.ERROR

        Client(channel)("log", pb.SetLogLevelRequest(logger="penstock.tests.deep"))
        assert deep.level == logging.NOTSET

    assert kept_level == told


@pytest.mark.parametrize(
    "logger", ["", "root", "grpc", "penstockx", "penstock.", "penstock." + "a" * 40, "botocore"]
)
def test_only_our_own_loggers_have_levels_to_set(plane: RunningPlane, logger: str) -> None:
    with plane.channel(socket="admin") as channel:
        request = pb.SetLogLevelRequest(logger=logger, severity=log_pb2.LOG_SEVERITY_DEBUG)
        failed = failure(lambda: Client(channel)("log", request))

    assert (failed.code, list(failed.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, ["logger"])


def test_levels_are_set_for_a_day_at_most_and_for_few_loggers(tmp_path: Path) -> None:
    with RunningPlane(write_config(tmp_path)) as plane, plane.channel(socket="admin") as channel:
        client = Client(channel)

        def set_level(logger: str, ttl_s: int) -> None:
            client(
                "log",
                pb.SetLogLevelRequest(
                    logger=logger, severity=log_pb2.LOG_SEVERITY_INFO, ttl=Duration(seconds=ttl_s)
                ),
            )

        assert list(failure(lambda: set_level("penstock.x", 86_401)).fields) == ["ttl"]
        for number in range(32):
            set_level(f"penstock.tests.{'x' * (number + 1)}", 60)

        assert failure(lambda: set_level("penstock.more", 60)).code is grpc.StatusCode.UNAVAILABLE


def request_of(**fields: Any) -> dict[str, Any]:
    return {
        "time_us": 1_700_000_000_000_000,
        "request_id": "R1",
        "peer": "192.0.2.1",
        "access_key_id": "AKIA1",
        "operation": "GetObject",
        "bucket": "photos",
        "key": "a/b.jpg",
        "status": 200,
        "code": "",
        "received_bytes": 0,
        "sent_bytes": 7,
        "duration_us": 1500,
        "user_agent": "curl",
        **fields,
    }


def test_traces_are_told_while_somebody_traces_and_not_otherwise(
    plane: RunningPlane, stub: pb_grpc.LogServiceStub
) -> None:
    elsewhere = ProcessTelling(plane.state_dir, process="dataplane")
    traces = Traces(lambda lines: elsewhere.teller.tell(Kind.REQUEST, lines))
    assert elsewhere.tick() is None

    told: Any = stub.TraceRequests(pb.TraceRequestsRequest(bucket="photos", errors_only=True), timeout=20)
    wait_until(lambda: elsewhere.tick() is not None, "the wish")
    traces.wish = elsewhere.tick()
    assert traces.wish is not None
    assert traces.wish.errors_only
    for fields in ({"status": 200}, {"status": 404, "bucket": "other"}, {"status": 404, "key": "lost"}):
        traces.take(request_of(**fields))
    traces.flush()
    answer = next(told)
    told.cancel()

    assert (answer.request.key, answer.request.status, answer.request.duration.nanos) == (
        "lost",
        404,
        1_500_000,
    )
    wait_until(lambda: elsewhere.tick() is None, "the end of the wish")
    elsewhere.close()


def test_more_than_some_do_not_trace_at_once(plane: RunningPlane) -> None:
    with plane.channel(socket="viewer") as channel:
        stub = pb_grpc.LogServiceStub(channel)
        watching: list[Any] = [stub.TraceRequests(pb.TraceRequestsRequest(), timeout=30) for _ in range(17)]
        wait_until(lambda: any(each.done() for each in watching), "a refusal")
        (refused,) = (each for each in watching if each.done())
        assert refused.code() is grpc.StatusCode.UNAVAILABLE
        for each in watching:
            each.cancel()


def test_a_stop_ends_streams_and_says_why(tmp_path: Path) -> None:
    with RunningPlane(write_config(tmp_path)) as plane, plane.channel(socket="admin") as channel:
        stub = pb_grpc.LogServiceStub(channel)
        streams: list[Any] = [
            stub.TailLogs(pb.TailLogsRequest(follow=True), timeout=30),
            stub.TraceRequests(pb.TraceRequestsRequest(), timeout=30),
            stub.TailAuditEvents(pb.TailAuditEventsRequest(), timeout=30),
        ]
        assert streams[0].initial_metadata() is not None
        LOG.error("seen")
        next(streams[0])
        plane.stop_serving().result(20)
        wait_until(lambda: all(each.done() for each in streams), "the end of the streams")

        assert {each.code() for each in streams} == {grpc.StatusCode.UNAVAILABLE}
        assert {each.details() for each in streams} == {"server draining; call again"}
