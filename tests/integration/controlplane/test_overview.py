"""The whole deployment by SystemService: dashboard, figures, events to go on with, the read-only switch."""

import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from penstock.admin.v1 import (
    dashboard_pb2,
    event_pb2,
    operation_pb2,
    system_pb2,
    watch_pb2,
    worker_service_pb2,
)
from penstock.admin.v1 import system_service_pb2 as pb
from penstock.admin.v1 import system_service_pb2_grpc as pb_grpc

from engine.metadata import instance_stats
from tests.integration.controlplane.clients import Client
from tests.support.control import RunningPlane, bearer, failure

TIMEOUT_S = 20


@pytest.fixture
def stub(plane: RunningPlane) -> Iterator[Any]:
    with plane.channel(socket="admin") as channel:
        yield pb_grpc.SystemServiceStub(channel)


# --- the read-only switch ---


def test_the_switch_is_off_until_somebody_turns_it(client: Client) -> None:
    before = client("system", pb.GetReadOnlyRequest()).read_only
    client("system", pb.SetReadOnlyRequest(enabled=True, reason="a move of disks"))
    on = client("system", pb.GetReadOnlyRequest()).read_only
    health = client("system", pb.GetHealthRequest())
    off = client("system", pb.SetReadOnlyRequest(enabled=False)).read_only

    assert before == system_pb2.ReadOnlyMode()
    assert (on.enabled, on.reason, on.changed_by) == (True, "a move of disks", "local")
    (check,) = (each for each in health.checks if each.name == "writes")
    assert check.status == system_pb2.HEALTH_STATUS_DEGRADED
    assert "a move of disks" in check.message
    assert "read-only off" in check.remedy
    assert not off.enabled


