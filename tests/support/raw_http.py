"""HTTP/1.1 by hand: exact bytes out, and answers read as strictly as a careful client would."""

import re
import select
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

TIMEOUT_S = 10.0
END_TIMEOUT_S = 5.0
_RECEIVE_BYTES = 256 * 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) [ -~]*")
_HEADER_LINE = re.compile(rb"([A-Za-z0-9-]+): ?([ -~\x80-\xff\t]*)")
_CODE = re.compile(rb"<Error><Code>([A-Za-z0-9]+)</Code>")

Pairs = Sequence[tuple[str, str]]


class NoAnswer(Exception):
    """The connection ended, or the time did, before an answer was whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer as it came; header names in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header, which may come once at most."""
        found = [value for each, value in self.headers if each == name]
        assert len(found) <= 1, f"{name} came {len(found)} times"
        return found[0] if found else None

    @property
    def code(self) -> str:
        """The S3 error code, empty where the body is no error document."""
        found = _CODE.search(self.body)
        return found[1].decode() if found else ""

    @property
    def closes(self) -> bool:
        return (self.header("connection") or "").lower() == "close"

    @property
    def said(self) -> tuple[int, str]:
        """Status and error code, the two things most tests are about."""
        return self.status, self.code


def request_bytes(
    method: str, target: str, headers: Pairs, body: bytes = b"", *, version: str = "HTTP/1.1"
) -> bytes:
    """A request as it is written, whatever it says: nothing is added and nothing checked."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"{method} {target} {version}\r\n{lines}\r\n".encode("latin-1") + body


class Connection:
    """One connection to a server. Answers are read in order; what follows one stays for the next."""

    def __init__(
        self, address: tuple[str, int], *, timeout_s: float = TIMEOUT_S, receive_bytes: int | None = None
    ) -> None:
        """`receive_bytes` makes the receive buffer so small, for a client that does not read."""
        self._timeout_s = timeout_s
        self._received = bytearray()
        self._is_over = False
        self.socket = socket.socket()
        if receive_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(timeout_s)
        try:
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, raw: bytes | memoryview) -> None:
        """Send all of it, receiving meanwhile; stops without complaint when the server hangs up."""
        left = memoryview(raw)
        deadline = time.monotonic() + self._timeout_s
        while left and not self._is_over:
            events = self._poll(select.POLLIN | select.POLLOUT, deadline - time.monotonic())
            if not events:
                raise NoAnswer(f"{len(left)} bytes were not taken within {self._timeout_s} s")
            if events & ~select.POLLOUT:
                self._receive()
            if not self._is_over:
                try:
                    left = left[self.socket.send(left) :]
                except BlockingIOError:
                    continue
                except OSError:
                    return

    def end_sending(self) -> None:
        """Half-close: the server reads an end, and may still answer."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Leave by RST, as a process that dies with unread bytes does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def answer(
        self,
        method: str = "GET",
        *,
        timeout_s: float | None = None,
        take: Callable[[memoryview], object] | None = None,
    ) -> Answer:
        """The next answer, one of 100 included; `method` is what was asked, since HEAD is answered without body.

        With `take` the body is handed to it piece by piece, and is not part of the answer.
        """
        deadline = time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)
        while (end := self._received.find(b"\r\n\r\n")) < 0:
            self._wait(deadline)
        lines = bytes(self._received[:end]).split(b"\r\n")
        del self._received[: end + 4]
        status_line = _STATUS_LINE.fullmatch(lines[0])
        assert status_line is not None, f"no status line: {lines[0][:200]!r}"
        headers = []
        for line in lines[1:]:
            found = _HEADER_LINE.fullmatch(line)
            assert found is not None, f"no header line: {line[:200]!r}"
            headers.append((found[1].decode("latin-1").lower(), found[2].decode("latin-1")))
        status = int(status_line[1])
        size_bytes = _body_bytes(status, headers, method)
        if take is not None:
            self._hand_over(size_bytes, take, deadline)
            size_bytes = 0
        while len(self._received) < size_bytes:
            self._wait(deadline)
        body = bytes(self._received[:size_bytes])
        del self._received[:size_bytes]
        return Answer(status=status, headers=tuple(headers), body=body)

    def ends(self, timeout_s: float = END_TIMEOUT_S) -> bool:
        """Whether the server closes the connection within the time, without another byte."""
        deadline = time.monotonic() + timeout_s
        while not self._is_over and not self._received:
            try:
                self._wait(deadline)
            except NoAnswer:
                break
        return self._is_over and not self._received

    def is_silent(self, seconds: float) -> bool:
        """Whether no byte comes for so long; an end is none."""
        if not self._received and not self._is_over and self._poll(select.POLLIN, seconds):
            self._receive()
        return not self._received

    def is_cut(self) -> bool:
        """Whether the connection is gone, reading nothing: an end that waits behind unread bytes counts."""
        return bool(self._poll(select.POLLRDHUP, 0.0))

    def peek(self) -> bytes:
        """What the kernel holds for the next read, at most its beginning; it stays there."""
        try:
            return self.socket.recv(64, socket.MSG_PEEK)
        except OSError:
            return b""

    def _hand_over(self, size_bytes: int, take: Callable[[memoryview], object], deadline: float) -> None:
        left = size_bytes
        while left:
            if not self._received:
                self._wait(deadline)
            count = min(left, len(self._received))
            with memoryview(self._received) as view:
                take(view[:count])
            del self._received[:count]
            left -= count

    def _poll(self, wanted: int, timeout_s: float) -> int:
        poll = select.poll()
        poll.register(self.socket, wanted)
        return sum(events for _, events in poll.poll(max(0.0, timeout_s) * 1000))

    def _wait(self, deadline: float) -> None:
        left_s = deadline - time.monotonic()
        if self._is_over:
            raise NoAnswer(f"the connection ended after {bytes(self._received[:200])!r}")
        if left_s <= 0 or not self._poll(select.POLLIN, left_s):
            raise NoAnswer(f"nothing more came after {bytes(self._received[:200])!r}")
        self._receive()

    def _receive(self) -> None:
        try:
            received = self.socket.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        self._received += received
        self._is_over = not received


def _body_bytes(status: int, headers: list[tuple[str, str]], method: str) -> int:
    assert not any(name == "transfer-encoding" for name, _ in headers), "every answer has a length"
    lengths = [value for name, value in headers if name == "content-length"]
    if status < 200 or status in (204, 304):
        assert not lengths or status == 304, "an answer without body has no length"
        return 0
    if method == "HEAD" and not lengths:
        return 0
    assert len(lengths) == 1, f"one Content-Length, not {lengths}"
    assert lengths[0].isdigit()
    return 0 if method == "HEAD" else int(lengths[0])
