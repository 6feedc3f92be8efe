"""An S3 server for crowds of large objects that all have one payload: it keeps that once, and of each object its tail.

`python -m tests.support.one_body_store PORT SIZE BLOCK`: the payload is the file BLOCK, again and again, of SIZE bytes.
It takes everybody for a friend and checks nothing: who reads back verifies.
"""

import contextlib
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from engine.backends.s3.place import S3Place
from tests.support.ports import free_ports
from tests.support.s3_stores import wait_until_it_listens

_PORTION_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=([0-9]+)-([0-9]+)")


class OneBodyStore:
    """The server in a process of its own, from `with` to its end."""

    def __init__(self, block: Path, size_bytes: int) -> None:
        self._block = block
        self._size_bytes = size_bytes
        (self._port,) = free_ports(1)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.support.one_body_store",
                str(self._port),
                str(self._size_bytes),
                self._block,
            ]
        )
        wait_until_it_listens(self._port)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(10)

    @property
    def place(self) -> S3Place:
        return S3Place(
            endpoint=f"http://127.0.0.1:{self._port}",
            region="us-east-1",
            bucket="one-body",
            access_key_id="AKIDEXAMPLE",
            secret_access_key="a-secret-of-tests",
        )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port: int, size_bytes: int, block: bytes) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.size_bytes = size_bytes
        self.block = memoryview(block)
        self.tails: dict[str, bytes] = {}
        self.small: dict[str, bytes] = {}

    def handle_error(self, request: object, client_address: object) -> None:
        """Who hangs up has had enough."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_PUT(self) -> None:
        left, kept = int(self.headers["Content-Length"]), bytearray()
        is_small, skipped = left < self.server.size_bytes, 0
        buffer = memoryview(bytearray(_PORTION_BYTES))
        while left > 0:
            count = self.rfile.readinto(buffer[: min(left, _PORTION_BYTES)])
            if not count:
                return
            left -= count
            ahead = 0 if is_small else min(count, self.server.size_bytes - skipped)
            skipped += ahead
            kept += buffer[ahead:count]
        (self.server.small if is_small else self.server.tails)[self.path] = bytes(kept)
        self._answer(200, b"")

    def do_GET(self) -> None:
        if "list-type=" in self.path:
            self._answer(200, b"<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>")
        elif self.path in self.server.small:
            self._send_small(self.server.small[self.path])
        elif self.path in self.server.tails:
            self._send_part(self.server.tails[self.path])
        else:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    def do_DELETE(self) -> None:
        self.server.tails.pop(self.path, None)
        self._answer(204, b"")

    def _send_small(self, body: bytes) -> None:
        found = _RANGE.fullmatch(self.headers.get("Range", ""))
        if found is None:
            self._answer(200, body)
            return
        start, stop = int(found[1]), min(int(found[2]) + 1, len(body))
        self.send_response_only(206)
        self.send_header("Content-Length", str(stop - start))
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(body)}")
        self.end_headers()
        self.wfile.write(body[start:stop])

    def _send_part(self, tail: bytes) -> None:
        found = _RANGE.fullmatch(self.headers.get("Range", ""))
        whole = self.server.size_bytes + len(tail)
        start, stop = (int(found[1]), min(int(found[2]) + 1, whole)) if found else (0, whole)
        self.send_response_only(206)
        self.send_header("Content-Length", str(stop - start))
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{whole}")
        self.end_headers()
        block = self.server.block
        while start < min(stop, self.server.size_bytes):
            at = start % len(block)
            part = block[at : at + min(_PORTION_BYTES, stop - start, self.server.size_bytes - start)]
            self.wfile.write(part)
            start += len(part)
        if start < stop:
            self.wfile.write(tail[start - self.server.size_bytes : stop - self.server.size_bytes])

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response_only(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        _Server(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]).read_bytes()).serve_forever()
