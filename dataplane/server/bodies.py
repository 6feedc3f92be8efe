"""A request's body off the wire: straight into the reader's buffer, at a least rate, never longer than announced."""

import select
import socket
import time

from dataplane.server.chunked import ChunkedDecoder
from dataplane.server.errors import BodyTooSlow, IncompleteBody
from dataplane.server.heads import RequestHead
from dataplane.server.settings import ServerSettings

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class RequestBody:
    """`wsgi.input`: `readinto` for those who stream, `read` for others. For the thread that owns the request."""

    def __init__(
        self, sock: socket.socket, head: RequestHead, buffered: bytearray, settings: ServerSettings
    ) -> None:
        self.size_bytes = None if head.is_chunked else (head.content_length or 0)
        self._sock = sock
        self._buffered = buffered
        self._left = head.content_length or 0
        self._must_continue = head.expects_continue and head.has_body
        self._settings = settings
        self._waited_s = 0.0
        self._received_bytes = 0
        self._decoder = ChunkedDecoder(self._read_raw) if head.is_chunked else None
        self.received_bytes = 0

    @property
    def is_consumed(self) -> bool:
        """Whether the connection stands at the next request."""
        return self._decoder.is_over if self._decoder is not None else self._left == 0

    def readinto(self, buffer: memoryview, /) -> int:
        """Body bytes, at least one until the end, then 0; raises BodyError."""
        if self._decoder is not None:
            count = self._decoder.readinto(buffer)
        else:
            if self._left == 0 or not len(buffer):
                return 0
            count = self._read_raw(buffer[: min(len(buffer), self._left)])
            if count == 0:
                raise IncompleteBody("the connection ended before Content-Length bytes")
            self._left -= count
        self.received_bytes += count
        return count

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, or all of a body whose length is known."""
        wanted = self._left if size < 0 else size
        buffer = bytearray(wanted)
        view, filled = memoryview(buffer), 0
        while filled < wanted and (count := self.readinto(view[filled:])):
            filled += count
        return bytes(view[:filled])

    def _read_raw(self, buffer: memoryview) -> int:
        if self._buffered:
            count = min(len(self._buffered), len(buffer))
            buffer[:count] = self._buffered[:count]
            del self._buffered[:count]
            return count
        if self._must_continue:
            self._must_continue = False
            self._sock.send(_CONTINUE)
        while True:
            try:
                count = self._sock.recv_into(buffer)
            except BlockingIOError:
                self._wait()
            except OSError as error:
                raise IncompleteBody("the connection was reset") from error
            else:
                self._received_bytes += count
                return count

    def _wait(self) -> None:
        """Wait for bytes; only waiting counts against the sender, not what happens to bytes that came."""
        settings = self._settings
        if self._waited_s >= settings.rate_window_s:
            if self._received_bytes < self._waited_s * settings.rate_bytes_min:
                raise BodyTooSlow("the body comes slower than the least rate")
        started_s = time.monotonic()
        poll = select.poll()
        poll.register(self._sock, select.POLLIN | select.POLLRDHUP)
        left_s = settings.rate_window_s - min(self._waited_s, settings.rate_window_s) + 1.0
        if not poll.poll(left_s * 1000):
            raise BodyTooSlow("no byte of the body came in time")
        self._waited_s += time.monotonic() - started_s
