"""One HTTP/1.1 connection to a store (RFC 9112): requests out, heads and bodies in, every wait with a deadline."""

import io
import select
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.pipes import Pipe
from engine.streams import PipeRegion
from engine.units import KIB

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CONNECT_TIMEOUT_S = 3.0
HEAD_TIMEOUT_S = 10.0
"""The head of an answer is there whole within this, those that announce it included: one that drips is no answer."""

IDLE_TIMEOUT_S = 20.0
"""Longest pause in a body, either way: one that flows may take as long as it likes."""

HEAD_LINE_BYTES_MAX = 16 * KIB
HEAD_LINE_COUNT_MAX = 128
_READ_BUFFER_BYTES = 64 * KIB
_JOINED_BYTES_MAX = 64 * KIB
_SEND_BYTES_MAX = 256 * KIB

Buffer = bytes | bytearray | memoryview


class BadAnswer(Exception):
    """What came is no answer of HTTP/1.1 that we understand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Status and headers of an answer, names in lower case; of a name that comes twice the last one counts."""

    status: int
    reason: str
    headers: dict[str, str]
    keeps_alive: bool


class Connection:
    """For one thread at a time. Raises OSError for whatever the network does, timeouts included."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._incoming = _Incoming(sock)
        self._reader = io.BufferedReader(self._incoming, _READ_BUFFER_BYTES)
        self.answer_count = 0
        self.idle_since_s = 0.0

    @property
    def is_reused(self) -> bool:
        return self.answer_count > 0

    def is_stale(self) -> bool:
        """Whether the other side has closed an idle connection, or said something nobody asked for."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return bool(poll.poll(0))

    def send(self, parts: Sequence[Buffer], *, patience_s: float | None = None) -> None:
        """Send all of it. With `patience_s` no pause in that is longer."""
        self._sock.settimeout(IDLE_TIMEOUT_S if patience_s is None else min(patience_s, IDLE_TIMEOUT_S))
        for part in _joined(parts):
            view = memoryview(part)
            while view:
                view = view[self._sock.send(view[:_SEND_BYTES_MAX]) :]

    def answers_early(self) -> bool:
        """Whether an answer is there before the request was sent whole; TLS says other things as well: false then."""
        return not isinstance(self._sock, ssl.SSLSocket) and self.is_stale()

    def read_head(self, *, patience_s: float | None = None) -> Head:
        """The head of the final answer. Raises BadAnswer, and EOFError when the connection ends instead.

        All of it is there within HEAD_TIMEOUT_S. With `patience_s` no wait, for the head or for what follows it, is
        longer.
        """
        with self.ends_within(HEAD_TIMEOUT_S if patience_s is None else patience_s):
            head = self._read_one_head()
            while head.status < 200:
                head = self._read_one_head()
        self.answer_count += 1
        self._incoming.pause_max_s = IDLE_TIMEOUT_S if patience_s is None else patience_s
        return head

    @contextmanager
    def ends_within(self, within_s: float) -> Iterator[None]:
        """All that is read in the block comes within that time, or TimeoutError is raised."""
        outer_s, deadline_s = self._incoming.deadline_s, time.monotonic() + within_s
        self._incoming.deadline_s = deadline_s if outer_s is None else min(outer_s, deadline_s)
        try:
            yield
        finally:
            self._incoming.deadline_s = outer_s

    def read_into(self, buffer: memoryview) -> int:
        """Fill the buffer; less is read only where the connection ends."""
        return self._reader.readinto(buffer)

    @property
    def can_splice(self) -> bool:
        """Whether the kernel can move its bytes: those of TLS are decrypted here."""
        return not isinstance(self._sock, ssl.SSLSocket)

    def take(self, bytes_max: int, pipe: Pipe) -> PipeRegion | memoryview:
        """Bytes as they come, at least one: what came along with a head first, then through the pipe.

        Raises EOFError when the connection ends instead.
        """
        held = self._take_buffered(bytes_max)
        if held:
            return memoryview(held)
        count = pipe.fill_from(self._sock, bytes_max, timeout_s=self._incoming.wait_s)
        if count == 0:
            raise EOFError("the connection ended")
        return PipeRegion(fd=pipe.read_fd, length=count)

    def _take_buffered(self, bytes_max: int) -> bytes:
        self._incoming.is_held = True
        try:
            return self._reader.read1(bytes_max)
        finally:
            self._incoming.is_held = False

    def read_line(self) -> bytes:
        """A line without its end. Raises BadAnswer for one that is too long, EOFError."""
        line = self._reader.readline(HEAD_LINE_BYTES_MAX)
        if not line:
            raise EOFError("the connection ended")
        if not line.endswith(b"\n"):
            raise BadAnswer("a line without end")
        return line.rstrip(b"\r\n")

    def pass_trailers(self) -> None:
        """Read what follows the last chunk, which nobody asked for. Raises as `read_line`."""
        with self.ends_within(HEAD_TIMEOUT_S):
            for _ in range(HEAD_LINE_COUNT_MAX):
                if not self.read_line():
                    return
        raise BadAnswer("too many trailers")

    def close(self) -> None:
        try:
            self._sock.close()
        except OSError:
            pass

    def _read_one_head(self) -> Head:
        version, _, rest = self.read_line().partition(b" ")
        status, _, reason = rest.partition(b" ")
        if version not in (b"HTTP/1.1", b"HTTP/1.0") or not status.isdigit() or len(status) != 3:
            raise BadAnswer("not an answer of HTTP/1.1")
        headers: dict[str, str] = {}
        for _ in range(HEAD_LINE_COUNT_MAX):
            line = self.read_line()
            if not line:
                break
            name, colon, value = line.partition(b":")
            if not colon:
                raise BadAnswer("a header without a colon")
            headers[name.decode("latin-1").lower()] = value.strip().decode("latin-1")
        else:
            raise BadAnswer("too many headers")
        closes = "close" in headers.get("connection", "").lower()
        return Head(
            status=int(status),
            reason=reason.decode("latin-1"),
            headers=headers,
            keeps_alive=version == b"HTTP/1.1" and not closes,
        )


