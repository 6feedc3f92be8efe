"""wrk as the load, nginx as the yardstick, and the kernel's own account of what a request cost."""

import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request of a load; a body is filled with `x`."""

    method: str
    path: str
    headers: dict[str, str]
    body_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What one load measured. `cpu_us` is processor time of the server a request."""

    requests_per_s: float
    p99_ms: float
    cpu_us: float
    errors: int
    bytes_per_s: float


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time the processes have used so far."""
    total = 0.0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += (int(fields[11]) + int(fields[12])) * _TICK_S
    return total


def wrk(
    base_url: str,
    requests: Sequence[Request],
    pids: Callable[[], Iterable[int]],
    *,
    connections: int,
    duration_s: int = 8,
) -> Figure:
    """Send the requests round and round over `connections` connections."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_script(requests, host=urlsplit(base_url).netloc))
        script.flush()
        before_s = cpu_seconds(pids())
        out = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{duration_s}s", "--latency", "-s", script.name, base_url],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        used_s = cpu_seconds(pids()) - before_s
    count = int(_find(r"(\d+) requests in", out))
    non_2xx = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    socket_errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
    errors = int(non_2xx[1]) if non_2xx else 0
    errors += sum(map(int, socket_errors.groups())) if socket_errors else 0
    return Figure(
        requests_per_s=float(_find(r"Requests/sec:\s+([\d.]+)", out)),
        p99_ms=_milliseconds(_find(r"99%\s+([\d.]+\w+)", out)),
        cpu_us=used_s / max(count, 1) * 1e6,
        errors=errors,
        bytes_per_s=_bytes(_find(r"Transfer/sec:\s+([\d.]+\w+)", out)),
    )


def bodiless(
    base_url: str,
    requests: Sequence[Request],
    pids: Callable[[], Iterable[int]],
    *,
    connections: int,
    duration_s: int = 8,
) -> Figure:
    """As `wrk`, for HEAD, whose answers wrk never sees end: a request on each connection, then all the answers."""
    place = urlsplit(base_url)
    raw = [_raw(each, place.netloc) for each in requests]
    sockets = [socket.create_connection((place.hostname, place.port)) for _ in range(connections)]
    took_s: list[float] = []
    errors = number = 0
    before_s, started_s = cpu_seconds(pids()), time.monotonic()
    while time.monotonic() - started_s < duration_s:
        sent_s = []
        for each in sockets:
            sent_s.append(time.monotonic())
            each.sendall(raw[number % len(raw)])
            number += 1
        for each, sent in zip(sockets, sent_s, strict=True):
            answer = each.recv(65536)
            took_s.append(time.monotonic() - sent)
            errors += not (answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"\r\n\r\n"))
    elapsed_s, used_s = time.monotonic() - started_s, cpu_seconds(pids()) - before_s
    for each in sockets:
        each.close()
    return Figure(
        requests_per_s=number / elapsed_s,
        p99_ms=sorted(took_s)[len(took_s) * 99 // 100] * 1000,
        cpu_us=used_s / number * 1e6,
        errors=errors,
        bytes_per_s=0.0,
    )


def _raw(request: Request, host: str) -> bytes:
    lines = [f"{request.method} {request.path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


@contextmanager
def nginx(root: Path, *, proxied: str | None = None) -> Iterator[tuple[str, Callable[[], list[int]]]]:
    """A static nginx over a folder: its URL and the process ids of its workers. `proxied` is passed everything to."""
    from tests.support.ports import free_ports

    location = ""
    if proxied is not None:
        # Kept connections and no spooling: as it would be set up before a store.
        location = (
            f"location / {{ proxy_pass {proxied}; proxy_http_version 1.1; proxy_set_header Connection '';"
            " proxy_set_header Host $http_host; proxy_request_buffering off; proxy_max_temp_file_size 0;"
            " proxy_buffer_size 64k; proxy_buffers 8 256k; proxy_busy_buffers_size 512k; client_max_body_size 0; }"
        )
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "nginx.conf")
        config.write_text(
            f"daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1; user root;\n"
            "events { worker_connections 1024; }\n"
            f"http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;\n"
            f" client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};\n"
            f" uwsgi_temp_path {folder}; scgi_temp_path {folder};\n"
            f" server {{ listen 127.0.0.1:{port}; root {root}; {location} }} }}\n"
        )
        process = subprocess.Popen(["nginx", "-c", str(config), "-p", folder])
        try:
            time.sleep(0.5)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            yield f"http://127.0.0.1:{port}", lambda: [int(pid) for pid in children.read_text().split()]
        finally:
            process.terminate()
            process.wait(10)


def _script(requests: Sequence[Request], *, host: str) -> str:
    lines = ["local requests = {}"]
    for index, request in enumerate(requests, start=1):
        named = {"Host": host, **request.headers}
        headers = ", ".join(f'["{name}"]="{value}"' for name, value in named.items())
        body = f'string.rep("x", {request.body_bytes})' if request.body_bytes else "nil"
        lines.append(
            f'requests[{index}] = wrk.format("{request.method}", "{request.path}", {{{headers}}}, {body})'
        )
    lines += [
        "local next = 0",
        "request = function()",
        "  next = next % #requests + 1",
        "  return requests[next]",
        "end",
    ]
    return "\n".join(lines)


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"wrk printed no {pattern!r}:\n{text}")
    return found[1]


def _milliseconds(text: str) -> float:
    for unit, factor in (("us", 0.001), ("ms", 1.0), ("s", 1000.0), ("m", 60_000.0)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise ValueError(text)


def _bytes(text: str) -> float:
    for unit, factor in (("KB", 2**10), ("MB", 2**20), ("GB", 2**30), ("B", 1)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise ValueError(text)