def test_a_reason_that_is_too_long_is_refused(client: Client) -> None:
    failed = failure(lambda: client("system", pb.SetReadOnlyRequest(enabled=True, reason="x" * 201)))

    assert (failed.code, list(failed.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, ["reason"])


def test_the_switch_needs_an_operator(plane: RunningPlane) -> None:
    with plane.channel() as channel:
        method = pb_grpc.SystemServiceStub(channel).SetReadOnly
        failed = failure(lambda: method(pb.SetReadOnlyRequest(enabled=True), metadata=bearer("viewer")))
        method(pb.SetReadOnlyRequest(enabled=True), metadata=bearer("operator"))

    assert failed.code is grpc.StatusCode.PERMISSION_DENIED


# --- health ---


def test_health_looks_at_the_node_too_and_says_what_to_do(client: Client, plane: RunningPlane) -> None:
    key_file = plane.config.parent / "master.key"
    good = client("system", pb.GetHealthRequest())
    key_file.write_bytes(b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=")

    bad = client("system", pb.GetHealthRequest())

    assert {"clock", "keys", "writes", "cleanup", "generations"} <= {each.name for each in good.checks}
    assert abs(good.server_time.ToNanoseconds() / 1e9 - time.time()) < 5
    (keys,) = (each for each in bad.checks if each.name == "keys")
    assert keys.status == system_pb2.HEALTH_STATUS_DEGRADED
    assert all(each.remedy for each in bad.checks if each.status != system_pb2.HEALTH_STATUS_OK)


# --- dashboard ---


def test_the_dashboard_shows_all_in_one_look(client: Client, plane: RunningPlane) -> None:
    dashboard = client("system", pb.GetDashboardRequest()).dashboard

    assert [each.backend for each in dashboard.backends] == ["backends/v1", "backends/v2"]
    assert {each.binding_limit for each in dashboard.backends} == {dashboard_pb2.BINDING_LIMIT_DISK}
    assert all(each.free_bytes > 0 for each in dashboard.backends)
    assert dashboard.worker_count >= 5
    assert dashboard.newest_generation == 1
    assert [each.plane for each in dashboard.processes] == [system_pb2.PLANE_CONTROL]
    assert dashboard.look_time.seconds
    # Nobody serves S3 here, and that is what stands on top.
    assert dashboard.status == system_pb2.HEALTH_STATUS_FAILED
    assert "dataplane" in {each.name for each in dashboard.problems}


def test_the_dashboard_is_sent_again_when_something_changes(stub: Any) -> None:
    stream = stub.WatchDashboard(pb.WatchDashboardRequest(), timeout=TIMEOUT_S)
    first = next(stream)

    stub.SetReadOnly(pb.SetReadOnlyRequest(enabled=True))

    changed = next(each for each in stream if each.dashboard.read_only.enabled)
    stream.cancel()
    assert first.kind == watch_pb2.WATCH_KIND_SNAPSHOT
    assert not first.dashboard.read_only.enabled
    assert changed.kind == watch_pb2.WATCH_KIND_CHANGE


# --- figures ---


def test_figures_are_those_that_instances_told(stub: Any, plane: RunningPlane) -> None:
    from penstock.admin.v1 import stats_pb2

    instance = f"instances/{plane.opened.instance_id.hex()}"
    document = stats_pb2.InstanceStats(instance=instance, request_count=7).SerializeToString()
    none_yet = stub.GetStats(pb.GetStatsRequest())
    plane.opened.store.write(lambda tx: instance_stats.put_stats(tx, plane.opened.instance_id, document))

    everybody = stub.GetStats(pb.GetStatsRequest())
    own = stub.GetStats(pb.GetStatsRequest(instances=[instance]))
    others = stub.GetStats(pb.GetStatsRequest(instances=[f"instances/{'0' * 32}"]))
    watched = next(stub.WatchStats(pb.WatchStatsRequest(), timeout=TIMEOUT_S))

    assert list(none_yet.instances) == []
    assert [each.request_count for each in everybody.instances] == [7]
    assert everybody == own
    assert list(watched.instances) == list(own.instances)
    assert list(others.instances) == []


@pytest.mark.parametrize("seconds", [-1, 0, 4000])
def test_an_interval_out_of_bounds_is_refused(stub: Any, seconds: int) -> None:
    request = pb.WatchStatsRequest(interval=Duration(seconds=seconds))

    failed = failure(lambda: next(stub.WatchStats(request, timeout=TIMEOUT_S)))

    assert (failed.code, list(failed.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, ["interval"])


# --- events ---


def until_bookmark(stream: Any) -> list[event_pb2.Event]:
    events: list[event_pb2.Event] = []
    for answer in stream:
        events.append(answer.event)
        if answer.event.kind == event_pb2.EVENT_KIND_BOOKMARK:
            break
    return events


def test_a_stream_begins_with_how_everything_is(stub: Any) -> None:
    events = until_bookmark(stub.WatchEvents(pb.WatchEventsRequest(), timeout=TIMEOUT_S))

    names = {each.name for each in events}
    assert {"backends/v1", "workers/cleanup", "config", "readOnly"} <= names
    assert {each.kind for each in events[:-1]} == {event_pb2.EVENT_KIND_SNAPSHOT}
    assert events[-1].resume_token
    (generation,) = (each.generation for each in events if each.topic == event_pb2.EVENT_TOPIC_CONFIG)
    assert generation == 1


def test_what_happens_is_told_of_the_topics_asked_for(stub: Any, plane: RunningPlane) -> None:
    topics = [event_pb2.EVENT_TOPIC_OPERATION, event_pb2.EVENT_TOPIC_READ_ONLY]
    stream = stub.WatchEvents(pb.WatchEventsRequest(topics=topics), timeout=TIMEOUT_S)
    snapshot = until_bookmark(stream)

    with plane.channel(socket="admin") as channel:
        Client(channel)("worker", worker_service_pb2.TriggerWorkerRequest(name="workers/cleanup", wait=True))
    stub.SetReadOnly(pb.SetReadOnlyRequest(enabled=True))

    seen: list[event_pb2.Event] = []
    for answer in stream:
        seen.append(answer.event)
        if answer.event.topic == event_pb2.EVENT_TOPIC_READ_ONLY:
            break
    stream.cancel()
    assert {each.topic for each in snapshot} <= {event_pb2.EVENT_TOPIC_READ_ONLY, *topics, 0}
    assert {each.topic for each in seen} == set(topics)
    added = next(each for each in seen if each.topic == event_pb2.EVENT_TOPIC_OPERATION)
    assert added.kind == event_pb2.EVENT_KIND_ADDED
    assert added.operation.target == "workers/cleanup"
    assert added.operation.state != operation_pb2.OPERATION_STATE_UNSPECIFIED
    assert seen[-1].read_only.enabled


def test_a_stream_goes_on_behind_a_token_and_misses_nothing(stub: Any) -> None:
    topics = [event_pb2.EVENT_TOPIC_READ_ONLY]
    first = stub.WatchEvents(pb.WatchEventsRequest(topics=topics), timeout=TIMEOUT_S)
    token = until_bookmark(first)[-1].resume_token
    first.cancel()
    stub.SetReadOnly(pb.SetReadOnlyRequest(enabled=True))

    again = stub.WatchEvents(pb.WatchEventsRequest(topics=topics, resume_token=token), timeout=TIMEOUT_S)
    event = next(again).event
    again.cancel()

    assert (event.kind, event.read_only.enabled) == (event_pb2.EVENT_KIND_CHANGED, True)


@pytest.mark.parametrize("token", ["x", "0" * 32 + "-1", "-", "ü-1", "1-" + "9" * 30])
def test_a_token_that_is_not_known_is_out_of_range(stub: Any, token: str) -> None:
    failed = failure(
        lambda: next(stub.WatchEvents(pb.WatchEventsRequest(resume_token=token), timeout=TIMEOUT_S))
    )

    assert (failed.code, failed.reason) == (grpc.StatusCode.OUT_OF_RANGE, "RESUME_TOO_OLD")
