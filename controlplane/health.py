"""How the deployment is, told from rows alone: backends, workers, and what runs where."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from penstock.admin.v1 import system_pb2

from controlplane.services.backend_messages import SeenBackend, see_backends
from engine.metadata.pieces import count_bad
from engine.metadata.processes import InstanceRow, list_instances
from engine.metadata.store import Tx
from engine.metadata.workers import WorkerRow, list_workers
from engine.placement.breaker import BreakerState
from engine.placement.health import Health
from engine.records import BackendState, LocationState

Status: TypeAlias = "system_pb2.HealthStatus.ValueType"
HealthCheck: TypeAlias = system_pb2.HealthCheck

OK = system_pb2.HEALTH_STATUS_OK
DEGRADED = system_pb2.HEALTH_STATUS_DEGRADED
FAILED = system_pb2.HEALTH_STATUS_FAILED

_DOUBTFUL = frozenset({Health.SUSPECTED.value, Health.FAILED.value})

INSTANCE_COUNT_MAX = 200
"""Instances looked at, the one started last first; those long gone are forgotten by their rows."""


def check_all(tx: Tx) -> list[HealthCheck]:
    """Each backend, the bytes on all of them, each worker, and the planes."""
    seen = see_backends(tx)
    bad = [count_bad(tx, each.row.backend_id) for each in seen]
    return [
        *(check_backend(each) for each in seen),
        check_integrity(
            suspect_count=sum(each.get(LocationState.SUSPECT, 0) for each in bad),
            lost_count=sum(each.get(LocationState.LOST, 0) for each in bad),
        ),
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
    doubts = _doubts(seen)
    if doubts:
        return HealthCheck(
            name=name,
            status=DEGRADED,
            message=doubts,
            remedy=f"see `adminctl backend get {seen.row.name}`; once it is well,"
            f" `adminctl backend reset-breaker {seen.row.name}` has it called at once",
        )
    if not seen.row.is_registered:
        return HealthCheck(name=name, status=DEGRADED, message="its identity was not written yet")
    is_chosen = seen.row.state is not BackendState.ACTIVE
    return HealthCheck(name=name, status=OK, message=seen.row.state.value if is_chosen else "")


def _doubts(seen: SeenBackend) -> str:
    """By how many instances it takes no new pieces, or is not called; empty when it is trusted."""
    views = seen.views
    suspecting = [each for each in views if each.health in _DOUBTFUL]
    shut_count = sum(each.breaker == BreakerState.OPEN.value for each in views)
    told = []
    if suspecting:
        phi = max(each.phi or 0.0 for each in suspecting)
        told.append(
            f"suspected by {len(suspecting)} of {len(views)} instances (phi {phi:.1f}): takes no new pieces"
        )
    if shut_count:
        told.append(f"not called by {shut_count} of {len(views)} instances: their breakers are open")
    return "; ".join(told)


def check_integrity(*, suspect_count: int, lost_count: int) -> HealthCheck:
    """Whether reads may trust every piece; those that are bad stay so when no good copy is left."""
    if not suspect_count and not lost_count:
        return HealthCheck(name="integrity", status=OK)
    message = f"{suspect_count} pieces are bad and {lost_count} are not there: see `adminctl scrub corrupt`"
    return HealthCheck(name="integrity", status=DEGRADED, message=message)


def check_worker(row: WorkerRow) -> HealthCheck:
    name = f"workers/{row.worker}"
    if not row.standing.may_run:
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
