"""A way to a PostgreSQL server that can be cut at a commit or at any other message, before it or before its answer."""

import contextlib
import socket
import threading
from enum import Enum
from types import TracebackType
from typing import Self

_COMMIT = b"commit\0"
"""The name of the prepared statement, as it stands in the message that runs it."""


class Cut(Enum):
    """Where a connection is cut, once."""

    BEFORE_THE_COMMIT = "before the server hears of it"
    BEFORE_THE_ANSWER = "after the server has heard of it"


class CutProxy:
    """Passes connections through until it is armed."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._guard = threading.Lock()
        self._armed: Cut | None = None
        self._left_count: int | None = None
        self.cut_count = 0
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def arm(self, cut: Cut, *, after_count: int | None = None) -> None:
        """Cut at the next commit, or at whatever a client says after it has said something so many times."""
        with self._guard:
            self._armed, self._left_count = cut, after_count

    def disarm(self) -> bool:
        """Whether it was cut since it was armed."""
        with self._guard:
            was_cut, self._armed = self._armed is None, None
            return was_cut

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._open:
            # A thread that waits for it is only woken by its end, not by its being closed.
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            self._open += [client, server]
            for source, sink, is_client in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass, args=(source, sink, is_client), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, is_client: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                armed = self._strikes(data) if is_client else None
                if armed is not None:
                    self._cut(armed, data, source, sink)
                    return
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _strikes(self, data: bytes) -> Cut | None:
        with self._guard:
            if self._armed is None:
                return None
            if self._left_count is None:
                is_struck = _COMMIT in data
            else:
                is_struck = self._left_count == 0
                self._left_count -= 1
            if not is_struck:
                return None
            armed, self._armed = self._armed, None
            self.cut_count += 1
            return armed

    def _cut(self, armed: Cut, data: bytes, client: socket.socket, server: socket.socket) -> None:
        client.shutdown(socket.SHUT_RDWR)
        if armed is Cut.BEFORE_THE_ANSWER:
            server.sendall(data)
            # The server is at it; it finds its client gone only behind the commit.
            server.shutdown(socket.SHUT_WR)
        else:
            server.shutdown(socket.SHUT_RDWR)
