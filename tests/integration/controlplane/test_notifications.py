"""NotificationService: targets and what waits for them, a try of one, and events that did not arrive."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from penstock.admin.v1 import notification_service_pb2 as pb
from penstock.admin.v1 import system_pb2, system_service_pb2, worker_pb2, worker_service_pb2

from engine.clock import id_text, uuid7
from engine.notifications.messages import message_of_test
from engine.notifications.webhooks import signature
from tests.integration.controlplane.clients import Client
from tests.support.control import RunningPlane, failure, wait_until, write_config
from tests.support.metadata import run_sql
from tests.support.receiver import Receiver

SECRET = "a secret of the receivers"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as listening:
        yield listening


@pytest.fixture
def plane(tmp_path: Path, receiver: Receiver) -> Iterator[RunningPlane]:
    """One that may reach a receiver here, and must not reach another; its notifier rests."""
    receiver.status = 204
    receiver.received.clear()
    more = f"""
workers: {{notifier: {{enabled: false}}}}
notifications:
  - {{name: hook, url: "{receiver.url("/s3")}", secret: {SECRET}, allow_private: true, timeout: 2s}}
  - {{name: cloud, url: "{receiver.url("/cloud")}", secret: {SECRET}, allow_private: true, format: cloudevents}}
  - {{name: inner, url: "{receiver.url("/inner")}", secret: {SECRET}}}
