"""How far an operation is, in words that fit beside a bar, in a list and in a line."""

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from penstock.admin.v1 import operation_pb2

from adminctl import following

RUNNING, SUCCEEDED, FAILED = (
    operation_pb2.OPERATION_STATE_RUNNING,
    operation_pb2.OPERATION_STATE_SUCCEEDED,
    operation_pb2.OPERATION_STATE_FAILED,
)


def operation(
    state: operation_pb2.OperationState.ValueType = RUNNING, **progress: Any
) -> operation_pb2.Operation:
    return operation_pb2.Operation(
        name="operations/1",
        state=state,
        done=state != RUNNING,
        progress=operation_pb2.OperationProgress(**progress),
    )


@pytest.mark.parametrize(
    ("progress", "told"),
    [
        ({}, ""),
        ({"done_count": 3}, "3"),
        ({"done_count": 3, "total_count": 12}, "3 of 12 (25 %)"),
        ({"total_count": 12}, "0 of 12 (0 %)"),
        (
            {"done_count": 1, "total_count": 4, "done_bytes": 1 << 20, "total_bytes": 2 << 20},
            "1 of 4 (50 %), 1.0 MiB of 2.0 MiB",
        ),
        ({"done_bytes": 5}, "5 B"),
        ({"done_count": 9, "failed_count": 1, "total_count": 10}, "9 of 10 (100 %)"),
        ({"done_count": 30, "total_count": 10}, "30 of 10 (100 %)"),
        ({"total_count": 0, "done_count": 0}, "0 of 0"),
    ],
)
def test_how_far_it_is(progress: dict[str, Any], told: str) -> None:
    assert following.how_far(operation(**progress)) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.2, "0 s"),
        (4.4, "4 s"),
        (119, "119 s"),
        (600, "10 min"),
        (7300, "2 h 1 min"),
        (2 * 86400 + 3700, "2 d 1 h"),
    ],
)
def test_a_span_is_rough(seconds: float, told: str) -> None:
    assert following.rough_span(seconds) == told


def test_a_line_says_stage_rate_and_what_is_left() -> None:
    made = operation(
        stage="copying",
        done_count=1,
        total_count=4,
        bytes_per_second=10 << 20,
        items_per_second=3.0,
        eta=Duration(seconds=90),
    )

    assert following.progress_line(made) == "copying: 1 of 4 (25 %), 10.0 MiB/s, 90 s left"
    assert following.progress_line(made, is_beside_bar=True) == "copying: 1 of 4, 10.0 MiB/s, 90 s left"
    assert following.progress_line(operation()) == "running"
    assert following.progress_line(operation(items_per_second=3.0)) == "running: 3 a second"


def test_what_a_server_says_steers_no_terminal() -> None:
    assert "\x1b" not in following.progress_line(operation(stage="\x1b[2J"))


def test_a_summary_tells_what_did_not_go_well() -> None:
    assert following.summary(operation(SUCCEEDED)) == "operations/1: succeeded, 0 done"
    made = operation(FAILED, done_count=2, total_count=5, deferred_count=1, failed_count=3)
    assert following.summary(made) == "operations/1: failed, 2 of 5 done, 1 put off, 3 failed"
