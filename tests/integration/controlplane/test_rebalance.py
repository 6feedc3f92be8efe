"""Operators see how full backends are, plan what would move, and let it move."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from penstock.admin.v1 import operation_pb2, operation_service_pb2
from penstock.admin.v1 import rebalance_service_pb2 as pb

from engine.metadata import backends
from engine.records import BackendState
from tests.integration.controlplane.clients import Client
from tests.support.control import RunningPlane, failure, put_object, wait_until, write_config
from tests.support.pieces import payload_of

SPREAD, PACK = pb.REBALANCE_STRATEGY_SPREAD, pb.REBALANCE_STRATEGY_PACK


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RunningPlane]:
    """Two volumes of a few megabytes, all of it on the first."""
    config = write_config(tmp_path)
    text = config.read_text()
    for name in ("v1", "v2"):
        text = text.replace(f"path: volumes/{name}", f"path: volumes/{name}, quota_bytes: 4MiB")
    config.write_text(text)
    with RunningPlane(config) as running:
        second = running.opened.store.read(backends.list_backends)[1]
        set_state(running, second.backend_id, BackendState.READ_ONLY)
        for number in range(40):
            put_object(running.opened, "photos", f"key-{number}", payload_of(30_000, seed=number))
        set_state(running, second.backend_id, BackendState.ACTIVE)
        yield running


def set_state(plane: RunningPlane, backend_id: int, state: BackendState) -> None:
    plane.opened.store.write(lambda tx: backends.set_state(tx, backend_id, state, reason=None))


def ended(client: Client, operation: Any) -> Any:
    request = operation_service_pb2.GetOperationRequest(name=operation.name)
    wait_until(lambda: bool(client("operation", request).operation.done), "the end of it")
    return client("operation", request).operation


def test_a_rebalance_is_planned_run_and_seen(plane: RunningPlane, client: Client) -> None:
    before = client("rebalance", pb.GetRebalanceStatusRequest())
    plan = client("rebalance", pb.PlanRebalanceRequest(strategy=SPREAD))
    operation = ended(client, client("rebalance", pb.RunRebalanceRequest(strategy=SPREAD)).operation)
    after = client("rebalance", pb.GetRebalanceStatusRequest())

    assert [each.backend for each in before.fills] == ["backends/v1", "backends/v2"]
    assert before.fills[1].fill == 0
    assert before.imbalance > 0.1
    assert [(each.source, each.target) for each in plan.moves] == [("backends/v1", "backends/v2")]
    assert plan.size_bytes == plan.moves[0].size_bytes
    assert operation.state == operation_pb2.OPERATION_STATE_SUCCEEDED, operation.error_message
    assert after.imbalance <= 0.05
    assert after.running == ""


def test_the_same_request_answers_the_one_that_runs_and_another_is_refused(
    plane: RunningPlane, client: Client
) -> None:
    request = pb.RunRebalanceRequest(strategy=SPREAD, max_bytes_per_second=1)
    begun = client("rebalance", request).operation

    again = client("rebalance", request).operation
    other = failure(lambda: client("rebalance", pb.RunRebalanceRequest(strategy=PACK)))
    running = client("rebalance", pb.GetRebalanceStatusRequest()).running
    client("operation", operation_service_pb2.CancelOperationRequest(name=begun.name))

    assert again.name == running == begun.name
    assert (other.code, other.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "OPERATION_OPEN")
    assert ended(client, begun).state == operation_pb2.OPERATION_STATE_CANCELLED


def test_without_a_strategy_the_routing_decides(plane: RunningPlane, client: Client) -> None:
    plan = client("rebalance", pb.PlanRebalanceRequest())

    assert plan == client("rebalance", pb.PlanRebalanceRequest(strategy=SPREAD))
    assert list(client("rebalance", pb.PlanRebalanceRequest(strategy=PACK)).moves) == []


@pytest.mark.parametrize(
    ("fields", "at_fault"),
    [
        ({"threshold": -0.1}, "threshold"),
        ({"threshold": 0.6}, "threshold"),
        ({"threshold": math.nan}, "threshold"),
        ({"strategy": 77}, "strategy"),
        ({"max_bytes": -1}, "max_bytes"),
        ({"max_bytes_per_second": 1 << 61}, "max_bytes_per_second"),
    ],
)
def test_a_field_out_of_bounds_is_refused(
    plane: RunningPlane, client: Client, fields: dict[str, Any], at_fault: str
) -> None:
    failed = failure(lambda: client("rebalance", pb.RunRebalanceRequest(**fields)))

    assert (failed.code, list(failed.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, [at_fault])


def test_routing_by_weight_evens_nothing_out_unless_a_strategy_is_said(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    config.write_text("routing: weighted\n" + config.read_text())

    with RunningPlane(config) as plane, plane.channel(socket="admin") as channel:
        client = Client(channel)
        refused = failure(lambda: client("rebalance", pb.PlanRebalanceRequest()))
        plan = client("rebalance", pb.PlanRebalanceRequest(strategy=SPREAD))

    assert (refused.code, list(refused.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, ["strategy"])
    assert list(plan.moves) == []
