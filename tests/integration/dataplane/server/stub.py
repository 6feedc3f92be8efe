"""A small application and raw clients for the server: what a test wants stands in the request's target."""

import errno
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from typing import Any, BinaryIO

from dataplane.server.certificates import Certificates
from dataplane.server.contract import HandOn, HeaderList, Lane
from dataplane.server.loop import Loop
from dataplane.server.parking import Parking
from dataplane.server.settings import ServerSettings
from dataplane.wire.long_answer import LongAnswer
from engine.settings.tls import TlsSettings
from engine.streams import FileRegion, WouldBlock

PATTERN = bytes(range(251)) * 4_200
REGION_BYTES = 256 * 1024
WAIT_S = 20.0

Handler = Callable[["StubApplication", dict[str, Any], dict[str, str]], tuple[int, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What `penstock.ended` was told about one request."""

    target: str
    status: int
    received_bytes: int
    sent_body_bytes: int
    is_whole: bool


class Regions:
    """A RegionSource over PATTERN, repeated: parts of a file or memory, waiting or failing where it is told to."""

    def __init__(
        self,
        size_bytes: int,
        *,
        file: BinaryIO | None = None,
        fails_at: int | None = None,
        ends_at: int | None = None,
        blocks: bool = False,
        failure: Exception | None = None,
        is_spare: bool = False,
    ) -> None:
        """`is_spare`: what the file does not give is in memory as well."""
        self.remaining_bytes = size_bytes
        self.unsent_errors: list[OSError | None] = []
        self._is_spare = is_spare
        self.close_count = 0
        self.blocked_count = 0
        self._at = 0
        self._file = file
        self._fails_at = fails_at
        self._ends_at = ends_at
        self._blocks = blocks
        self._failure = failure or RuntimeError("the backend is gone")

    def next_region(self, *, nowait: bool = False) -> FileRegion | memoryview | None:
        if self._blocks and nowait:
            self.blocked_count += 1
            raise WouldBlock
        if self._fails_at is not None and self._at >= self._fails_at:
            raise self._failure
        if self.remaining_bytes == 0 or (self._ends_at is not None and self._at >= self._ends_at):
            return None
        offset = self._at % len(PATTERN)
        length = min(REGION_BYTES, self.remaining_bytes, len(PATTERN) - offset)
        self._at += length
        self.remaining_bytes -= length
        if self._file is not None:
            return FileRegion(fd=self._file.fileno(), offset=offset, length=length)
        return memoryview(PATTERN)[offset : offset + length]

    def unsent(self, left_bytes: int, error: OSError | None, /) -> None:
        self.unsent_errors.append(error)
        if not self._is_spare:
            raise RuntimeError("there is no other copy")
        self._at -= left_bytes
        self.remaining_bytes += left_bytes
        self._file = None

    def close(self) -> None:
        self.close_count += 1


def pattern(size_bytes: int) -> bytes:
    return (PATTERN * (size_bytes // len(PATTERN) + 1))[:size_bytes]


class StubApplication:
    """Handlers by path; `lane=` in the query says where the server first runs it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.endings: Queue[Ending] = Queue()
        self.parking = Parking()
        self.spots: Queue[Any] = Queue()
        self.runs: list[tuple[str, Lane, str]] = []
        self.sources: list[Regions] = []
        self.reads: Queue[Any] = Queue()
        self.entered: Queue[str] = Queue()
        self.go_on = threading.Event()
        self.work: Future[str] = Future()
        self.is_draining = threading.Event()
        self.full: list[str] = []
        self.stalls: list[float] = []
        self.counts: list[int] = []
        self.environs: list[dict[str, Any]] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        target = environ["penstock.target"].decode()
        path, _, query = target.partition("?")
        options = dict(each.split("=") for each in query.split("&") if each.count("=") == 1)
        self.runs.append((target, environ["penstock.lane"], threading.current_thread().name))
        self.environs.append(environ)

        def ended(status: int, received_bytes: int, sent_body_bytes: int, is_whole: bool) -> None:
            self.endings.put(
                Ending(
                    target=target,
                    status=status,
                    received_bytes=received_bytes,
                    sent_body_bytes=sent_body_bytes,
                    is_whole=is_whole,
                )
            )
            if "ended" in options:
                raise RuntimeError("told to")

        environ["penstock.ended"] = ended
        handler = getattr(self, "on_" + path.strip("/"), self.on_missing)
        status, answer = handler(environ, options)
        headers = [("Content-Type", "text/plain")]
        if hasattr(answer, "next_region"):
            self.sources.append(answer)
            headers.append(("Content-Length", str(answer.remaining_bytes)))
            start_response(f"{status} OK", headers)
            return answer  # type: ignore[no-any-return]
        start_response(f"{status} OK", headers)
        return [answer]

    def classify(self, method: str, target: bytes, headers: HeaderList, content_length: int | None) -> Lane:
        for lane in Lane:
            if f"lane={lane.value}".encode() in target:
                return lane
        return Lane.INLINE

    def refuse(self, code: str, status: int, message: str) -> tuple[list[tuple[str, str]], bytes]:
        document = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        return [("Content-Type", "application/xml")], document.encode()

    def draining(self) -> None:
        self.is_draining.set()

    @property
    def observer(self) -> "StubApplication":
        return self

    def stalled(self, seconds: float) -> None:
        self.stalls.append(seconds)

    def pool_full(self, pool: str) -> None:
        self.full.append(pool)

    def connections(self, count: int) -> None:
        self.counts.append(count)

    # Handlers.

    def on_hello(self, environ: dict[str, Any], options: dict[str, str]) -> tuple[int, Any]:
        return 200, f"hello {options.get('n', '')}".encode()

    def on_missing(self, environ: dict[str, Any], options: dict[str, str]) -> tuple[int, Any]:
        return 404, b""

    def on_empty(self, environ: dict[str, Any], options: dict[str, str]) -> tuple[int, Any]:
        return 204, b""

    def on_echo(self, environ: dict[str, Any], options: dict[str, str]) -> tuple[int, Any]:
        body, read = environ["wsgi.input"], bytearray()
        buffer = memoryview(bytearray(int(options.get("buffer", "1000"))))
        try:
            while count := body.readinto(buffer):
                read += buffer[:count]
        except Exception as error:
            self.reads.put(error)
            raise
        self.reads.put(bytes(read))
        return 200, bytes(read)

    def on_some(self, environ: dict[str, Any], options: dict[str, str]) -> tuple[int, Any]:
        return 200, bytes(environ["wsgi.input"].read(int(options["count"])))

    def on_early(self, environ: dict[str, Any], options: dict[str, str]) -> tuple[int, Any]:
        return 403, b"no"

    def on_handon(self, environ: dict[str, Any], options: dict[str, str]) -> tuple[int, Any]:
        if environ["penstock.lane"] is Lane.INLINE:
            raise HandOn(Lane(options["to"]))
        return 200, environ["penstock.lane"].value.encode()

    def on_raise(self, environ: dict[str, Any], options: dict[str, str]) -> tuple[int, Any]:
        raise RuntimeError("told to")

    def on_park(self, environ: dict[str, Any], options: dict[str, str]) -> tuple[int, Any]:
        """Set aside until a test wakes its spot; says whether it was woken, and the body it had read before."""
        content = environ["wsgi.input"].read()
        spot = self.parking.current()
        if spot is None:
            return 200, b"not parked"
        self.spots.put(spot)
        woken = spot.park(float(options.get("s", "60")))
        return 200, b"%r %s" % (woken, content)

    def on_wait(self, environ: dict[str, Any], options: dict[str, str]) -> tuple[int, Any]:
        self.entered.put(options.get("n", ""))
        assert self.go_on.wait(WAIT_S)
        return 200, b"waited"

    def on_regions(self, environ: dict[str, Any], options: dict[str, str]) -> tuple[int, Any]:
        return 200, Regions(
            int(options["size"]),
            file=self.file if options.get("kind", "file") == "file" else None,
            fails_at=int(options["fails"]) if "fails" in options else None,
            ends_at=int(options["ends"]) if "ends" in options else None,
            blocks="blocks" in options,
            failure=OSError(errno.EIO, "the disk is gone") if "disk" in options else None,
            is_spare="spare" in options,
        )

    def on_long(self, environ: dict[str, Any], options: dict[str, str]) -> tuple[int, Any]:
        """Work that goes on until a test gives its result."""
        return 200, LongAnswer(
            self.work,
            document=lambda result: f"<Done>{result}</Done>".encode(),
            failure=lambda error: b"<Error/>",
            room_bytes=100,
            interval_s=float(options["interval"]),
            wait_max_s=WAIT_S,
        )

    def ending(self) -> Ending:
        return self.endings.get(timeout=WAIT_S)


@dataclass(slots=True)
class Answer:
    """A response as it came."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    is_whole: bool = True


class Client:
    """A raw connection that reads one response after the other."""

    def __init__(
        self,
        address: tuple[str, int],
        *,
        receive_buffer_bytes: int | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.tls = tls
        self.sock = socket.socket()
        if receive_buffer_bytes is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.sock.settimeout(WAIT_S)
        try:
            self.sock.connect(address)
        except OSError:
            self.sock.close()
            raise
        if tls is not None:
            self.sock = tls.wrap_socket(self.sock, server_hostname=address[0])
        self._file = self.sock.makefile("rb")

    def send(self, raw: bytes) -> None:
        self.sock.sendall(raw)

    def end_sending(self) -> None:
        """Half-close, of the connection alone: what TLS would say of its end is not sent."""
        socket.socket.shutdown(self.sock, socket.SHUT_WR)

    def is_silent(self, timeout_s: float) -> bool:
        """Whether nothing comes for so long; what comes in the end stays for `answer`."""
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
            return False
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return not poll.poll(timeout_s * 1000)

    def get(self, target: str, *headers: str) -> Answer:
        self.send(request("GET", target, *headers))
        return self.answer()

    def head(self) -> Answer:
        line = self._file.readline()
        if not line:
            raise EOFError
        headers = {}
        while (each := self._file.readline()) not in (b"\r\n", b""):
            name, _, value = each.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        return Answer(int(line.split()[1]), headers)

    def answer(self, *, is_head: bool = False) -> Answer:
        answer = self.head()
        if answer.status != 100 and not is_head:
            wanted = int(answer.headers.get("content-length", "0"))
            try:
                answer.body = self._file.read(wanted)
            except ConnectionResetError:
                answer.is_whole = False
            answer.is_whole = answer.is_whole and len(answer.body) == wanted
        return answer

    def rest(self) -> bytes:
        """Everything until the server closes."""
        return self._file.read()

    def is_at_end(self) -> bool:
        """Whether the server closes, or has closed, with nothing more to read."""
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self._file.close()
        self.sock.close()


def request(method: str, target: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: a", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


@dataclass(slots=True, kw_only=True)
class Running:
    """A loop in a thread, and what a test needs to talk to it."""

    application: StubApplication
    loop: Loop
    thread: threading.Thread
    address: tuple[str, int]
    tls: ssl.SSLContext | None = None
    """What clients speak, null for plain HTTP."""

    clients: list[Client] = field(default_factory=list)

    def client(self, *, receive_buffer_bytes: int | None = None) -> Client:
        client = self.new_client(receive_buffer_bytes=receive_buffer_bytes)
        self.clients.append(client)
        return client

    def new_client(self, *, receive_buffer_bytes: int | None = None) -> Client:
        """One that the test closes."""
        return Client(self.address, receive_buffer_bytes=receive_buffer_bytes, tls=self.tls)

    def get(self, target: str, *headers: str) -> Answer:
        return self.client().get(target, *headers)

    def stop(self, timeout_s: float = 0.0) -> None:
        self.loop.stop(timeout_s)
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive()


@contextmanager
def running(
    folder: Path, settings: ServerSettings, *, tls: TlsSettings | None = None, ca: Path | None = None
) -> Iterator[Running]:
    """Serve plain HTTP, or with `tls`, to clients that trust `ca`."""
    path = folder / "pattern"
    path.write_bytes(PATTERN)
    with path.open("rb") as file, socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        application = StubApplication(file)
        loop = Loop(
            [listener],
            application,
            settings,
            application,
            parking=application.parking,
            certificates=None if tls is None else {0: Certificates(tls)},
        )
        thread = threading.Thread(target=loop.run)
        thread.start()
        server = Running(
            application=application,
            loop=loop,
            thread=thread,
            address=listener.getsockname()[:2],
            tls=None if ca is None else ssl.create_default_context(cafile=ca),
        )
        try:
            yield server
        finally:
            application.go_on.set()
            server.stop()
            for client in server.clients:
                client.close()


def eventually(claim: Callable[[], bool]) -> None:
    """Wait until it holds, for what no event tells."""
    deadline_s = time.monotonic() + WAIT_S
    while not claim():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)
