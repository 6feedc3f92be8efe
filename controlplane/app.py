"""The composition root of the control plane: what its process is made of, and how it ends."""

import asyncio
import logging
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock.admin.v1 import (
    backend_service_pb2_grpc,
    config_service_pb2_grpc,
    object_service_pb2_grpc,
    operation_service_pb2_grpc,
    roles_pb2,
    system_service_pb2_grpc,
    worker_service_pb2_grpc,
)

from controlplane.callers import BearerToken, Caller
from controlplane.place import sole_control_plane
from controlplane.pool import EnginePool
from controlplane.server import ControlServer
from controlplane.services.backends import BackendServicer
from controlplane.services.config import ConfigServicer
from controlplane.services.objects import ObjectServicer
from controlplane.services.operations import OperationServicer
from controlplane.services.system import SystemServicer
from controlplane.services.workers import WorkerServicer
from controlplane.settings import ControlSettings
from controlplane.workers.backlog import backlog
from controlplane.workers.roster import WorkerParts
from controlplane.workers.workers import Workers
from engine.clock import Ids, uuid7
from engine.deployment.opening import OpenDeployment, open_deployment
from engine.logs import log_to

_ROLES = {
    "viewer": roles_pb2.ROLE_VIEWER,
    "operator": roles_pb2.ROLE_OPERATOR,
    "admin": roles_pb2.ROLE_ADMIN,
}

_log = logging.getLogger("penstock.control")


def run_plane(
    config: Path,
    environ: Mapping[str, str],
    *,
    version: str,
    stopping: threading.Event,
    settings: ControlSettings | None = None,
) -> bool:
    """Open the deployment and serve until `stopping` is set or SIGTERM or SIGINT comes; whether all of it ended.

    To be called in the main thread. Raises what opening a deployment raises, and StartRefused when nothing can listen
    here.
    """
    # The level stands in the settings, and what a start has to say of disks must not wait for them.
    log_to(None, process="controlplane", level="info")
    opened = open_deployment(config, environ, plane="controlplane", version=version)
    live, node = opened.settings.live, opened.settings.node
    log_to(None, process="controlplane", level=live.telemetry.log_level)
    settings = settings or ControlSettings()
    try:
        with sole_control_plane(node.node.state_dir, wait_s=settings.place_wait_s):
            plane = ControlPlane(opened, environ, version=version, settings=settings)
            has_ended = asyncio.run(_serve(plane, stopping))
    except BaseException:
        opened.close()
        raise
    # A thread that hangs may hold anything: the end of the process frees it, and the next start recovers.
    if has_ended:
        opened.close()
    return has_ended


async def _serve(plane: "ControlPlane", stopping: threading.Event) -> bool:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    has_ended = True
    try:
        await plane.start()
        if not stopping.is_set():
            await told.wait()
        _log.info("control.stopping")
    finally:
        has_ended = await plane.stop()
    return has_ended


class ControlPlane:
    """One process of the control plane over an open deployment."""

    def __init__(
        self,
        opened: OpenDeployment,
        environ: Mapping[str, str],
        *,
        version: str,
        settings: ControlSettings,
        ids: Ids = uuid7,
    ) -> None:
        self._opened = opened
        self._settings = settings
        self._pool = EnginePool()
        draining = asyncio.Event()
        live = opened.settings.live
        self._workers = Workers(
            WorkerParts(
                store=opened.store,
                backends=opened.backends,
                process_id=opened.process_id,
                clock=opened.clock,
                read_grace_s=live.storage.read_grace_s,
                intent_ttl_s=live.storage.intent_ttl_s,
            ),
            live.workers,
        )
        self._system = SystemServicer(
            opened.store, version=version, database_version=opened.database_version, pool=self._pool
        )
        self._config = ConfigServicer(opened.store, opened.settings.path, environ, self._pool)
        self._worker = WorkerServicer(
            opened.store,
            descriptions={job.name: job.description for job in self._workers.jobs},
            backlog=lambda name: backlog(opened.store, name),
            ids=ids,
            pool=self._pool,
            draining=draining,
        )
        self._server = ControlServer(self.register, self._pool, draining)
        self._ticking = Ticking(opened, settings.tick_s)
        self.tcp_port: int | None = None

    def register(self, server: Any) -> None:
        """Add every servicer to a server."""
        store, pool = self._opened.store, self._pool
        system_service_pb2_grpc.add_SystemServiceServicer_to_server(self._system, server)
        config_service_pb2_grpc.add_ConfigServiceServicer_to_server(self._config, server)
        backend_service_pb2_grpc.add_BackendServiceServicer_to_server(BackendServicer(store, pool), server)
        worker_service_pb2_grpc.add_WorkerServiceServicer_to_server(self._worker, server)
        object_service_pb2_grpc.add_ObjectServiceServicer_to_server(ObjectServicer(store, pool), server)
        operation_service_pb2_grpc.add_OperationServiceServicer_to_server(
            OperationServicer(store, pool), server
        )

    async def start(self) -> None:
        """Listen, then work. What was started before something fails is for `stop` to end."""
        await self._listen()
        await asyncio.to_thread(self._workers.start)
        self._ticking.start()
        await self._server.serving()

    async def stop(self) -> bool:
        """End calls, workers and ticks; false when one of these was still at it after its time."""
        timeout_s = self._settings.threads_stop_s
        _, workers_ended, ticking_ended = await asyncio.gather(
            self._server.stop(),
            asyncio.to_thread(self._workers.stop, timeout_s),
            asyncio.to_thread(self._ticking.stop, timeout_s),
        )
        self._pool.close()
        return workers_ended and ticking_ended

    async def _listen(self) -> None:
        node, live = self._opened.settings.node, self._opened.settings.live
        await self._server.listen_unix(node.node.state_dir)
        if not live.admin_tokens:
            _log.warning("control.no_tcp", extra={"why": "no admin token is configured"})
            return
        address = node.listen.control
        self.tcp_port = await self._server.listen_tcp(str(address), BearerToken(self._find_caller))
        _log.info("control.listening", extra={"host": address.host, "port": self.tcp_port})

    def _find_caller(self, sha256: bytes) -> Caller | None:
        row = self._opened.find_admin(sha256)
        return None if row is None else Caller(name=row.name, role=_ROLES[row.role])


class Ticking(threading.Thread):
    """Calls a deployment's `tick` from a thread of its own until it is stopped."""

    def __init__(self, opened: OpenDeployment, pause_s: float) -> None:
        super().__init__(name="tick", daemon=True)
        self._opened = opened
        self._pause_s = pause_s
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.wait(self._pause_s):
            self._opened.tick()

    def stop(self, timeout_s: float) -> bool:
        """Whether no tick is under way any more."""
        self._stopping.set()
        if self.ident is not None:
            self.join(timeout_s)
        return not self.is_alive()
