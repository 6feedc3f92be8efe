"""The open connections of a loop: their table, what is asked of the kernel about them, and how each of them ends."""

import select
import socket
from heapq import nsmallest

from dataplane.server.connections import Connection, Phase
from dataplane.server.settings import ServerSettings
from dataplane.server.tls import TlsSocket

RECEIVE_BYTES = 64 * 1024
IDLE_SHARE = 128
"""One in so many idle connections is closed at once where there is no room for others."""

_IN = select.EPOLLIN
_CLOSED, _HEAD, _LINGERING = Phase.CLOSED, Phase.HEAD, Phase.LINGERING


class OpenConnections:
    """For the loop's thread. `now_s` is when the present turn began."""

    def __init__(self, epoll: select.epoll, settings: ServerSettings) -> None:
        self._epoll = epoll
        self._settings = settings
        self.by_fd: dict[int, Connection] = {}
        self.now_s = 0.0

    def __len__(self) -> int:
        return len(self.by_fd)

    def add(self, connection: Connection) -> None:
        """Take in a new one, and listen to it."""
        self.by_fd[connection.fd] = connection
        self.arm(connection, _IN)

    def arm(self, connection: Connection, mask: int) -> None:
        armed = connection.armed
        if armed == mask:
            return
        connection.armed = mask
        if not armed:
            self._epoll.register(connection.fd, mask)
        elif mask:
            self._epoll.modify(connection.fd, mask)
        else:
            self._epoll.unregister(connection.fd)

    def receive(self, connection: Connection) -> bytes | None:
        """What arrived, empty at the client's end; None when there is nothing, or the connection is closed."""
        try:
            return connection.sock.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            self.close(connection)
            return None

    def close(self, connection: Connection) -> None:
        if connection.phase is _CLOSED:
            return
        connection.phase = _CLOSED
        del self.by_fd[connection.fd]
        connection.sock.close()
        request, connection.request = connection.request, None
        if request is not None:
            request.end(is_whole=False)

    def abort(self, connection: Connection) -> None:
        """Close so that the client sees a reset, never an end that looks clean."""
        if connection.phase is not _CLOSED:
            if isinstance(connection.sock, TlsSocket):
                connection.sock.cut()
            try:
                connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            except OSError:
                pass
            self.close(connection)

    def close_idle(self) -> bool:
        """Close some of those that have been idle for longest; whether there was one."""
        between = [each for each in self.by_fd.values() if each.phase is _HEAD and not each.buffer]
        # A look at all of them makes room for more than one of the crowd that is waiting.
        count = max(1, len(between) // IDLE_SHARE)
        closed = False
        for connection in nsmallest(count, between, key=lambda each: each.deadline_s):
            if connection.is_idle:
                self.close(connection)
                closed = True
        return closed

    def linger(self, connection: Connection) -> None:
        """Say that no more comes, and give the client a moment to read it before what it still sends is refused."""
        try:
            connection.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close(connection)
            return
        connection.phase = _LINGERING
        connection.drained_bytes = 0
        connection.buffer.clear()
        connection.deadline_s = self.now_s + self._settings.drain_timeout_s
        self.arm(connection, _IN)

    def drain(self, connection: Connection) -> None:
        data = self.receive(connection)
        if data is None:
            return
        connection.drained_bytes += len(data)
        if not data or connection.drained_bytes > self._settings.drain_bytes_max:
            self.close(connection)