class _Incoming(io.RawIOBase):
    """What comes over a socket. No pause in it is longer than `pause_max_s`, nor lasts beyond `deadline_s`.

    While it `is_held` nothing comes.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.pause_max_s = IDLE_TIMEOUT_S
        self.deadline_s: float | None = None
        self.is_held = False

    def readable(self) -> bool:
        return True

    @property
    def wait_s(self) -> float:
        """How long the next bytes may take. Raises TimeoutError past the deadline."""
        if self.deadline_s is None:
            return self.pause_max_s
        wait_s = min(self.pause_max_s, self.deadline_s - time.monotonic())
        if wait_s <= 0:
            raise TimeoutError("it comes too slowly")
        return wait_s

    def readinto(self, buffer: "WriteableBuffer", /) -> int | None:
        if self.is_held:
            return None
        wait_s = self.wait_s
        if self._sock.gettimeout() != wait_s:
            self._sock.settimeout(wait_s)
        return self._sock.recv_into(buffer)


def connect(address: tuple[str, int], tls: ssl.SSLContext | None, *, timeout_s: float) -> Connection:
    """A new connection. Raises OSError."""
    sock = socket.create_connection(address, timeout=timeout_s)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            sock = tls.wrap_socket(sock, server_hostname=address[0])
    except BaseException:
        sock.close()
        raise
    return Connection(sock)


def _joined(parts: Sequence[Buffer]) -> Sequence[Buffer]:
    """What is small leaves in one call, and in one packet or record."""
    if len(parts) > 1 and sum(map(len, parts)) <= _JOINED_BYTES_MAX:
        return [b"".join(parts)]
    return parts
