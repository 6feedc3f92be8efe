"""What ends writes to a backend first, and what went wrong last."""

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from penstock.admin.v1 import backend_pb2, dashboard_pb2, operation_pb2, worker_pb2

from controlplane.overview.dashboard import recent_errors, room_of
from engine.backends.volume.backend import FREE_MIN_BYTES
from engine.units import GIB


def backend(*, limit_bytes: int | None, used_bytes: int = 0) -> backend_pb2.Backend:
    capacity = backend_pb2.BackendCapacity(limit_bytes=limit_bytes, used_bytes=used_bytes, orphan_bytes=1)
    return backend_pb2.Backend(name="backends/near", capacity=capacity)


@pytest.mark.parametrize(
    ("limit_bytes", "disk_free_bytes", "bound_by", "free_bytes"),
    [
        (None, None, dashboard_pb2.BINDING_LIMIT_NONE, None),
        (10 * GIB, None, dashboard_pb2.BINDING_LIMIT_QUOTA, 9 * GIB - 1),
        (None, 5 * GIB, dashboard_pb2.BINDING_LIMIT_DISK, 5 * GIB - FREE_MIN_BYTES),
        (10 * GIB, 5 * GIB, dashboard_pb2.BINDING_LIMIT_DISK, 5 * GIB - FREE_MIN_BYTES),
        (2 * GIB, 5 * GIB, dashboard_pb2.BINDING_LIMIT_QUOTA, GIB - 1),
        (GIB // 2, 5 * GIB, dashboard_pb2.BINDING_LIMIT_QUOTA, 0),
        (None, 0, dashboard_pb2.BINDING_LIMIT_DISK, 0),
    ],
)
def test_the_nearest_limit_binds(
    limit_bytes: int | None,
    disk_free_bytes: int | None,
    bound_by: "dashboard_pb2.BindingLimit.ValueType",
    free_bytes: int | None,
) -> None:
    room = room_of(backend(limit_bytes=limit_bytes, used_bytes=GIB), disk_free_bytes)

    assert room.binding_limit == bound_by
    assert (room.free_bytes if room.HasField("free_bytes") else None) == free_bytes


def test_errors_are_the_newest_first_and_only_of_what_still_fails() -> None:
    workers = [
        worker_pb2.Worker(
            name="workers/a",
            consecutive_failure_count=1,
            last_error="slow",
            last_failure_time=Timestamp(seconds=1),
        ),
        worker_pb2.Worker(name="workers/b", last_error="long ago", last_failure_time=Timestamp(seconds=3)),
    ]
    operations = [
        operation_pb2.Operation(
            name="operations/1",
            state=operation_pb2.OPERATION_STATE_FAILED,
            error_message="no room",
            end_time=Timestamp(seconds=2),
        ),
        operation_pb2.Operation(name="operations/2", state=operation_pb2.OPERATION_STATE_SUCCEEDED),
    ]

    errors = recent_errors(workers, operations)

    assert [(each.subject, each.message) for each in errors] == [
        ("operations/1", "no room"),
        ("workers/a", "slow"),
    ]
