"""Connections to a port that speaks TLS, from the first byte to the end of the handshake, on the loop."""

import logging
import select
import socket
from collections.abc import Mapping

from dataplane.server.certificates import Certificates
from dataplane.server.connections import Connection, Phase
from dataplane.server.errors import Refused
from dataplane.server.open_connections import OpenConnections
from dataplane.server.reception import Reception
from dataplane.server.settings import ServerSettings
from dataplane.server.tls import FIRST_BYTE, TlsSocket

_IN, _OUT = select.EPOLLIN, select.EPOLLOUT
_HTTP = range(ord("A"), ord("Z") + 1)
"""What a client that takes the port for one of plain HTTP says first."""

_log = logging.getLogger("penstock.server")


class Handshakes:
    """Nothing is kept for a client that says nothing; `certificates` by index of the listener."""

    def __init__(
        self,
        certificates: Mapping[int, Certificates],
        connections: OpenConnections,
        reception: Reception,
        settings: ServerSettings,
    ) -> None:
        self._certificates = certificates
        self._connections = connections
        self._reception = reception
        self._settings = settings

    def go_on(self, connection: Connection) -> None:
        """The client sent something, or takes something."""
        sock = connection.sock
        if not isinstance(sock, TlsSocket):
            begun = self._begin(connection, sock)
            if begun is None:
                return
            connection.sock = sock = begun
        try:
            is_over = sock.handshake()
        except OSError as error:
            # A scanner, a client that distrusts the certificate, or one without its own.
            _log.debug("tls.handshake_failed peer=%s reason=%s", connection.peer, error)
            self._connections.close(connection)
            return
        if is_over:
            connection.phase = Phase.HEAD
            connection.deadline_s = self._connections.now_s + self._settings.idle_timeout_s
        self._connections.arm(connection, _OUT if sock.wants_write else _IN)

    def _begin(self, connection: Connection, sock: socket.socket) -> TlsSocket | None:
        try:
            first = sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return None
        except OSError:
            first = b""
        if first and first[0] in _HTTP:
            self._reception.refuse(connection, Refused(400, "BadRequest", "this port speaks HTTPS, not HTTP"))
            return None
        if not first or first[0] != FIRST_BYTE:
            self._connections.close(connection)
            return None
        try:
            return TlsSocket(sock, self._certificates[connection.listener].context)
        except OSError:
            self._connections.close(connection)
            return None