"""
    with RunningPlane(write_config(tmp_path, extra=more)) as running:
        yield running


def bury(plane: RunningPlane, *targets: str, at_us: int = 1_000_000) -> list[str]:
    """Their names, in the order in which they happened."""
    event_ids = sorted(uuid7() for _ in targets)
    for event_id, target in zip(event_ids, targets, strict=True):
        run_sql(
            plane.opened.store,
            "INSERT INTO notification_dlq (event_id, type, payload, target, attempts, last_error, died_at_us)"
            " VALUES (:event_id, 's3:TestEvent', :payload, :target, 30, 'nobody is there', :at_us)",
            {
                "event_id": event_id,
                "payload": message_of_test("photos", 1),
                "target": target,
                "at_us": at_us,
            },
        )
    return [f"undeliveredEvents/{each.hex()}" for each in event_ids]


def events(client: Client, **filters: Any) -> list[str]:
    request = pb.ListUndeliveredRequest(filter=pb.UndeliveredFilter(**filters))
    return [each.name for each in client("notification", request).events]


def test_targets_are_listed_with_what_waits(plane: RunningPlane, client: Client, receiver: Receiver) -> None:
    bury(plane, "hook", "gone")

    first = client("notification", pb.ListNotificationTargetsRequest(page_size=3))
    rest = client("notification", pb.ListNotificationTargetsRequest(page_token=first.next_page_token))

    cloud, gone, hook = first.targets
    assert [each.name.partition("/")[2] for each in (cloud, gone, hook)] == ["cloud", "gone", "hook"]
    assert [each.name for each in rest.targets] == ["notificationTargets/inner"]
    assert (hook.configured, hook.url, hook.timeout.seconds) == (True, receiver.url("/s3"), 2)
    assert (hook.undelivered_count, hook.waiting_count, hook.last_error) == (1, 0, "nobody is there")
    assert cloud.format == pb.NOTIFICATION_FORMAT_CLOUD_EVENTS
    assert (gone.configured, gone.url, gone.undelivered_count) == (False, "", 1)
    assert SECRET not in str(first)


def test_a_target_gets_a_signed_test_event(plane: RunningPlane, client: Client, receiver: Receiver) -> None:
    plain = client("notification", pb.TestNotificationTargetRequest(name="notificationTargets/hook"))
    cloud = client("notification", pb.TestNotificationTargetRequest(name="notificationTargets/cloud"))

    first, second = receiver.received
    assert (plain.error, cloud.error) == ("", "")
    assert plain.latency.nanos > 0
    assert first.headers["x-penstock-event-id"] == plain.event_id
    told_at = int(first.headers["x-penstock-timestamp"])
    assert first.headers["x-penstock-signature"] == signature(SECRET.encode(), told_at, first.body)
    assert json.loads(first.body)["Event"] == "s3:TestEvent"
    assert json.loads(second.body)["id"] == cloud.event_id


def test_a_test_that_fails_says_why_and_is_not_tried_again(
    plane: RunningPlane, client: Client, receiver: Receiver
) -> None:
    receiver.status = 503

    refused = client("notification", pb.TestNotificationTargetRequest(name="notificationTargets/hook"))
    inner = client("notification", pb.TestNotificationTargetRequest(name="notificationTargets/inner"))
    targets = client("notification", pb.ListNotificationTargetsRequest()).targets
    missing = failure(
        lambda: client("notification", pb.TestNotificationTargetRequest(name="notificationTargets/none"))
    )

    assert refused.error == "the receiver answered 503"
    assert "no public address" in inner.error
    assert [each.path for each in receiver.received] == ["/s3"]
    assert [each.waiting_count for each in targets] == [0, 0, 0]
    assert missing.code is grpc.StatusCode.NOT_FOUND


def test_undelivered_events_are_listed_in_pages(plane: RunningPlane, client: Client) -> None:
    names = bury(plane, "hook", "cloud", "hook")

    first = client("notification", pb.ListUndeliveredRequest(page_size=2))
    rest = client("notification", pb.ListUndeliveredRequest(page_token=first.next_page_token))

    told = [*first.events, *rest.events]
    assert [each.name for each in told] == names
    assert rest.next_page_token == ""
    one = told[0]
    assert one.event_id == id_text(bytes.fromhex(names[0].partition("/")[2]))
    assert (one.type, one.target, one.bucket) == ("s3:TestEvent", "notificationTargets/hook", "photos")
    assert (one.attempt_count, one.last_error, one.give_up_time.seconds) == (30, "nobody is there", 1)
    assert one.event_time.seconds > 1_000_000_000
    assert events(client, target="notificationTargets/hook") == [names[0], names[2]]
    assert events(client, older_than=Duration(seconds=60)) == names


def test_they_are_tried_again_and_arrive(plane: RunningPlane, client: Client, receiver: Receiver) -> None:
    names = bury(plane, "hook", "hook", "cloud")

    by_name = client("notification", pb.RetryUndeliveredRequest(names=[names[0], names[0]]))
    missing = failure(lambda: client("notification", pb.RetryUndeliveredRequest(names=names[:1])))
    hooks = pb.UndeliveredFilter(target="notificationTargets/hook")
    by_kind = client("notification", pb.RetryUndeliveredRequest(filter=hooks))

    assert (by_name.retried_count, by_kind.retried_count, by_kind.left_count) == (1, 1, 0)
    assert (missing.code, names[0] in missing.text) == (grpc.StatusCode.NOT_FOUND, True)
    assert events(client) == [names[2]]
    notifier = worker_pb2.Worker(name="workers/notifier", overrides=worker_pb2.WorkerOverrides(enabled=True))
    client(
        "worker",
        worker_service_pb2.UpdateWorkerRequest(
            worker=notifier, update_mask=FieldMask(paths=["overrides.enabled"])
        ),
    )
    receiver.wait_for(lambda received: len(received) == 2)
    ids = {each.headers["x-penstock-event-id"] for each in receiver.received}
    assert ids == {id_text(bytes.fromhex(each.partition("/")[2])) for each in names[:2]}


def test_only_as_many_as_were_seen_are_let_go(plane: RunningPlane, client: Client) -> None:
    names = bury(plane, "hook", "hook", "cloud")
    hooks = pb.UndeliveredFilter(target="notificationTargets/hook")

    wrong = failure(
        lambda: client("notification", pb.DiscardUndeliveredRequest(filter=hooks, confirm_count=3))
    )
    trial = client(
        "notification", pb.DiscardUndeliveredRequest(filter=hooks, confirm_count=2, validate_only=True)
    )
    still = events(client)
    gone = client("notification", pb.DiscardUndeliveredRequest(filter=hooks, confirm_count=2))
    last = client("notification", pb.DiscardUndeliveredRequest(names=names[2:], confirm_count=1))

    assert (wrong.code, wrong.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "COUNT_MISMATCH")
    assert (trial.discarded_count, still) == (2, names)
    assert (gone.discarded_count, last.discarded_count, events(client)) == (2, 1, [])


@pytest.mark.parametrize(
    ("request_", "at_fault"),
    [
        (pb.TestNotificationTargetRequest(name="hook"), "name"),
        (pb.RetryUndeliveredRequest(), "names"),
        (pb.RetryUndeliveredRequest(names=["undeliveredEvents/x"]), "names"),
        (pb.RetryUndeliveredRequest(names=[f"undeliveredEvents/{'0' * 32}"] * 1001), "names"),
        (pb.DiscardUndeliveredRequest(filter=pb.UndeliveredFilter()), "confirm_count"),
        (pb.ListUndeliveredRequest(filter=pb.UndeliveredFilter(target="hook")), "filter.target"),
        (
            pb.ListUndeliveredRequest(filter=pb.UndeliveredFilter(older_than=Duration(seconds=-1))),
            "filter.older_than",
        ),
        (pb.ListUndeliveredRequest(page_token="eA=="), "page_token"),
    ],
)
def test_a_malformed_request_is_refused_by_field(client: Client, request_: Any, at_fault: str) -> None:
    refused = failure(lambda: client("notification", request_))

    assert (refused.code, list(refused.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, [at_fault])


def test_health_and_metrics_tell_of_what_was_given_up(plane: RunningPlane, client: Client) -> None:
    bury(plane, "hook", "hook")
    metrics = plane.state_dir / "metrics"
    metrics.mkdir(exist_ok=True)

    health = client("system", system_service_pb2.GetHealthRequest())

    (check,) = (each for each in health.checks if each.name == "notifications")
    assert check.status == system_pb2.HEALTH_STATUS_DEGRADED
    assert check.message == "events were given up: 2 for hook"
    assert "adminctl notification retry" in check.remedy
    line = 'penstock_notifications_undelivered{target="hook"} 2.0'
    wait_until(
        lambda: (file := metrics / "control.prom").exists() and line in file.read_text(), "the figures"
    )
