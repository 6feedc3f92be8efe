"""How the deployment is, told from rows alone: backends, workers, and what runs where."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from penstock.admin.v1 import system_pb2

from controlplane.services.backends import SeenBackend, see_backends
from engine.metadata.processes import InstanceRow, list_instances
from engine.metadata.store import Tx
from engine.metadata.workers import WorkerRow, list_workers
from engine.records import BackendState

Status: TypeAlias = "system_pb2.HealthStatus.ValueType"
HealthCheck: TypeAlias = system_pb2.HealthCheck

OK = system_pb2.HEALTH_STATUS_OK
DEGRADED = system_pb2.HEALTH_STATUS_DEGRADED
FAILED = system_pb2.HEALTH_STATUS_FAILED

INSTANCE_COUNT_MAX = 200
"""Instances looked at, the one started last first; those long gone are forgotten by their rows."""


def check_all(tx: Tx) -> list[HealthCheck]:
    """Each backend, each worker, and the planes."""
    return [
        *(check_backend(each) for each in see_backends(tx)),
        *(check_worker(row) for row in list_workers(tx)),
        *check_planes(list_instances(tx, count_max=INSTANCE_COUNT_MAX)),
    ]


def worst(checks: Sequence[HealthCheck]) -> Status:
    """FAILED without database, without any backend that works, or without data plane; else DEGRADED or OK."""
    by_backend = [check.status for check in checks if check.name.startswith("backends/")]
    others = [check.status for check in checks if not check.name.startswith("backends/")]
    if FAILED in others or (by_backend and set(by_backend) == {FAILED}):
        return FAILED
    return OK if set(by_backend) | set(others) == {OK} else DEGRADED


def check_backend(seen: SeenBackend) -> HealthCheck:
    name = f"backends/{seen.row.name}"
    if seen.problems:
        return HealthCheck(name=name, status=FAILED, message="; ".join(seen.problems))
    if not seen.row.is_registered:
        return HealthCheck(name=name, status=DEGRADED, message="its identity was not written yet")
    is_chosen = seen.row.state is not BackendState.ACTIVE
    return HealthCheck(name=name, status=OK, message=seen.row.state.value if is_chosen else "")


def check_worker(row: WorkerRow) -> HealthCheck:
    name = f"workers/{row.worker}"
    if not row.is_enabled or row.is_paused:
        return HealthCheck(name=name, status=OK, message="switched off or paused")
    if row.consecutive_failure_count:
        message = f"failed {row.consecutive_failure_count} times in a row: {row.last_error}"
        return HealthCheck(name=name, status=DEGRADED, message=message)
    return HealthCheck(name=name, status=OK)


def check_planes(instances: Sequence[InstanceRow]) -> list[HealthCheck]:
    """Whether clients are served at all, what a live process complains of, and nodes on which nothing runs."""
    alive = [process for row in instances for process in row.processes if row.is_alive and process.is_alive]
    complaints = [f"process {process.pid}: {process.last_error}" for process in alive if process.last_error]
    dead = [f"nothing runs on node {node}" for node in _dead_nodes(instances)]
    messages = [*complaints, *dead]
    checks = [
        HealthCheck(name="instances", status=DEGRADED if messages else OK, message="; ".join(messages)),
    ]
    is_serving = any(process.plane == "dataplane" for process in alive)
    checks.append(
        HealthCheck(name="dataplane", status=OK)
        if is_serving
        else HealthCheck(name="dataplane", status=FAILED, message="no data plane runs: clients get no answer")
    )
    return checks


def _dead_nodes(instances: Iterable[InstanceRow]) -> list[str]:
    """Nodes that were seen lately and on which no instance is alive."""
    is_alive: dict[str, bool] = {}
    for row in instances:
        is_alive[row.node] = is_alive.get(row.node, False) or row.is_alive
    return sorted(node for node, alive in is_alive.items() if not alive)
