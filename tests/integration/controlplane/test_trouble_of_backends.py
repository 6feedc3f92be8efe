"""Health and figures tell of backends that are not called or used up; an operator has every process call one again."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import grpc
import pytest
from penstock.admin.v1 import backend_service_pb2 as pb
from penstock.admin.v1 import system_pb2, system_service_pb2

from engine.deployment.opening import OpenDeployment, open_deployment
from engine.metadata.backends import list_backends
from engine.placement.breaker import TRIP_COUNT, BreakerState
from tests.integration.controlplane.clients import Client
from tests.support.control import RunningPlane, failure, wait_until, write_config
from tests.support.engines import ENGINES
from tests.support.metadata import run_sql
from tests.support.postgres import shared_server, with_database

RESET = pb.ResetBackendBreakerRequest(name="backends/v1")


@pytest.fixture(params=ENGINES)
def plane(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningPlane]:
    config = write_config(tmp_path)
    if request.param == "postgres":
        database = shared_server().lend_database()
        sectioned = config.read_text().replace("database: {path: metadata.sqlite}", "database:\n  path: x\n")
        config.write_text(with_database(sectioned, shared_server(), database))
    with RunningPlane(config) as running:
        yield running
    if request.param == "postgres":
        shared_server().take_back_database(database)


def id_of(plane: RunningPlane, name: str) -> int:
    return next(row.backend_id for row in plane.opened.store.read(list_backends) if row.name == name)


def trip(deployment: OpenDeployment, backend_id: int) -> None:
    """As calls do that fail."""
    gate = deployment.health.gate_of(backend_id)
    for _ in range(TRIP_COUNT):
        entered = gate.enter(is_probe=False)
        assert entered is not None
        gate.failed(entered)


def breaker_of(deployment: OpenDeployment, backend_id: int) -> BreakerState | None:
    return deployment.health.view_of(backend_id).breaker


def test_every_process_of_every_instance_judges_it_anew(plane: RunningPlane, client: Client) -> None:
    backend_id = id_of(plane, "v1")
    with closing(open_deployment(plane.config, {}, plane="dataplane", version="1")) as other:
        assert other.instance_id != plane.opened.instance_id
        other.tick()
        for each in (plane.opened, other):
            trip(each, backend_id)
            assert breaker_of(each, backend_id) is BreakerState.OPEN

        client("backend", RESET)

        def has_heard() -> bool:
            other.tick()
            return {breaker_of(each, backend_id) for each in (plane.opened, other)} == {BreakerState.CLOSED}

        wait_until(has_heard, "both processes")
        # Only what is asked for from now on is news.
        trip(other, backend_id)
        other.tick()
        assert breaker_of(other, backend_id) is BreakerState.OPEN


def test_health_and_figures_tell_of_an_open_breaker(plane: RunningPlane, client: Client) -> None:
    (plane.state_dir / "metrics").mkdir(exist_ok=True)
    trip(plane.opened, id_of(plane, "v1"))

    def check() -> system_pb2.HealthCheck:
        health = client("system", system_service_pb2.GetHealthRequest())
        found = next(each for each in health.checks if each.name == "backends/v1")
        assert isinstance(found, system_pb2.HealthCheck)
        return found

    wait_until(lambda: check().status == system_pb2.HEALTH_STATUS_DEGRADED, "the heartbeat to tell")
    assert "adminctl backend reset-breaker v1" in check().remedy
    figures = plane.state_dir / "metrics" / "control.prom"
    line = 'penstock_backend_breaker{backend="v1"} 2.0'
    wait_until(lambda: figures.exists() and line in figures.read_text(), "the figures")

    client("backend", RESET)

    wait_until(lambda: check().status == system_pb2.HEALTH_STATUS_OK, "the next look")


def test_an_unknown_backend_is_not_found(plane: RunningPlane, client: Client) -> None:
    missing = failure(lambda: client("backend", pb.ResetBackendBreakerRequest(name="backends/none")))

    assert (missing.code, missing.reason) == (grpc.StatusCode.NOT_FOUND, "NO_SUCH_RESOURCE")


def test_a_limit_that_is_reached_is_told_of(plane: RunningPlane, client: Client) -> None:
    run_sql(
        plane.opened.store,
        "INSERT INTO usage_limits (backend_id, kind, amount) VALUES (:backend, 'read_requests', 0)",
        {"backend": id_of(plane, "v2")},
    )

    health = client("system", system_service_pb2.GetHealthRequest())

    (check,) = (each for each in health.checks if each.name == "limits")
    assert check.status == system_pb2.HEALTH_STATUS_DEGRADED
    assert check.message == "reached: read requests of backends/v2 this month"
