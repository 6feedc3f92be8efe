"""One look at the whole deployment."""

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence

from penstock.admin.v1 import backend_pb2, dashboard_pb2, operation_pb2, system_pb2, worker_pb2

from controlplane.health import OK, HealthCheck, worst
from controlplane.overview.listed import Listed
from controlplane.overview.read_only import write_read_only
from controlplane.overview.statistics import read_stats
from controlplane.pool import EnginePool
from engine.backends.registry import Backends, volumes_in
from engine.backends.volume.backend import FREE_MIN_BYTES
from engine.metadata import cleanup, generations
from engine.metadata.store import Store, Tx
from engine.metadata.switches import Switch, find_read_only

RECENT_ERROR_COUNT_MAX = 20

_Rows = tuple[cleanup.CleanupDepth, int, Switch | None]


class Dashboards:
    """Looks at everything; `checks` is what GetHealth looks at."""

    def __init__(
        self,
        store: Store,
        pool: EnginePool,
        listed: Listed,
        *,
        checks: Callable[[], Awaitable[Sequence[HealthCheck]]],
        backends: Callable[[], Backends],
    ) -> None:
        self._store = store
        self._pool = pool
        self._listed = listed
        self._checks = checks
        self._backends = backends

    async def look(self) -> dashboard_pb2.Dashboard:
        """Without the time of the look, so that two looks at the same are equal. Raises what reads raise."""
        checks = await self._checks()
        backends, workers = await self._listed.backends(), await self._listed.workers()
        operations, instances = await self._listed.operations(), await self._listed.instances()
        depth, newest, switch = await self._pool.run(self._store.read, _rows)
        free_bytes = await self._pool.run(self._free_bytes)
        return dashboard_pb2.Dashboard(
            status=worst(checks),
            problems=[_steady(check) for check in checks if check.status != OK],
            read_only=write_read_only(switch),
            backends=[room_of(each, free_bytes.get(each.name)) for each in backends],
            stats=await self._pool.run(read_stats, self._store),
            cleanup=dashboard_pb2.CleanupDepth(
                waiting_count=depth.queued_count,
                waiting_bytes=depth.queued_bytes,
                dead_letter_count=depth.dead_count,
            ),
            failing_workers=[each for each in workers if each.consecutive_failure_count],
            worker_count=len(workers),
            active_operations=await self._listed.open_operations(),
            newest_generation=newest,
            processes=[each for instance in instances for each in _alive(instance)],
            recent_errors=recent_errors(workers, operations),
        )

    def _free_bytes(self) -> Mapping[str, int]:
        """Of the disks of this node's volumes, by the backend's resource name."""
        found: dict[str, int] = {}
        for volume in volumes_in(self._backends()):
            try:
                stats = os.statvfs(volume.path)
            except OSError:
                continue
            found[f"backends/{volume.name}"] = stats.f_bavail * stats.f_frsize
        return found


def room_of(backend: backend_pb2.Backend, disk_free_bytes: int | None) -> dashboard_pb2.BackendRoom:
    """What may still be written, and what ends it first; the disk's free space is null where it is not known."""
    capacity = backend.capacity
    used_bytes = capacity.used_bytes + capacity.orphan_bytes + capacity.reserved_bytes
    room = dashboard_pb2.BackendRoom(
        backend=backend.name, state=backend.state, used_bytes=used_bytes, problem=backend.problem
    )
    limits: list[tuple[int, dashboard_pb2.BindingLimit.ValueType]] = []
    if capacity.HasField("limit_bytes"):
        limits.append((capacity.limit_bytes - used_bytes, dashboard_pb2.BINDING_LIMIT_QUOTA))
    if disk_free_bytes is not None:
        limits.append((disk_free_bytes - FREE_MIN_BYTES, dashboard_pb2.BINDING_LIMIT_DISK))
    if not limits:
        room.binding_limit = dashboard_pb2.BINDING_LIMIT_NONE
        return room
    free_bytes, room.binding_limit = min(limits)
    room.free_bytes = max(0, free_bytes)
    return room


def recent_errors(
    workers: Sequence[worker_pb2.Worker], operations: Sequence[operation_pb2.Operation]
) -> list[dashboard_pb2.RecentError]:
    """The last failure of each worker that fails, and operations that ended as failed; the newest first."""
    found = [
        dashboard_pb2.RecentError(time=each.last_failure_time, subject=each.name, message=each.last_error)
        for each in workers
        if each.consecutive_failure_count and each.last_error
    ]
    found += [
        dashboard_pb2.RecentError(time=each.end_time, subject=each.name, message=each.error_message)
        for each in operations
        if each.state == operation_pb2.OPERATION_STATE_FAILED
    ]
    found.sort(key=lambda each: each.time.ToNanoseconds(), reverse=True)
    return found[:RECENT_ERROR_COUNT_MAX]


def _rows(tx: Tx) -> _Rows:
    return cleanup.depth(tx), generations.newest_number(tx), find_read_only(tx)


def _alive(instance: system_pb2.Instance) -> list[system_pb2.Process]:
    shown = [process for process in instance.processes if instance.alive and process.alive]
    for process in shown:
        process.ClearField("heartbeat_time")
    return shown


def _steady(check: HealthCheck) -> HealthCheck:
    """Without the time that looking took, which is another one each time."""
    check.ClearField("latency")
    return check
