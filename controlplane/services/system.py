"""SystemService: what runs, and how well."""

import platform
import time
from typing import Any

from google.protobuf import __version__ as protobuf_version
from penstock.admin.v1 import system_pb2
from penstock.admin.v1 import system_service_pb2 as pb
from penstock.admin.v1 import system_service_pb2_grpc as pb_grpc

from controlplane.fields import read_id, read_page_size, read_page_token, write_page_token
from controlplane.health import FAILED, OK, check_all, worst
from controlplane.pool import EnginePool
from controlplane.times import duration, timestamp
from engine.errors import DatabaseUnavailable, MalformedField, NoSuchResource
from engine.metadata.processes import InstanceRow, ProcessRow, find_instance, list_instances
from engine.metadata.store import Store

API_VERSIONS = ("penstock.admin.v1",)
_NEWEST = b"\xff" * 16
_PLANES = {"dataplane": system_pb2.PLANE_DATA, "controlplane": system_pb2.PLANE_CONTROL}


class SystemServicer(pb_grpc.SystemServiceServicer):
    def __init__(self, store: Store, *, version: str, database_version: str, pool: EnginePool) -> None:
        self._store = store
        self._version = version
        self._database_version = database_version
        self._pool = pool

    async def GetVersion(self, request: pb.GetVersionRequest, context: Any) -> pb.GetVersionResponse:
        return pb.GetVersionResponse(
            version=self._version,
            python_version=platform.python_version(),
            protobuf_version=protobuf_version,
            api_versions=API_VERSIONS,
            database_version=self._database_version,
        )

    async def GetHealth(self, request: pb.GetHealthRequest, context: Any) -> pb.GetHealthResponse:
        checks = await self._pool.run(self._look)
        return pb.GetHealthResponse(status=worst(checks), checks=checks)

    async def ListInstances(self, request: pb.ListInstancesRequest, context: Any) -> pb.ListInstancesResponse:
        count_max = read_page_size(request.page_size)
        before = _read_position(read_page_token(request.page_token))
        rows = await self._pool.run(
            self._store.read, lambda tx: list_instances(tx, before=before, count_max=count_max + 1)
        )
        shown = rows[:count_max]
        position = shown[-1].instance_id.hex() if len(rows) > count_max else None
        return pb.ListInstancesResponse(
            instances=[write_instance(row) for row in shown], next_page_token=write_page_token(position)
        )

    async def GetInstance(self, request: pb.GetInstanceRequest, context: Any) -> pb.GetInstanceResponse:
        instance_id = read_id("name", request.name, "instances")
        row = await self._pool.run(self._store.read, lambda tx: find_instance(tx, instance_id))
        if row is None:
            raise NoSuchResource(name=f"instances/{instance_id.hex()}")
        return pb.GetInstanceResponse(instance=write_instance(row))

    def _look(self) -> list[system_pb2.HealthCheck]:
        """Everything there is to look at; without the database that is the database alone."""
        started_s = time.monotonic()
        database = system_pb2.HealthCheck(name="database", status=OK)
        try:
            checks = self._store.read(check_all)
        except DatabaseUnavailable as error:
            database.status, database.message, checks = FAILED, str(error), []
        database.latency.CopyFrom(duration(time.monotonic() - started_s))
        return [database, *checks]


def write_instance(row: InstanceRow) -> system_pb2.Instance:
    return system_pb2.Instance(
        name=f"instances/{row.instance_id.hex()}",
        node=row.node,
        version=row.version,
        start_time=timestamp(row.started_at_us),
        heartbeat_time=timestamp(row.heartbeat_at_us),
        alive=row.is_alive,
        processes=[_write_process(process) for process in row.processes],
    )


def _write_process(row: ProcessRow) -> system_pb2.Process:
    return system_pb2.Process(
        process_id=row.process_id.hex(),
        plane=_PLANES[row.plane],
        pid=row.pid,
        config_generation=row.generation or 0,
        last_error=row.last_error or "",
        start_time=timestamp(row.started_at_us),
        heartbeat_time=timestamp(row.heartbeat_at_us),
        alive=row.is_alive,
    )


def _read_position(position: str | None) -> bytes:
    if position is None:
        return _NEWEST
    try:
        instance_id = bytes.fromhex(position)
    except ValueError:
        instance_id = b""
    if len(instance_id) != len(_NEWEST):
        raise MalformedField("page_token", "not a token of this method")
    return instance_id
