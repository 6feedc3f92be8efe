"""SystemService: what runs, and how well."""

import platform
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from google.protobuf import __version__ as protobuf_version
from penstock.admin.v1 import system_pb2
from penstock.admin.v1 import system_service_pb2 as pb
from penstock.admin.v1 import system_service_pb2_grpc as pb_grpc

from controlplane.fields import read_id, read_page_size, read_page_token, write_page_token
from controlplane.health import FAILED, OK, check_all, worst
from controlplane.overview.deployment_checks import check_deployment, with_remedies
from controlplane.overview.listed import Listed
from controlplane.overview.node_checks import NodeChecks
from controlplane.pool import EnginePool
from controlplane.services.instance_messages import write_instance
from controlplane.services.instances import InstanceMethods
from controlplane.services.overview import OverviewMethods
from controlplane.times import duration
from engine.backends.registry import Backends
from engine.errors import DatabaseUnavailable, MalformedField, NoSuchResource
from engine.metadata.processes import find_instance, list_instances
from engine.metadata.store import Store, Tx
from engine.upkeep.away import HealPolicy

API_VERSIONS = ("penstock.admin.v1",)
_NEWEST = b"\xff" * 16


class SystemServicer(InstanceMethods, OverviewMethods, pb_grpc.SystemServiceServicer):
    """`siblings` are the servicers whose lists make up the overview: of backends, workers and operations."""

    def __init__(
        self,
        store: Store,
        *,
        version: str,
        database_version: str,
        pool: EnginePool,
        node: NodeChecks,
        siblings: Mapping[str, Any],
        backends: Callable[[], Backends],
        policy: Callable[[], HealPolicy],
        epoch: str,
    ) -> None:
        super().__init__(
            store,
            pool,
            Listed(**siblings, system=self),
            checks=self._looked,
            backends=backends,
            epoch=epoch,
        )
        self._node = node
        self._policy = policy
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
        checks = await self._looked()
        answer = pb.GetHealthResponse(status=worst(checks), checks=checks)
        answer.server_time.GetCurrentTime()
        return answer

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

    async def _looked(self) -> list[system_pb2.HealthCheck]:
        return await self._pool.run(self._look)

    def _look(self) -> list[system_pb2.HealthCheck]:
        """Everything there is to look at; without the database that is the database and what this node's files say."""
        started_s = time.monotonic()
        database = system_pb2.HealthCheck(name="database", status=OK)
        try:
            checks, is_serving = self._store.read(partial(self._look_at_rows, policy=self._policy()))
        except DatabaseUnavailable as error:
            database.status, database.message, checks = FAILED, str(error), []
            is_serving = False
        database.latency.CopyFrom(duration(time.monotonic() - started_s))
        return with_remedies([database, *checks, *self._node.of_files(is_serving=is_serving)])

    def _look_at_rows(self, tx: Tx, policy: HealPolicy) -> tuple[list[system_pb2.HealthCheck], bool]:
        """Checks, and whether this instance has a data plane."""
        own = find_instance(tx, self._node.instance_id)
        is_serving = own is not None and any(
            process.plane == "dataplane" and process.is_alive for process in own.processes
        )
        return [*check_all(tx), *check_deployment(tx, policy), *self._node.of_rows(tx)], is_serving


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
