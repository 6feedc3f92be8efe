"""The way in: listening sockets, and how many connections they are asked for at a time."""

import logging
import select
import socket
import sys
from collections.abc import Container, Sequence
from typing import Any

from dataplane.server.connections import Connection, Phase
from dataplane.server.open_connections import OpenConnections
from dataplane.server.settings import ServerSettings

_IN = select.EPOLLIN

_log = logging.getLogger("penstock.server")


class Door:
    """Accepts connections while there is room; `templates` is what every environ of a listener holds, by its index."""

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        epoll: select.epoll,
        connections: OpenConnections,
        settings: ServerSettings,
        *,
        tls_listeners: Container[int] = (),
    ) -> None:
        self._epoll = epoll
        self._connections = connections
        self._settings = settings
        self._listeners = {each.fileno(): (index, each) for index, each in enumerate(listeners)}
        self._tls_listeners = tls_listeners
        self.is_accepting = False
        self.is_full = False
        self._is_shut = False
        self.templates = [
            _template(index, each, "https" if index in tls_listeners else "http")
            for index, each in enumerate(listeners)
        ]

    def open(self) -> None:
        for _, listener in self._listeners.values():
            listener.setblocking(False)
            if listener.family in (socket.AF_INET, socket.AF_INET6):
                # Accepted sockets inherit it. Else a crowd that reads nothing would have megabytes read, opened and
                # kept for each of it (tcp_wmem), and everybody else would wait meanwhile.
                listener.setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, self._settings.unsent_bytes_max
                )
        self.resume()

    def __contains__(self, fd: int) -> bool:
        return fd in self._listeners

    def accept(self, fd: int, *, count_max: int) -> None:
        settings = self._settings
        index, listener = self._listeners[fd]
        for _ in range(count_max):
            if len(self._connections) >= settings.connection_count_max and not self._connections.close_idle():
                self.is_full = True
                self.pause()
                return
            try:
                sock, address = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                # Out of descriptors or memory: the next tick tries again.
                _log.warning("connection.not_accepted reason=%s", error)
                self.pause()
                return
            sock.setblocking(False)
            is_inet = sock.family in (socket.AF_INET, socket.AF_INET6)
            if is_inet:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(
                sock,
                peer=address[0] if is_inet else "",
                listener=index,
                deadline_s=self._connections.now_s + settings.idle_timeout_s,
            )
            if index in self._tls_listeners:
                connection.phase = Phase.HANDSHAKE
                connection.deadline_s = self._connections.now_s + settings.handshake_timeout_s
            self._connections.add(connection)

    def pause(self) -> None:
        if self.is_accepting:
            self.is_accepting = False
            for fd in self._listeners:
                self._epoll.unregister(fd)

    def resume(self) -> None:
        if not self.is_accepting and not self._is_shut:
            self.is_accepting = True
            for fd in self._listeners:
                self._epoll.register(fd, _IN)

    def make_room(self) -> None:
        """Accept again if there is room for a connection, or an idle one can make it for those that wait."""
        has_room = len(self._connections) < self._settings.connection_count_max
        if has_room or (self.is_full and self._connections.close_idle()):
            self.is_full = False
            self.resume()

    def shut(self) -> None:
        """Accept no more and close the sockets, so that nobody waits in a queue that only this process could serve."""
        self.pause()
        self._is_shut = True
        for _, listener in self._listeners.values():
            listener.close()


def _template(index: int, listener: socket.socket, scheme: str) -> dict[str, Any]:
    address = listener.getsockname()
    is_inet = listener.family in (socket.AF_INET, socket.AF_INET6)
    return {
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": str(address[0]) if is_inet else "localhost",
        "SERVER_PORT": str(address[1]) if is_inet else "0",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        "penstock.listener": index,
    }
