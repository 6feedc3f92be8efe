"""`serve` says in one plain line where it serves, once it does, and says what is in the way when it takes long."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pytest

from launcher.readiness import PATIENCE_S, Listening, Readiness
from tests.integration.launcher.programs import wait_until
from tests.support.served import Served

NOWHERE = Listening(s3=None, metrics=None, control=None, control_socket=None)


class Plane:
    """Answers `/-/ready` with a status and a body that a test may change."""

    def __init__(self) -> None:
        self.status = 503
        self.body = b'{"mode": "unavailable", "problem": "the database is away"}'
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, suppress(OSError):
                client.recv(4096)
                client.sendall(b"HTTP/1.1 %d X\r\nConnection: close\r\n\r\n%s" % (self.status, self.body))

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def plane() -> Iterator[Plane]:
    plane = Plane()
    yield plane
    plane.close()


def listening(**where: str) -> Listening:
    return Listening(**{**asdict(NOWHERE), **where})


def test_it_is_said_once_and_only_when_it_is_so(plane: Plane) -> None:
    said: list[str] = []
    readiness = Readiness(listening(s3=plane.address, metrics="127.0.0.1:9"), say=said.append)
    readiness.expect()
    readiness.look()
    assert (said, readiness.is_awaited) == ([], True)
    plane.status = 200

    readiness.look()
    readiness.look()

    assert said == [f"serving S3 at http://{plane.address}, metrics at http://127.0.0.1:9/metrics"]
    assert not readiness.is_awaited


def test_what_is_started_again_is_said_again(plane: Plane) -> None:
    plane.status = 200
    said: list[str] = []
    readiness = Readiness(listening(s3=plane.address), say=said.append)

    for _ in range(2):
        readiness.expect()
        readiness.look()

    assert len(said) == 2


def test_a_start_that_takes_long_says_once_what_is_in_the_way(plane: Plane) -> None:
    said: list[str] = []
    now_s = 0.0
    readiness = Readiness(listening(s3=plane.address), say=said.append, now_s=lambda: now_s)
    readiness.expect()
    now_s = PATIENCE_S

    readiness.look()
    readiness.look()

    assert said == [f"not serving yet after {PATIENCE_S:g} s: the database is away"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff"])
def test_an_answer_that_makes_no_sense_is_no_readiness(plane: Plane, body: bytes) -> None:
    plane.body = body
    readiness = Readiness(listening(s3=plane.address), say=lambda line: None)
    readiness.expect()

    readiness.look()

    assert readiness.is_awaited


@pytest.mark.parametrize("name", ["short", "long" * 40])
def test_a_control_plane_that_is_not_there_yet_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    path = folder / "admin.sock"
    said: list[str] = []
    readiness = Readiness(listening(control_socket=str(path)), say=said.append)
    readiness.expect()
    readiness.look()
    assert said == []
    with socket.socket(socket.AF_UNIX) as control:
        control.bind(path.name)
        control.listen()

        readiness.look()

    assert said == [f"serving the control API at unix:{path}"]


def test_a_control_plane_with_a_port_is_asked_there_whatever_became_of_its_socket(
    plane: Plane, tmp_path: Path
) -> None:
    said: list[str] = []
    there = listening(control=plane.address, control_socket=str(tmp_path / ("x" * 200)))
    readiness = Readiness(there, say=said.append)
    readiness.expect()

    readiness.look()

    assert said == [f"serving the control API at {plane.address}"]


def test_where_it_listens_comes_through_from_the_check_to_the_parent() -> None:
    there = listening(s3="[::1]:1", control="127.0.0.1:2")

    assert Listening.read(json.dumps(asdict(there))) == there


def test_serve_says_where_it_serves_in_one_line(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        told = served.credentials
        line = (
            f"penstock: serving S3 at {told.endpoint}, the control API at {told.control_address}, "
            f"metrics at {told.metrics_url}\n"
        )

        wait_until(lambda: line in served.log.read_text(), "the line that says where it serves")

        assert served.log.read_text().count("penstock: serving") == 1


def test_one_plane_alone_says_only_what_it_serves(tmp_path: Path) -> None:
    served = Served(tmp_path)
    command = [sys.executable, "-P", "-m", "launcher.main", "serve", "--config", str(served.config)]
    said = tmp_path / "said"
    with said.open("wb") as log:
        process = subprocess.Popen([*command, "--only", "controlplane"], stderr=log, stdout=log)
    try:
        line = f"penstock: serving the control API at {served.credentials.control_address}\n"

        wait_until(lambda: line in said.read_text(), "the line of the control plane")
    finally:
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(30) == 0
