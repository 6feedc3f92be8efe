"""A store that answers what a test says, request after request, and can do to a connection what real ones do."""

import socket
import threading
import time
from dataclasses import dataclass, field
from typing import BinaryIO, Self

from engine.backends.s3.place import S3Place


@dataclass(kw_only=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


HANG_UP = b""
"""As an answer: the connection ends without one."""


@dataclass
class ScriptedStore:
    """Takes its steps in order, over as many connections as come. One that ends with HANG_UP is closed."""

    steps: list[bytes] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    connection_count: int = 0
    closes_after: set[int] = field(default_factory=set)
    """Numbers of the steps, from 0, after which the connection is closed without a word."""
    delays_s: dict[int, float] = field(default_factory=dict)
    """How long an answer of that number waits."""
    drip_s: float = 0.0
    """Pause behind every byte of an answer; 0: it is sent at once."""
    refuses_at_once: bytes | None = None
    """An answer that is given when the head of a request has come, its body not read."""

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            # A test stopped it already.
            pass
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    @property
    def place(self) -> S3Place:
        return S3Place(
            endpoint=f"http://127.0.0.1:{self._listener.getsockname()[1]}",
            region="us-east-1",
            bucket="pieces",
            access_key_id="AKIDEXAMPLE",
            secret_access_key="a-secret-of-tests",
        )

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connection_count += 1
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(5)
        with sock, sock.makefile("rb") as reader:
            while True:
                try:
                    asked = self._read_request(sock, reader)
                except OSError:
                    return
                if asked is None:
                    return
                with self._lock:
                    number = len(self.asked)
                    self.asked.append(asked)
                    step = self.steps[number] if number < len(self.steps) else HANG_UP
                if step == HANG_UP:
                    return
                time.sleep(self.delays_s.get(number, 0.0))
                try:
                    self._send(sock, step)
                except OSError:
                    return
                if number in self.closes_after:
                    return

    def _send(self, sock: socket.socket, step: bytes) -> None:
        if not self.drip_s:
            sock.sendall(step)
            return
        for byte in step:
            sock.sendall(bytes([byte]))
            time.sleep(self.drip_s)

    def _read_request(self, sock: socket.socket, reader: BinaryIO) -> Asked | None:
        line = reader.readline()
        if not line:
            return None
        method, path, _ = line.decode().split(" ", 2)
        headers = {}
        while (header := reader.readline().strip()) != b"":
            name, _, value = header.decode().partition(": ")
            headers[name] = value
        if self.refuses_at_once is not None:
            sock.sendall(self.refuses_at_once)
            # What was sent is read away, or closing would take the answer back.
            sock.shutdown(socket.SHUT_WR)
            while reader.read(65536):
                pass
            return None
        body = reader.read(int(headers.get("content-length", "0")))
        return Asked(method=method, path=path, headers=headers, body=body)


def answer(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    """A whole answer; underscores in names of headers stand for dashes."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n{lines}\r\n".encode() + body


def error(status: int, code: str) -> bytes:
    """An error of S3's kind."""
    return answer(status, f"<Error><Code>{code}</Code><Message>said so</Message></Error>".encode())


def part(whole: bytes, start: int, stop: int) -> bytes:
    """A range of an object."""
    return answer(206, whole[start:stop], content_range=f"bytes {start}-{stop - 1}/{len(whole)}")
