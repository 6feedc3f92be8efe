"""The gRPC server: the same services on a unix socket for admins, one for viewers, and TCP for bearers of tokens."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection
from penstock.admin.v1 import roles_pb2

from controlplane.answering import CallParts
from controlplane.callers import Authenticator, SocketPeer
from controlplane.guard import Guard
from controlplane.methods import SERVICES, required_roles
from controlplane.pace import AtWill, Pace, Steady
from engine.errors import StartRefused

MESSAGE_BYTES_MAX = 4 * 1024 * 1024
METADATA_BYTES_MAX = 16 * 1024
CONCURRENT_STREAMS_MAX = 100
"""Calls at once on one connection."""

CONCURRENT_CALLS_MAX = 400
"""Calls at once on one listener; more are refused with RESOURCE_EXHAUSTED before anything is looked at."""

CONNECTIONS_MAX = 256
"""Connections to one listener: a flood of one leaves the others open, the unix sockets above all."""

HANDSHAKE_MS = 10_000
IDLE_MS = 15 * 60 * 1000
"""Connections without a call for so long are closed."""

STOP_NOTICE_S = 0.1
"""Time for what was told to arrive: the health, before streams end; how they ended, before connections do."""

STOP_GRACE_S = 5.0

_OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_metadata_size", METADATA_BYTES_MAX),
    ("grpc.absolute_max_metadata_size", METADATA_BYTES_MAX),
    ("grpc.max_concurrent_streams", CONCURRENT_STREAMS_MAX),
    ("grpc.max_allowed_incoming_connections", CONNECTIONS_MAX),
    ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
    ("grpc.max_connection_idle_ms", IDLE_MS),
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

    def __init__(self, register: Register, parts: CallParts, *, calls_per_s: float) -> None:
        """`parts.draining` is set by `stop`: what waits for something else had better end then."""
        self._register = register
        self._parts = parts
        self._calls_per_s = calls_per_s
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
            server = self._server(SocketPeer(role), AtWill(), has_reflection=True)
            self._bind(server, f"unix:/proc/self/fd/{self._folder_fd}/{name}")
            await server.start()
            os.chmod(path, 0o600)

    async def listen_tcp(
        self, address: str, authenticate: Authenticator, credentials: grpc.ServerCredentials | None
    ) -> int:
        """The port that was bound; plain without credentials. Reflection is off here."""
        server = self._server(
            authenticate, Steady(time.monotonic, calls_per_s=self._calls_per_s), has_reflection=False
        )
        port = self._bind(server, address, credentials)
        await server.start()
        return port

    async def serving(self) -> None:
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)

    async def stop(self) -> None:
        """Not serving first, then streams end, and calls get `STOP_GRACE_S` to do so."""
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(STOP_NOTICE_S)
        self._parts.draining.set()
        # A server that stops closes a connection with its last call: what that said at its end may be lost with it.
        await asyncio.sleep(STOP_NOTICE_S)
        await asyncio.gather(*(server.stop(STOP_GRACE_S) for server in self._servers))
        if self._folder_fd is not None:
            os.close(self._folder_fd)
            self._folder_fd = None

    def _server(self, authenticate: Authenticator, pace: Pace, *, has_reflection: bool) -> Any:
        server = grpc.aio.server(
            interceptors=[Guard(authenticate, required_roles(), self._parts, pace)],
            options=_OPTIONS,
            maximum_concurrent_rpcs=CONCURRENT_CALLS_MAX,
        )
        self._register(server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        if has_reflection:
            names: Sequence[str] = (*(service.full_name for service in SERVICES), reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, server)
        self._servers.append(server)
        return server

    @staticmethod
    def _bind(server: Any, address: str, credentials: grpc.ServerCredentials | None = None) -> int:
        try:
            if credentials is None:
                port = server.add_insecure_port(address)
            else:
                port = server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise StartRefused(f"cannot listen on {address}: {error}; is the port in use?") from error
        if port == 0:
            raise StartRefused(f"cannot listen on {address}: is it in use, or not allowed?")
        return int(port)
