"""Under gunicorn's arbiter: every socket is served, signals mean what gunicorn says, nobody outlives the arbiter."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.dataplane.server.stub import PATTERN, Client, eventually, pattern, request

EXIT_TIMEOUT_S = 20.0
Start = Callable[..., "Arbiter"]


class Arbiter:
    """The arbiter's process, and the sockets it was given."""

    def __init__(
        self, folder: Path, *, listener_count: int, failure: str, options: dict[str, object]
    ) -> None:
        self.folder = folder
        (folder / "pattern").write_bytes(PATTERN)
        listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(listener_count)]
        self.addresses = [each.getsockname() for each in listeners]
        fds = [each.fileno() for each in listeners]
        given = {
            "bind": [f"fd://{fd}" for fd in fds],
            "worker_class": "dataplane.server.worker.StreamingWorker",
            "control_socket_disable": True,
            "graceful_timeout": 20,
            **options,
        }
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.integration.dataplane.server.arbiter",
                    folder,
                    failure,
                    json.dumps(given),
                ],
                pass_fds=fds,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        for each in listeners:
            each.close()
        self._clients: list[Client] = []

    def client(self, index: int = 0) -> Client:
        client = Client(self.addresses[index])
        self._clients.append(client)
        return client

    def pid(self, index: int = 0) -> int:
        """The process that answers."""
        pid, listener = self.client(index).get("/pid").body.split()
        assert int(listener) == index
        return int(pid)

    def has_marked(self, what: str) -> bool:
        return any(self.folder.glob(f"{what}.*"))

    def exit_status(self) -> int:
        return self.process.wait(EXIT_TIMEOUT_S)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for client in self._clients:
            client.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def start_one(*, listener_count: int = 1, failure: str = "", **options: object) -> Arbiter:
            arbiter = Arbiter(tmp_path, listener_count=listener_count, failure=failure, options=options)
            stack.callback(arbiter.close)
            return arbiter

        yield start_one


def test_every_listening_socket_is_served_by_every_process(start: Start) -> None:
    arbiter = start(listener_count=2, workers=2)

    pids = [arbiter.pid(index) for index in (0, 1)]
    os.kill(pids[0], signal.SIGSTOP)
    try:
        others = {arbiter.pid(index) for index in (0, 1) for _ in range(4)}
    finally:
        os.kill(pids[0], signal.SIGCONT)

    assert len(others) == 1
    assert pids[0] not in others


@pytest.mark.parametrize("begun", ["upload", "download"])
def test_sigterm_finishes_what_runs(start: Start, begun: str) -> None:
    arbiter = start(workers=1)
    idle, client = arbiter.client(), arbiter.client()
    assert idle.get("/hello").status == 200
    if begun == "upload":
        client.send(request("PUT", "/echo?lane=streaming", "Content-Length: 100000", "Expect: 100-continue"))
        assert client.answer().status == 100
    else:
        client.send(request("GET", "/regions?size=50000000&lane=streaming"))
        assert client.head().status == 200

    arbiter.process.terminate()

    assert idle.is_at_end()
    eventually(lambda: arbiter.has_marked("draining"))
    if begun == "upload":
        client.send(pattern(100_000))
        answer = client.answer()
        assert (answer.body, answer.headers["connection"]) == (pattern(100_000), "close")
        assert client.is_at_end()
    else:
        assert len(client.rest()) == 50_000_000
    assert arbiter.exit_status() == 0
    assert arbiter.has_marked("closed")
    with pytest.raises(ConnectionError):
        arbiter.client()


def test_sigterm_cuts_what_outlasts_the_grace(start: Start) -> None:
    arbiter = start(workers=1, graceful_timeout=2)
    client = arbiter.client()
    client.send(request("PUT", "/echo?lane=streaming", "Content-Length: 100000", "Expect: 100-continue"))
    assert client.answer().status == 100

    arbiter.process.terminate()

    assert client.is_at_end()
    assert arbiter.exit_status() == 0
    assert arbiter.has_marked("closed"), "the application ends in order although a client does not"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGQUIT])
def test_a_quick_stop_waits_for_nobody(start: Start, sent: signal.Signals) -> None:
    arbiter = start(workers=1)
    client = arbiter.client()
    client.send(request("PUT", "/echo?lane=streaming", "Content-Length: 100000", "Expect: 100-continue"))
    assert client.answer().status == 100

    arbiter.process.send_signal(sent)

    assert client.is_at_end()
    assert arbiter.exit_status() == 0
    assert arbiter.has_marked("closed")


def test_the_death_of_the_arbiter_ends_its_workers(start: Start) -> None:
    arbiter = start(workers=1)
    pid = arbiter.pid()

    arbiter.process.kill()
    arbiter.process.wait()

    eventually(lambda: arbiter.has_marked("closed"))
    eventually(lambda: not _runs(pid))


def test_a_reload_serves_on(start: Start) -> None:
    arbiter = start(workers=1)
    before = arbiter.pid()

    arbiter.process.send_signal(signal.SIGHUP)

    # Each of these is answered, by the old process or the new one.
    eventually(lambda: arbiter.pid() != before)
    eventually(lambda: not _runs(before))


@pytest.mark.parametrize("failure", ["raises", "exits"])
def test_a_factory_that_fails_ends_the_arbiter(start: Start, failure: str) -> None:
    arbiter = start(workers=1, failure=failure)

    assert arbiter.exit_status() == 3


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
