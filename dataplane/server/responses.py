"""Responses on their way out: a head, then bytes or regions, as far as the socket takes them."""

import errno
import os
import socket
import time
from collections.abc import Iterable
from email.utils import formatdate
from enum import Enum
from typing import Any

from dataplane.server.tls import AnySocket, TlsSocket
from engine.streams import FileRegion, PipeRegion, RegionSource, WouldBlock, region_bytes

_NO_BODY_STATUSES = ("1", "204", "304")
_OWN_HEADERS = frozenset(("connection", "date", "keep-alive", "server", "transfer-encoding"))

_FILE_ERRNOS = frozenset(
    (errno.EIO, errno.EREMOTEIO, errno.ENODATA, errno.EBADMSG, errno.EUCLEAN, errno.ESTALE)
)
"""What a file says that cannot be read, and a socket that cannot be sent to never."""

_SPLICE_FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK


class Sent(Enum):
    """How far a response got."""

    DONE = "done"
    SOCKET_FULL = "socket full"
    NEEDS_THREAD = "needs thread"
    TURN_OVER = "turn over"
    CUT = "cut"


class BodyCut(Exception):
    """A body that does not come as announced: the connection is cut."""


class Dates:
    """The Date header, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._line = ""

    def line(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._line = f"Date: {formatdate(second, usegmt=True)}"
            self._second = second
        return self._line


dates = Dates()


class Response:
    """What the application answered. `send` is called by the loop and by threads in turn, never at once."""

    __slots__ = (
        "_file",
        "_file_sent",
        "_head_bytes",
        "_headers",
        "_interim",
        "_is_head",
        "_is_http_10",
        "_iterable",
        "_left_bytes",
        "_pending",
        "_pipe",
        "_pipe_left_bytes",
        "_sent_bytes",
        "_source",
        "_status",
        "is_prepared",
        "keeps_alive",
        "sends_files",
    )

    def __init__(self, *, is_head: bool, is_http_10: bool, interim: bytes = b"") -> None:
        """`interim` leaves before the head, in the same call."""
        self._interim = interim
        self._is_head = is_head
        self._is_http_10 = is_http_10
        self._status = ""
        self._headers: list[tuple[str, str]] = []
        self._pending: list[memoryview] = []
        self._file: FileRegion | None = None
        self._file_sent = 0
        self._pipe: PipeRegion | None = None
        self._pipe_left_bytes = 0
        self._source: RegionSource | None = None
        self._iterable: Iterable[bytes] | None = None
        self._left_bytes = 0
        self._head_bytes = 0
        self._sent_bytes = 0
        self.is_prepared = False
        self.keeps_alive = True
        self.sends_files = True
        """Whether the regions so far were parts of files: no work but reading them."""

    @property
    def status(self) -> int:
        """0 before the application has answered."""
        return int(self._status[:3]) if self._status else 0

    @property
    def is_begun(self) -> bool:
        """Whether any byte went out."""
        return self._sent_bytes > 0

    @property
    def sent_bytes(self) -> int:
        """Head and body."""
        return self._sent_bytes

    @property
    def sent_body_bytes(self) -> int:
        return max(0, self._sent_bytes - self._head_bytes)

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        """WSGI's start_response; the last call before the body counts."""
        self._status = status
        self._headers = headers

    def hold(self, iterable: Iterable[bytes]) -> None:
        """Own the application's answer from here on: `close` closes it."""
        self._iterable = iterable

    def prepare(self, *, keeps_alive: bool) -> None:
        """Make the head; raises ValueError for an answer that HTTP cannot hold, then nothing was sent."""
        iterable, status = self._iterable, self._status
        assert iterable is not None
        if not status[:3].isdigit():
            raise ValueError("the application gave no status")
        source: Any = None
        chunk = b""
        if type(iterable) is list and len(iterable) == 1:
            chunk = iterable[0]
            length = len(chunk)
        elif hasattr(iterable, "next_region"):
            source = iterable
            length = int(source.remaining_bytes)
        else:
            chunk = b"".join(iterable)
            length = len(chunk)
        headers = self._headers
        fields = dict(headers)
        # Names come in lower case from Falcon.
        if not "".join(fields).islower():
            fields = {name.lower(): value for name, value in headers}
        length_text = fields.get("content-length")
        announced = None if length_text is None else int(length_text)
        if not _OWN_HEADERS.isdisjoint(fields):
            if "close" in fields.get("connection", "").lower():
                keeps_alive = False
            headers = [each for each in headers if each[0].lower() not in _OWN_HEADERS]
        lines = [f"HTTP/1.1 {status}", dates.line(), "Server: Penstock", *map(": ".join, headers)]
        may_have_body = not status.startswith(_NO_BODY_STATUSES)
        if announced is None and may_have_body:
            announced = length
            lines.append(f"Content-Length: {length}")
        if not keeps_alive:
            lines.append("Connection: close")
        elif self._is_http_10:
            lines.append("Connection: keep-alive")
        lines += ("", "")
        text = "\r\n".join(lines)
        if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1 or "\0" in text:
            raise ValueError("a response header holds a line break")
        head = self._interim + text.encode("latin-1")
        self._pending = [memoryview(head)]
        if may_have_body and not self._is_head:
            if announced != length:
                raise ValueError(f"the body has {length} bytes, its Content-Length says {announced}")
            if source is not None:
                self._source = source
                self._left_bytes = length
            else:
                self._pending = [memoryview(head + chunk)]
        self._head_bytes = len(head)
        self.keeps_alive = keeps_alive
        self.is_prepared = True

    def take_region(self, *, nowait: bool) -> bool:
        """Fetch the next region, which leaves with what is pending; False when all of them were fetched.

        Before anything was sent, what the source raises can still be answered. Raises WouldBlock with `nowait`.
        """
        if self._file is not None or self._pipe is not None:
            # The one before has not left yet.
            return True
        if self._left_bytes == 0:
            return False
        assert self._source is not None
        region = self._source.next_region(nowait=nowait)
        if region is None:
            raise BodyCut("the body ended before its announced length")
        size = region_bytes(region)
        if isinstance(region, FileRegion):
            self._file, self._file_sent = region, 0
        elif isinstance(region, PipeRegion):
            self._pipe, self._pipe_left_bytes = region, size
            self.sends_files = False
        else:
            self._pending.append(region)
            self.sends_files = False
        if not 0 < size <= self._left_bytes:
            raise BodyCut("the body is longer than announced, or a region is empty")
        self._left_bytes -= size
        return True

    def send(self, sock: AnySocket, *, nowait: bool, region_count_max: int) -> Sent:
        """Send until done, until the socket is full, until waiting is needed, or for so many regions more.

        With `nowait` only parts of files are made here, other regions NEED a THREAD.
        Raises OSError of the socket, BodyCut, and whatever else the source raises: then the connection is cut.
        """
        count = 0
        while True:
            try:
                self._send_pending(sock, nowait=nowait)
            except BlockingIOError:
                return Sent.SOCKET_FULL
            except WouldBlock:
                return Sent.NEEDS_THREAD
            if self._left_bytes == 0:
                return Sent.DONE
            if nowait and not self.sends_files:
                return Sent.NEEDS_THREAD
            if count == region_count_max:
                return Sent.TURN_OVER
            try:
                self.take_region(nowait=nowait)
            except WouldBlock:
                return Sent.NEEDS_THREAD
            except OSError as error:
                raise BodyCut("the next region could not be read") from error
            count += 1

    def close(self) -> None:
        """Close the application's answer, once."""
        iterable, self._iterable = self._iterable, None
        self._source = None
        self._pending = []
        self._file = None
        self._pipe = None
        close = getattr(iterable, "close", None)
        if close is not None:
            close()

    def _send_pending(self, sock: AnySocket, *, nowait: bool) -> None:
        """Return once everything prepared so far is with the kernel; raises BlockingIOError when it takes no more.

        With `nowait` WouldBlock when a disk might have to be waited for.
        """
        pending, file, pipe = self._pending, self._file, self._pipe
        flags = 0 if file is None and pipe is None else socket.MSG_MORE
        while pending:
            count = sock.send(pending[0], flags) if len(pending) == 1 else sock.sendmsg(pending)
            self._sent_bytes += count
            while pending and count >= len(pending[0]):
                count -= len(pending.pop(0))
            if count:
                pending[0] = pending[0][count:]
        if file is not None:
            self._send_file(sock, file, nowait=nowait)
        elif pipe is not None:
            self._send_pipe(sock, pipe)

    def _send_file(self, sock: AnySocket, file: FileRegion, *, nowait: bool) -> None:
        out, sent = sock.fileno(), self._file_sent
        if nowait and not file.is_read and not file.is_in_memory(sent):
            raise WouldBlock
        while sent < file.length:
            at, left_bytes = file.offset + sent, file.length - sent
            try:
                if isinstance(sock, TlsSocket):
                    count = sock.send_file(file.fd, at, left_bytes)
                else:
                    count = os.sendfile(out, file.fd, at, left_bytes)
            except OSError as error:
                if error.errno not in _FILE_ERRNOS:
                    raise
                self._leave_file(sock, left_bytes, error)
                return
            if count == 0:
                self._leave_file(sock, left_bytes, None)
                return
            self._sent_bytes += count
            sent += count
            self._file_sent = sent
        self._file = None

    def _leave_file(self, sock: AnySocket, left_bytes: int, error: OSError | None) -> None:
        """The file does not give the rest of its region: the source says where else it is."""
        assert self._source is not None
        self._file = None
        self._left_bytes += left_bytes
        if isinstance(sock, TlsSocket):
            held = sock.take_held()
            if held:
                self._pending.append(memoryview(held))
                self._sent_bytes -= len(held)
        self._source.unsent(left_bytes, error)

    def _send_pipe(self, sock: AnySocket, pipe: PipeRegion) -> None:
        assert not isinstance(sock, TlsSocket), "what is encrypted passes through memory"
        out = sock.fileno()
        while self._pipe_left_bytes:
            count = os.splice(pipe.fd, out, self._pipe_left_bytes, flags=_SPLICE_FLAGS)
            if count == 0:
                raise BodyCut("a pipe ended before its region did")
            self._sent_bytes += count
            self._pipe_left_bytes -= count
        self._pipe = None
