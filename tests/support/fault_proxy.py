"""A way to an S3 server on which everything can go wrong that goes wrong on a network, and a server that lies."""

import contextlib
import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from tests.support.faults import (
    Altered,
    BitFlip,
    BlackHole,
    Fault,
    Instead,
    LateLanding,
    Latency,
    LyingEtag,
    Rate,
    Refusal,
    ReplyLost,
    Request,
    Reset,
    Said,
    Truncate,
    Twice,
)

_PORTION_BYTES = 64 * 1024
_UPSTREAM_TIMEOUT_S = 60.0


Which = Callable[[Request], bool]


@dataclass(slots=True, kw_only=True)
class _Rule:
    fault: Fault
    which: Which
    left_count: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Late:
    request: Request
    headers: list[tuple[str, str]]
    body: bytes


class FaultProxy:
    """Passes HTTP through until it is told what is to go wrong. For tests, from any thread.

    Requests keep their `Host`, so signatures hold. A fault strikes every request it is for until it is cleared or its
    count is used up; of several the oldest strikes.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._guard = threading.Lock()
        self._rules: list[_Rule] = []
        self._late: list[_Late] = []
        self._cleared = threading.Event()
        self.seen: list[Request] = []
        self.struck_count = 0
        self._server = _Server(self)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()
        self._server.shutdown()
        self._server.cut_all()
        self._server.server_close()
        self._thread.join()

    def add(self, fault: Fault, *, count: int | None = None, which: Which = lambda request: True) -> None:
        """From now on this goes wrong with those requests, `count` times; null: until it is cleared."""
        with self._guard:
            self._rules.append(_Rule(fault=fault, which=which, left_count=count))

    def clear(self) -> None:
        """Everything goes well again; what hangs in a black hole is cut. Late landings stay to be landed."""
        with self._guard:
            self._rules.clear()
            cleared, self._cleared = self._cleared, threading.Event()
        cleared.set()

    def cut(self) -> None:
        """Reset every connection that is open now."""
        self._server.cut_all()

    def land_late(self) -> int:
        """Forward what was held back, in order; the count of them."""
        with self._guard:
            late, self._late = self._late, []
        for each in late:
            connection = http.client.HTTPConnection(*self._target, timeout=_UPSTREAM_TIMEOUT_S)
            with contextlib.closing(connection):
                send_head(connection, each.request, each.headers)
                connection.send(each.body)
                connection.getresponse().read()
        return len(late)

    # --- for the connections ---

    @property
    def target(self) -> tuple[str, int]:
        return self._target

    def strike(self, request: Request) -> Fault | None:
        """What goes wrong with this request."""
        with self._guard:
            self.seen.append(request)
            for rule in self._rules:
                if rule.which(request) and rule.left_count != 0:
                    if rule.left_count is not None:
                        rule.left_count -= 1
                    self.struck_count += 1
                    return rule.fault
            return None

    def hold_back(self, request: Request, headers: list[tuple[str, str]], body: bytes) -> None:
        with self._guard:
            self._late.append(_Late(request=request, headers=headers, body=body))

    def wait_until_cleared(self) -> None:
        with self._guard:
            cleared = self._cleared
        cleared.wait()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Threads in a black hole end with the test, not the other way round.
    block_on_close = False
    request_queue_size = 128

    def __init__(self, proxy: FaultProxy) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.proxy = proxy
        self._guard = threading.Lock()
        self._open: set[socket.socket] = set()
        self._to_reset: set[socket.socket] = set()

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], address: object) -> None:
        assert isinstance(request, socket.socket)
        with self._guard:
            self._open.add(request)
        super().process_request(request, address)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        assert isinstance(request, socket.socket)
        with self._guard:
            self._open.discard(request)
            is_reset = request in self._to_reset
            self._to_reset.discard(request)
        if is_reset:
            # No shutdown: it would end the stream as if all were well.
            request.close()
        else:
            super().shutdown_request(request)

    def reset_at_close(self, connection: socket.socket) -> None:
        """Whoever reads from it gets an error then, and no end."""
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with self._guard:
            self._to_reset.add(connection)

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections end in every way here: that is what they are for."""

    def cut_all(self) -> None:
        with self._guard:
            cut = list(self._open)
        for each in cut:
            self.reset_at_close(each)
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do(self) -> None:
        request = Request(method=self.command, target=self.path, headers=tuple(self.headers.items()))
        fault = self.server.proxy.strike(request)
        match fault:
            case BlackHole():
                self.server.proxy.wait_until_cleared()
                self._end(is_reset=False)
            case Reset(after_bytes=None):
                self._end(is_reset=True)
            case Refusal():
                for _ in self._body(None):
                    pass
                self._answer_empty(fault.status)
            case LateLanding():
                self.server.proxy.hold_back(request, self._headers(), b"".join(self._body(None)))
                if fault.status is None:
                    self._end(is_reset=False)
                else:
                    self._answer_empty(fault.status)
            case Instead():
                self._say(request, fault.say(request, b"".join(self._body(None))))
            case Twice():
                self._forward_twice(request)
            case _:
                self._forward(request, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = do

    def _forward(self, request: Request, fault: Fault | None) -> None:
        connection = http.client.HTTPConnection(*self.server.proxy.target, timeout=_UPSTREAM_TIMEOUT_S)
        with contextlib.closing(connection):
            try:
                send_head(connection, request, self._headers())
                for portion in self._body(fault):
                    connection.send(portion)
                answer = connection.getresponse()
            except (OSError, http.client.HTTPException):
                # The server is away: so it looks from here too.
                self._end(is_reset=True)
                return
            if isinstance(fault, ReplyLost):
                answer.read()
                self._end(is_reset=False)
                return
            if isinstance(fault, Latency):
                time.sleep(fault.seconds)
            self._relay(request, answer, fault)

    def _forward_twice(self, request: Request) -> None:
        body, answers = b"".join(self._body(None)), []
        for _ in range(2):
            connection = http.client.HTTPConnection(*self.server.proxy.target, timeout=_UPSTREAM_TIMEOUT_S)
            with contextlib.closing(connection):
                send_head(connection, request, self._headers())
                connection.send(body)
                answers.append(_held(connection.getresponse()))
        self._say(request, answers[1])

    def _say(self, request: Request, said: Said) -> None:
        self.send_response_only(said.status)
        for name, text in said.headers:
            self.send_header(name, text)
        if isinstance(said.body, bytes):
            self.send_header("Content-Length", str(len(said.body)))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if request.method == "HEAD" or said.status in (204, 304):
            return
        for portion in [said.body] if isinstance(said.body, bytes) else said.body:
            self.wfile.write(portion)

    def _relay(self, request: Request, answer: http.client.HTTPResponse, fault: Fault | None) -> None:
        if isinstance(fault, Altered):
            self._say(request, fault.change(request, _held(answer)))
            return
        length = answer.getheader("Content-Length")
        self.send_response_only(answer.status, answer.reason)
        for name, text in answer.getheaders():
            if name.lower() in ("connection", "transfer-encoding", "keep-alive"):
                continue
            if name.lower() == "content-length" and isinstance(fault, Truncate) and fault.is_clean:
                text = str(min(int(text), fault.after_bytes))
            if name.lower() == "etag" and isinstance(fault, LyingEtag):
                text = fault.etag
            self.send_header(name, text)
        has_body = request.method != "HEAD" and answer.status not in (204, 304)
        if has_body and length is None:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if not has_body:
            return
        at = 0
        while portion := answer.read(_PORTION_BYTES):
            portion = _flipped(portion, at, fault, in_request=False)
            end = fault.after_bytes if isinstance(fault, Truncate | Reset) else None
            if end is not None and at + len(portion) >= end:
                self.wfile.write(portion[: end - at])
                self._end(is_reset=isinstance(fault, Reset))
                return
            _pace(len(portion), fault)
            self.wfile.write(portion)
            at += len(portion)

    def _body(self, fault: Fault | None) -> "_Portions":
        if self.headers.get("Transfer-Encoding") is not None:
            raise AssertionError("bodies sent to an S3 server have a length")
        return _Portions(self, int(self.headers.get("Content-Length", "0")), fault)

    def _headers(self) -> list[tuple[str, str]]:
        # `Expect` was answered by the base class, which is nearer.
        return [
            (name, text)
            for name, text in self.headers.items()
            if name.lower() not in ("connection", "expect")
        ]

    def _answer_empty(self, status: int) -> None:
        self.send_response_only(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _end(self, *, is_reset: bool) -> None:
        self.close_connection = True
        if is_reset:
            self.server.reset_at_close(self.connection)
        else:
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_WR)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


class _Portions:
    """A request's body, portion by portion."""

    def __init__(self, connection: _Connection, size_bytes: int, fault: Fault | None) -> None:
        self._connection = connection
        self._left_bytes = size_bytes
        self._at = 0
        self._fault = fault

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if self._left_bytes == 0:
            raise StopIteration
        portion = self._connection.rfile.read1(min(_PORTION_BYTES, self._left_bytes))
        if not portion:
            raise ConnectionError("the client went away")
        self._left_bytes -= len(portion)
        _pace(len(portion), self._fault)
        portion, self._at = _flipped(portion, self._at, self._fault, in_request=True), self._at + len(portion)
        return portion


def send_head(
    connection: http.client.HTTPConnection, request: Request, headers: list[tuple[str, str]]
) -> None:
    """Ask as the client did, its `Host` included."""
    connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
    for name, text in headers:
        connection.putheader(name, text)
    connection.endheaders()


def _held(answer: http.client.HTTPResponse) -> Said:
    """All of it, without what concerns the connection alone."""
    hop = ("connection", "transfer-encoding", "keep-alive", "content-length")
    headers = tuple((name, text) for name, text in answer.getheaders() if name.lower() not in hop)
    return Said(status=answer.status, headers=headers, body=answer.read())


def _flipped(portion: bytes, at: int, fault: Fault | None, *, in_request: bool) -> bytes:
    if not isinstance(fault, BitFlip) or fault.in_request is not in_request:
        return portion
    if not at <= fault.offset < at + len(portion):
        return portion
    changed = bytearray(portion)
    changed[fault.offset - at] ^= 1
    return bytes(changed)


def _pace(size_bytes: int, fault: Fault | None) -> None:
    if isinstance(fault, Rate):
        time.sleep(size_bytes / fault.bytes_per_s)
