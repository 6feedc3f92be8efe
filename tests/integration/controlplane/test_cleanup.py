"""CleanupService: what waits and what was given up is told, tried again and let go; stale uploads are aborted."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from penstock.admin.v1 import cleanup_service_pb2, operation_pb2, operation_service_pb2

from engine.metadata import quota
from engine.metadata.backends import list_backends
from engine.metadata.buckets import find_bucket
from engine.names import bucket_name, object_key
from engine.objects.remove import RemoveOrder
from tests.integration.controlplane.clients import Client
from tests.support.control import RunningPlane, failure, put_object, wait_until, write_config
from tests.support.metadata import make_upload, run_sql

pb = cleanup_service_pb2

SWITCHED_OFF = "workers: {cleanup: {enabled: false}, multipart: {enabled: false}}\n"


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RunningPlane]:
    """One whose workers leave what waits alone."""
    with RunningPlane(write_config(tmp_path, extra=SWITCHED_OFF)) as plane:
        yield plane


def bury(plane: RunningPlane, *storage_keys: str, reason: str = "reaped", backend: str = "v1") -> None:
    store = plane.opened.store
    row = next(row for row in store.read(list_backends) if row.name == backend)
    for storage_key in storage_keys:
        orphan = partial(quota.add_orphan, subject=quota.backend_subject(row.backend_id), size_bytes=10)
        store.write(orphan)
        run_sql(
            store,
            "INSERT INTO cleanup_dlq (cleanup_id, backend_id, storage_key, reason, size_bytes, attempts,"
            " last_error, died_at_us) SELECT COALESCE(MAX(cleanup_id), 0) + 1, :backend, :key, :reason, 10, 10,"
            " 'the disk is gone', 1000000 FROM cleanup_dlq",
            {"backend": row.backend_id, "key": storage_key, "reason": reason},
        )


def letters(client: Client, **filters: Any) -> list[str]:
    request = pb.ListDeadLettersRequest(filter=pb.DeadLetterFilter(**filters))
    return [each.storage_key for each in client("cleanup", request).dead_letters]


def ended(client: Client, operation: operation_pb2.Operation) -> operation_pb2.Operation:
    found = operation

    def has_ended() -> bool:
        nonlocal found
        request = operation_service_pb2.GetOperationRequest(name=operation.name)
        found = client("operation", request).operation
        return bool(found.done)

    wait_until(has_ended, "the end of the operation")
    return found


def delete(plane: RunningPlane, bucket: str, key: str) -> None:
    plane.opened.use.remover.delete(bucket_name(bucket), RemoveOrder(key=object_key(key.encode())))


def test_the_status_adds_up(plane: RunningPlane, client: Client) -> None:
    bury(plane, "a", "b")
    put_object(plane.opened, "photos", "k", bytes(1000))
    delete(plane, "photos", "k")
    wait_until(
        lambda: client("cleanup", pb.GetCleanupStatusRequest()).queued_count == 1, "the reaper to queue it"
    )

    told = client("cleanup", pb.GetCleanupStatusRequest())
    (item,) = client("cleanup", pb.ListCleanupItemsRequest()).items
    due = client("cleanup", pb.ListCleanupItemsRequest(due_only=True)).items

    assert (told.dead_letter_count, told.dead_letter_bytes) == (2, 20)
    assert (told.queued_bytes, told.due_count) == (item.size_bytes, 0)
    assert told.oldest_due_time == item.due_time
    assert sum(each.queued_count for each in told.backends) == 1
    assert [each.dead_letter_count for each in told.backends if each.backend == "backends/v1"] == [2]
    assert (item.reason, item.attempt_count, item.claimed, list(due)) == ("reaped", 0, False, [])


def test_dead_letters_are_listed_in_pages_by_what_is_asked_for(plane: RunningPlane, client: Client) -> None:
    bury(plane, "a", "b")
    bury(plane, "c", reason="moved", backend="v2")

    first = client("cleanup", pb.ListDeadLettersRequest(page_size=2))
    rest = client("cleanup", pb.ListDeadLettersRequest(page_token=first.next_page_token))

    assert [each.storage_key for each in (*first.dead_letters, *rest.dead_letters)] == ["a", "b", "c"]
    assert rest.next_page_token == ""
    assert letters(client, backend="backends/v2") == ["c"]
    assert letters(client, reason="reaped") == ["a", "b"]
    assert letters(client, older_than=Duration(seconds=60)) == ["a", "b", "c"]
    one = first.dead_letters[0]
    assert (one.backend, one.attempt_count, one.last_error) == ("backends/v1", 10, "the disk is gone")
    assert one.give_up_time.seconds == 1


def test_they_are_tried_again_by_name_or_by_kind(plane: RunningPlane, client: Client) -> None:
    bury(plane, "a", "b", "c")
    name = client("cleanup", pb.ListDeadLettersRequest()).dead_letters[0].name

    by_name = client("cleanup", pb.RetryDeadLettersRequest(names=[name, name]))
    missing = failure(lambda: client("cleanup", pb.RetryDeadLettersRequest(names=[name])))
    by_kind = client("cleanup", pb.RetryDeadLettersRequest(filter=pb.DeadLetterFilter()))

    assert (by_name.retried_count, by_name.left_count) == (1, 0)
    assert (missing.code, name in missing.text) == (grpc.StatusCode.NOT_FOUND, True)
    assert (by_kind.retried_count, by_kind.left_count) == (2, 0)
    items = client("cleanup", pb.ListCleanupItemsRequest(due_only=True)).items
    assert [each.storage_key for each in items] == ["a", "b", "c"]


def test_only_as_many_as_were_seen_are_let_go(plane: RunningPlane, client: Client) -> None:
    bury(plane, "a", "b")
    bury(plane, "c", reason="moved")
    reaped = pb.DeadLetterFilter(reason="reaped")

    wrong = failure(lambda: client("cleanup", pb.DiscardDeadLettersRequest(filter=reaped, confirm_count=3)))
    trial = client(
        "cleanup", pb.DiscardDeadLettersRequest(filter=reaped, confirm_count=2, validate_only=True)
    )
    still = letters(client)
    gone = client("cleanup", pb.DiscardDeadLettersRequest(filter=reaped, confirm_count=2))

    assert (wrong.code, wrong.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "COUNT_MISMATCH")
    assert (trial.discarded_count, still) == (2, ["a", "b", "c"])
    assert (gone.discarded_count, gone.discarded_bytes) == (2, 20)
    assert letters(client) == ["c"]
    named = client("cleanup", pb.ListDeadLettersRequest()).dead_letters[0].name
    client("cleanup", pb.DiscardDeadLettersRequest(names=[named], confirm_count=1))
    assert letters(client) == []
    assert client("cleanup", pb.GetCleanupStatusRequest()).dead_letter_bytes == 0


@pytest.mark.parametrize(
    ("request_of", "at_fault"),
    [
        (lambda: pb.RetryDeadLettersRequest(), "names"),
        (lambda: pb.RetryDeadLettersRequest(names=["deadLetters/1"], filter=pb.DeadLetterFilter()), "names"),
        (lambda: pb.RetryDeadLettersRequest(names=["deadLetters/x"]), "names"),
        (lambda: pb.RetryDeadLettersRequest(names=["deadLetters/1"] * 1001), "names"),
        (lambda: pb.DiscardDeadLettersRequest(filter=pb.DeadLetterFilter()), "confirm_count"),
        (
            lambda: pb.DiscardDeadLettersRequest(filter=pb.DeadLetterFilter(), confirm_count=10_001),
            "confirm_count",
        ),
        (lambda: pb.ListDeadLettersRequest(filter=pb.DeadLetterFilter(backend="v1")), "filter.backend"),
        (
            lambda: pb.ListDeadLettersRequest(filter=pb.DeadLetterFilter(older_than=Duration(seconds=-1))),
            "filter.older_than",
        ),
        (lambda: pb.ListCleanupItemsRequest(page_token="eA=="), "page_token"),
        (lambda: pb.AbortStaleUploadsRequest(), "older_than"),
    ],
)
def test_a_malformed_request_is_refused_by_field(client: Client, request_of: Any, at_fault: str) -> None:
    refused = failure(lambda: client("cleanup", request_of()))

    assert (refused.code, list(refused.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, [at_fault])


def test_a_run_deletes_what_is_due_and_with_now_what_is_not(plane: RunningPlane, client: Client) -> None:
    put_object(plane.opened, "photos", "k", bytes(1000))
    delete(plane, "photos", "k")
    wait_until(
        lambda: client("cleanup", pb.GetCleanupStatusRequest()).queued_count == 1, "the reaper to queue it"
    )

    due = ended(client, client("cleanup", pb.RunCleanupRequest()).operation)
    left = client("cleanup", pb.GetCleanupStatusRequest()).queued_count
    now = ended(client, client("cleanup", pb.RunCleanupRequest(now=True)).operation)

    assert (due.state, due.progress.done_count, left) == (operation_pb2.OPERATION_STATE_SUCCEEDED, 0, 1)
    assert (now.state, now.progress.done_count) == (operation_pb2.OPERATION_STATE_SUCCEEDED, 1)
    assert "read grace was overridden" in now.warnings[0]
    assert list(due.warnings) == []
    status = client("cleanup", pb.GetCleanupStatusRequest())
    assert (status.queued_count, status.queued_bytes, len(status.backends)) == (0, 0, 0)


def test_only_uploads_of_that_age_are_aborted(plane: RunningPlane, client: Client) -> None:
    store = plane.opened.store
    put_object(plane.opened, "photos", "k", b"x")
    bucket = store.read(partial(find_bucket, name="photos"))
    old, young = (make_upload(store, bucket) for _ in range(2))
    run_sql(store, "UPDATE multipart_uploads SET created_at_us = 1 WHERE upload_id = :id", {"id": old})

    done = ended(
        client,
        client("cleanup", pb.AbortStaleUploadsRequest(older_than=Duration(seconds=3600))).operation,
    )

    assert (done.state, done.progress.done_count) == (operation_pb2.OPERATION_STATE_SUCCEEDED, 1)
    assert done.progress.total_count == 1
    rows = run_sql(store, "SELECT upload_id, state FROM multipart_uploads")
    assert sorted(rows, key=repr) == sorted([(old, "aborted"), (young, "open")], key=repr)
