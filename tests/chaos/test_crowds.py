"""Crowds cost what they may: a little memory each, descriptors only while they are there, and nobody else's time.

`PENSTOCK_SLOW=500` runs the long form: 5,000 idle connections, and 200 uploads of 64 MiB at 1 MiB/s each.
"""

import hashlib
import os
import resource
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.s3.wire import UNSIGNED, Wire
from tests.support.certificates import Authority
from tests.support.raw_http import Connection, request_bytes
from tests.support.served import Served

LONG = os.environ.get("PENSTOCK_SLOW")
IDLE_COUNT = 5000 if LONG else 500
IDLE_BYTES_MAX = 32 * 1024
UPLOAD_COUNT, UPLOAD_MIB = (200, 64) if LONG else (40, 3)
UPLOAD_MEMORY_BYTES_MAX = 4 * 1024**2
P99_MAX_S = 0.2
MIB = 1024**2
STEPS_PER_S = 8
BUCKET = "crowds"

pytestmark = pytest.mark.timeout(400 if LONG else 90)


@pytest.fixture(params=["plain", "TLS"])
def served(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Served]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    more = "\nprocesses: {dataplane: 2}\n\nidentities:\n"
    made = Served(tmp_path, volumes=1, edit_config=lambda text: text.replace("\nidentities:\n", more))
    if request.param == "TLS":
        authority = Authority(tmp_path / "certificates")
        made.speak_tls(authority.issue("server"), authority.ca)
    with made:
        made.client().create_bucket(Bucket=BUCKET)
        yield made


def open_files(served: Served) -> int:
    return sum(
        len(os.listdir(f"/proc/{pid}/fd"))
        for pid, command in served.processes().items()
        if "dataplane" in command
    )


def memory_bytes(served: Served) -> int:
    return sum(served.rss_bytes("dataplane").values())


def p99_s(s3: Any) -> float:
    taken = []
    for _ in range(300):
        started_s = time.monotonic()
        s3.get_object(Bucket=BUCKET, Key="good")["Body"].read()
        taken.append(time.monotonic() - started_s)
    return sorted(taken)[297]


def test_idle_connections_cost_little_and_hold_up_nobody(served: Served) -> None:
    s3 = served.client()
    s3.put_object(Bucket=BUCKET, Key="good", Body=b"g" * 1000)
    calm_s = p99_s(s3)
    files_before, memory_before = open_files(served), memory_bytes(served)
    host, _, port = served.credentials.endpoint.partition("//")[2].rpartition(":")
    context = ssl.create_default_context(cafile=served.ca) if served.ca is not None else None
    crowd: list[socket.socket] = []
    try:
        for _ in range(IDLE_COUNT):
            each = socket.create_connection((host, int(port)), timeout=20)
            if context is not None:
                each = context.wrap_socket(each, server_hostname=host)
            crowd.append(each)
            each.sendall(b"GET /-/live HTTP/1.1\r\nHost: a\r\n\r\n")
            assert each.recv(4096).startswith(b"HTTP/1.1 200 ")

        assert open_files(served) >= files_before + IDLE_COUNT
        assert (memory_bytes(served) - memory_before) / IDLE_COUNT < IDLE_BYTES_MAX
        assert p99_s(s3) < max(P99_MAX_S, 3 * calm_s)
    finally:
        for each in crowd:
            each.close()
    _wait_for_files(served, files_before)


@pytest.mark.parametrize("served", ["plain"], indirect=True)
def test_uploads_that_take_their_time_take_little_memory_each(served: Served) -> None:
    wire = Wire.of(served)
    s3 = served.client()
    s3.put_object(Bucket=BUCKET, Key="good", Body=b"g" * 1000)
    p99_s(s3)
    memory_before = peak_bytes = memory_bytes(served)
    step = os.urandom(MIB // STEPS_PER_S)
    size_bytes = UPLOAD_MIB * MIB
    wanted = f'"{hashlib.md5(step * (UPLOAD_MIB * STEPS_PER_S)).hexdigest()}"'
    crowd = []
    try:
        for number in range(UPLOAD_COUNT):
            target = f"/{BUCKET}/upload/{number}"
            head = wire.headers("PUT", target, payload=UNSIGNED, length=size_bytes)
            crowd.append(Connection(wire.address, timeout_s=60))
            crowd[-1].send(request_bytes("PUT", target, head))

        next_s = time.monotonic()
        for _ in range(UPLOAD_MIB * STEPS_PER_S):
            for connection in crowd:
                connection.send(step)
            peak_bytes = max(peak_bytes, memory_bytes(served))
            next_s += 1 / STEPS_PER_S
            time.sleep(max(0.0, next_s - time.monotonic()))

        answers = [connection.answer("PUT") for connection in crowd]
        assert {(*answer.said, answer.header("etag")) for answer in answers} == {(200, "", wanted)}
    finally:
        for connection in crowd:
            connection.close()
    assert (peak_bytes - memory_before) / UPLOAD_COUNT < UPLOAD_MEMORY_BYTES_MAX


def _wait_for_files(served: Served, count: int) -> None:
    """Some come and go with the database and the volumes."""
    deadline_s = time.monotonic() + 20
    while (found := open_files(served)) > count + 20:
        assert time.monotonic() < deadline_s, (found, count)
        time.sleep(0.1)
