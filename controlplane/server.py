"""The gRPC server: the same services on a unix socket for admins, one for viewers, and TCP for bearers of tokens."""

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection
from penstock.admin.v1 import roles_pb2

from controlplane.callers import Authenticator, SocketPeer
from controlplane.guard import Guard
from controlplane.methods import SERVICES, required_roles
from controlplane.pool import EnginePool
from engine.errors import StartRefused

MESSAGE_BYTES_MAX = 4 * 1024 * 1024
METADATA_BYTES_MAX = 16 * 1024
CONCURRENT_STREAMS_MAX = 100
STOP_NOTICE_S = 0.1
"""Time for those who watch the health to learn that it turned, before their streams end."""

STOP_GRACE_S = 5.0

_OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_metadata_size", METADATA_BYTES_MAX),
    ("grpc.absolute_max_metadata_size", METADATA_BYTES_MAX),
    ("grpc.max_concurrent_streams", CONCURRENT_STREAMS_MAX),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 2),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # Two servers on one port would each see half of the calls.
    ("grpc.so_reuseport", 0),
]

Register = Callable[[Any], None]
"""Adds all servicers to a server."""


class ControlServer:
    """Listeners with one set of servicers behind them; each listener says what its callers are."""

    def __init__(self, register: Register, pool: EnginePool, draining: asyncio.Event) -> None:
        """`draining` is set by `stop`: what waits for something else had better end then."""
        self._register = register
        self._pool = pool
        self._draining = draining
        self._servers: list[Any] = []
        self._health = HealthServicer()
        self._folder_fd: int | None = None

    async def listen_unix(self, folder: Path) -> None:
        """`admin.sock` stands for an admin, `viewer.sock` for a viewer; the folder's mode decides who may."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chmod(folder, 0o700)
        # The name of a socket has at most 107 bytes: a folder's may be longer, that of its descriptor is not.
        self._folder_fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        for name, role in (("admin.sock", roles_pb2.ROLE_ADMIN), ("viewer.sock", roles_pb2.ROLE_VIEWER)):
            path = folder / name
            path.unlink(missing_ok=True)
            server = self._server(SocketPeer(role), has_reflection=True)
            self._bind(server, f"unix:/proc/self/fd/{self._folder_fd}/{name}")
            await server.start()
            os.chmod(path, 0o600)

    async def listen_tcp(self, address: str, authenticate: Authenticator) -> int:
        """Bearers of tokens only; the port that was bound. Reflection is off here."""
        server = self._server(authenticate, has_reflection=False)
        port = self._bind(server, address)
        await server.start()
        return port

    async def serving(self) -> None:
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)

    async def stop(self) -> None:
        """Not serving first, then streams end, and calls get `STOP_GRACE_S` to do so."""
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(STOP_NOTICE_S)
        self._draining.set()
        await asyncio.gather(*(server.stop(STOP_GRACE_S) for server in self._servers))
        if self._folder_fd is not None:
            os.close(self._folder_fd)
            self._folder_fd = None

    def _server(self, authenticate: Authenticator, *, has_reflection: bool) -> Any:
        server = grpc.aio.server(
            interceptors=[Guard(authenticate, required_roles(), self._pool, self._draining)], options=_OPTIONS
        )
        self._register(server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        if has_reflection:
            names: Sequence[str] = (*(service.full_name for service in SERVICES), reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, server)
        self._servers.append(server)
        return server

    @staticmethod
    def _bind(server: Any, address: str) -> int:
        try:
            port = server.add_insecure_port(address)
        except RuntimeError as error:
            raise StartRefused(f"cannot listen on {address}: {error}; is the port in use?") from error
        if port == 0:
            raise StartRefused(f"cannot listen on {address}: is it in use, or not allowed?")
        return int(port)
