"""Whoever watches usage sees what is stored and used, and sees it change."""

from typing import Any

from penstock.admin.v1 import usage_service_pb2 as pb
from penstock.admin.v1 import usage_service_pb2_grpc as pb_grpc
from penstock.admin.v1 import watch_pb2

from engine.metadata.backends import list_backends
from tests.support.control import RunningPlane, put_object
from tests.support.metadata import run_sql


def test_a_write_changes_what_is_watched(plane: RunningPlane) -> None:
    backend_id = plane.opened.store.read(list_backends)[0].backend_id
    run_sql(
        plane.opened.store,
        "INSERT INTO usage_limits (backend_id, kind, amount) VALUES (:backend, 'read_requests', 100)",
        {"backend": backend_id},
    )
    with plane.channel(socket="viewer") as channel:
        watching: Any = pb_grpc.UsageServiceStub(channel).WatchUsage(pb.WatchUsageRequest(), timeout=20)

        first = next(watching)
        put_object(plane.opened, "photos", "key", bytes(1000))
        later = next(each for each in watching if each.buckets.used_bytes)
        watching.cancel()

    assert first.kind == watch_pb2.WATCH_KIND_SNAPSHOT
    assert (first.backends.used_bytes, first.buckets.item_count) == (0, 0)
    (used,) = first.usages
    assert (used.backend, used.limit_amount, used.used_amount) == ("backends/v1", 100, 0)
    assert later.kind == watch_pb2.WATCH_KIND_CHANGE
    assert (later.buckets.used_bytes, later.buckets.item_count) == (1000, 1)
