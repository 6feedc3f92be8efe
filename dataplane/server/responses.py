"""Responses on their way out: a head, then bytes or regions, as far as the socket takes them."""

import os
import socket
import time
from collections.abc import Iterable
from email.utils import formatdate
from enum import Enum
from typing import Any

from engine.streams import FileRegion, RegionSource, WouldBlock

_NO_BODY_STATUSES = ("1", "204", "304")


class Sent(Enum):
    """How far a response got."""

    DONE = "done"
    SOCKET_FULL = "socket full"
    NEEDS_THREAD = "needs thread"
    TURN_OVER = "turn over"


class Dates:
    """The Date header, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._line = b""

    def line(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._line = f"Date: {formatdate(second, usegmt=True)}\r\n".encode("ascii")
            self._second = second
        return self._line


class Response:
    """What the application answered; `send` is called by the loop and by threads in turn, never at once."""

    def __init__(self, *, is_head: bool, is_http_10: bool) -> None:
        self._is_head = is_head
        self._is_http_10 = is_http_10
        self._status = ""
        self._headers: list[tuple[str, str]] = []
        self._pending: list[memoryview] = []
        self._file: FileRegion | None = None
        self._file_sent = 0
        self._source: RegionSource | None = None
        self._iterable: Iterable[bytes] | None = None
        self._left_bytes = 0
        self.keeps_alive = True
        self.sent_bytes = 0
        self.begun_at_s = time.monotonic()

    @property
    def status(self) -> str:
        return self._status

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        """WSGI's start_response."""
        self._status = status
        self._headers = headers
        return None

    def prepare(self, iterable: Iterable[bytes], *, keeps_alive: bool, date_line: bytes) -> None:
        """Take the application's answer; raises ValueError for a header that no response can hold."""
        self._iterable = iterable
        has_body = not self._is_head and not self._status.startswith(_NO_BODY_STATUSES)
        if hasattr(iterable, "next_region"):
            source: Any = iterable
            self._source = source if has_body else None
            chunks: list[bytes] = []
            length = None
        else:
            chunks = [chunk for chunk in iterable if chunk]
            length = sum(map(len, chunks))
        self.keeps_alive = keeps_alive
        lines = [b"HTTP/1.1 ", self._status.encode("latin-1"), b"\r\n"]
        announced: int | None = None
        for name, value in self._headers:
            if "\n" in value or "\r" in value or "\0" in value or "\n" in name or "\r" in name:
                raise ValueError(f"the response header {name!r} holds a line break")
            if name.lower() == "content-length":
                announced = int(value)
            lines += (name.encode("latin-1"), b": ", value.encode("latin-1"), b"\r\n")
        if announced is None and not self._status.startswith(_NO_BODY_STATUSES):
            announced = length or 0
            lines.append(b"Content-Length: %d\r\n" % announced)
        lines.append(date_line)
        lines.append(b"Server: Penstock\r\n")
        if not keeps_alive:
            lines.append(b"Connection: close\r\n")
        elif self._is_http_10:
            lines.append(b"Connection: keep-alive\r\n")
        lines.append(b"\r\n")
        if has_body:
            self._left_bytes = announced or 0
            if self._source is None and length != self._left_bytes:
                raise ValueError("the body is not as long as its Content-Length says")
            lines += chunks
            if self._source is None:
                self._left_bytes = 0
        self._pending = [memoryview(b"".join(lines))]

    def send(self, sock: socket.socket, *, nowait: bool, region_count_max: int) -> Sent:
        """Send until done, until the socket is full, until waiting is needed, or for so many regions.

        Raises OSError when the client is gone, and whatever the source raises: then the connection is cut.
        """
        regions = 0
        while True:
            try:
                if not self._send_pending(sock):
                    return Sent.SOCKET_FULL
            except BlockingIOError:
                return Sent.SOCKET_FULL
            if self._source is None:
                return Sent.DONE
            if self._left_bytes == 0:
                return Sent.DONE
            if regions == region_count_max:
                return Sent.TURN_OVER
            try:
                region = self._source.next_region(nowait=nowait)
            except WouldBlock:
                return Sent.NEEDS_THREAD
            regions += 1
            if region is None:
                raise ConnectionError("the body ended before its announced length")
            if isinstance(region, FileRegion):
                self._file, self._file_sent = region, 0
                self._left_bytes -= region.length
            else:
                self._pending.append(region)
                self._left_bytes -= len(region)

    def take_first_region(self, *, nowait: bool) -> None:
        """Fetch the first region before the head goes: both leave in one call, or an error is still an answer."""
        if self._source is not None and self._left_bytes:
            region = self._source.next_region(nowait=nowait)
            if region is None:
                raise ConnectionError("the body ended before its announced length")
            if isinstance(region, FileRegion):
                self._file, self._file_sent = region, 0
                self._left_bytes -= region.length
            else:
                self._pending.append(region)
                self._left_bytes -= len(region)

    def close(self) -> None:
        close = getattr(self._iterable, "close", None)
        self._iterable = None
        if close is not None:
            close()

    def _send_pending(self, sock: socket.socket) -> bool:
        """True once everything prepared so far is with the kernel."""
        while self._pending:
            if len(self._pending) == 1:
                count = sock.send(self._pending[0])
            else:
                count = sock.sendmsg(self._pending)
            self.sent_bytes += count
            while self._pending and count >= len(self._pending[0]):
                count -= len(self._pending.pop(0))
            if count:
                self._pending[0] = self._pending[0][count:]
        file = self._file
        while file is not None:
            count = os.sendfile(
                sock.fileno(), file.fd, file.offset + self._file_sent, file.length - self._file_sent
            )
            if count == 0:
                raise ConnectionError("a file region ended before its length")
            self.sent_bytes += count
            self._file_sent += count
            if self._file_sent == file.length:
                file = self._file = None
        return True
