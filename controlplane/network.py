"""The network's way in: a TCP listener that is there once somebody may come in by it."""

import asyncio
import logging

from penstock.admin.v1 import roles_pb2

from controlplane.callers import BearerToken, Caller, Evidence, TokenOrCertificate
from controlplane.certificates import ControlCertificates
from controlplane.pool import EnginePool
from controlplane.server import ControlServer
from engine.deployment.opening import OpenDeployment
from engine.errors import EngineError, StartRefused
from engine.metadata.identities import has_admin_token
from engine.settings.tls import UnusableTlsFiles

LOOK_S = 1.0
"""Pause between two looks for the first token or certificate."""

_ROLES = {
    "viewer": roles_pb2.ROLE_VIEWER,
    "operator": roles_pb2.ROLE_OPERATOR,
    "admin": roles_pb2.ROLE_ADMIN,
}

_log = logging.getLogger("penstock.control")


class Network:
    """Looks callers up in the rows of tokens, and in what the generation that runs says of certificates."""

    def __init__(self, opened: OpenDeployment, server: ControlServer, pool: EnginePool) -> None:
        self._opened = opened
        self._server = server
        self._pool = pool
        self._certificates: ControlCertificates | None = None
        self._waiting: asyncio.Task[None] | None = None
        self.port: int | None = None

    async def start(self) -> None:
        """Listen, or wait for somebody to listen for. Raises StartRefused."""
        tls = self._opened.settings.node.listen.control_tls
        if tls is not None:
            try:
                self._certificates = ControlCertificates(tls)
            except UnusableTlsFiles as error:
                raise StartRefused(f"listen.control_tls: {error}") from error
        if await self._is_wanted():
            await self._listen()
        else:
            _log.warning("control.no_tcp", extra={"why": "nobody has a token or a certificate"})
            self._waiting = asyncio.create_task(self._wait())

    async def stop(self) -> None:
        """Wait for nobody any more; what listens is the server's to end."""
        if self._waiting is not None:
            self._waiting.cancel()
            await asyncio.gather(self._waiting, return_exceptions=True)

    def tick(self) -> None:
        """Take renewed certificates, and tell of such as cannot be taken."""
        if self._certificates is not None:
            self._certificates.refresh()

    async def _wait(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                if await self._is_wanted():
                    await self._listen()
                    return
            except EngineError as error:
                _log.error("control.not_listening", extra={"why": str(error)})

    async def _is_wanted(self) -> bool:
        if self._opened.snapshot.live.admin_certificates:
            return True
        return await self._pool.run(self._opened.store.read, has_admin_token)

    async def _listen(self) -> None:
        address = self._opened.settings.node.listen.control
        authenticate = TokenOrCertificate(BearerToken(self._bearer), self._owner)
        credentials = None if self._certificates is None else self._certificates.credentials()
        self.port = await self._server.listen_tcp(str(address), authenticate, credentials)
        fields = {"host": address.host, "port": self.port, "tls": credentials is not None}
        _log.info("control.listening", extra=fields)

    def _bearer(self, sha256: bytes) -> Caller | None:
        row = self._opened.find_admin(sha256)
        if row is None:
            return None
        self._opened.last_uses.note_token(row.name)
        return Caller(name=row.name, role=_ROLES[row.role], scopes=row.scopes)

    def _owner(self, evidence: Evidence) -> Caller | None:
        for each in self._opened.snapshot.live.admin_certificates:
            if each.uri in evidence.uris or each.common_name in evidence.common_names:
                return Caller(name=each.name, role=_ROLES[each.role], scopes=each.scopes)
        return None
