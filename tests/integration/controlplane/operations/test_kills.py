"""Control planes killed, put to sleep or cut off in the middle: another one goes on, and nothing counts twice."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from engine.deployment.opening import OpenDeployment, open_deployment
from engine.metadata.operations import OperationState
from tests.integration.controlplane.operations.counting_plane import hold_file
from tests.integration.controlplane.operations.works import begin, look
from tests.support.control import wait_until, write_config
from tests.support.engines import ENGINES
from tests.support.metadata import run_sql
from tests.support.postgres import PostgresServer, running_server, shared_server, with_database

WAIT_S = 30
TO = 30
PROGRAM = "tests.integration.controlplane.operations.counting_plane"


class Site:
    """One deployment, and the control planes that run over it."""

    def __init__(self, folder: Path, server: PostgresServer | None, database: str) -> None:
        self.log = folder / "counted"
        self.log.touch()
        self._folder = folder
        self._server = server
        self._database = database
        self._config = self._config_of("first")
        self._processes: list[subprocess.Popen[bytes]] = []
        self.deployment: OpenDeployment = open_deployment(self._config, {}, plane="dataplane", version="1")

    def start(self, instance: str = "first") -> subprocess.Popen[bytes]:
        """A control plane; of each name one at a time."""
        with (self._folder / f"{instance}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *self._program(self._config_of(instance))],
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        self._processes.append(process)
        return process

    @property
    def is_shared(self) -> bool:
        """Whether several instances may run over it at once."""
        return self._server is not None

    def counted(self) -> list[int]:
        return [int(line.split()[0]) for line in self.log.read_text().splitlines()]

    def counted_by(self, process: subprocess.Popen[bytes]) -> list[int]:
        lines = [line.split() for line in self.log.read_text().splitlines()]
        return [int(number) for number, pid in lines if int(pid) == process.pid]

    def hold(self, number: int) -> None:
        """The step of that number waits before it writes."""
        hold_file(self.log, number).touch()

    def let_go(self, number: int) -> None:
        hold_file(self.log, number).unlink()

    def begin(self) -> str:
        return begin(self.deployment.store, TO)

    def wait_for(self, number: int) -> None:
        wait_until(lambda: number in self.counted(), f"the step of {number}")

    def end_leases(self) -> None:
        """As if so much time had passed."""
        run_sql(self.deployment.store, "UPDATE worker_leases SET expires_at_us = 1")

    def wait_for_end(self, name: str) -> None:
        wait_until(lambda: look(self.deployment.store, name).state.is_final, "the end of the operation")

    def said(self, instance: str) -> str:
        return (self._folder / f"{instance}.log").read_text()

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait(WAIT_S)
        self.deployment.close()

    def _program(self, config: Path) -> list[str]:
        return ["-m", PROGRAM, str(config), str(self.log)]

    def _config_of(self, instance: str) -> Path:
        config = self._folder / f"{instance}.yaml"
        if not config.exists():
            text = (
                write_config(self._folder).read_text().replace("state_dir: state", f"state_dir: {instance}")
            )
            if self._server is not None:
                text = text.replace("database: {path: metadata.sqlite}", "database:\n  path: metadata.sqlite")
                text = with_database(text, self._server, self._database, max_conns=12)
            config.write_text(text)
        return config


AnySite = TypeVar("AnySite", bound=Site)


@contextmanager
def site_on(
    engine: str, folder: Path, make: Callable[[Path, PostgresServer | None, str], AnySite]
) -> Iterator[AnySite]:
    """A site over a database of its own, closed at the end."""
    with ExitStack() as stack:
        server, database = None, ""
        if engine == "postgres":
            server = shared_server()
            database = server.create_empty_database()
            stack.callback(server.drop_database, database)
        made = make(folder, server, database)
        stack.callback(made.close)
        yield made


@pytest.fixture(params=ENGINES)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    with site_on(request.param, tmp_path, Site) as made:
        yield made


def test_what_a_killed_process_left_is_gone_on_with_from_its_last_step(site: Site) -> None:
    name = site.begin()
    killed_at = (7, 8, 20)
    processes = []
    for number in killed_at:
        site.hold(number)
        process = site.start()
        site.wait_for(number)
        process.kill()
        process.wait(WAIT_S)
        processes.append(process)
        site.let_go(number)
        assert look(site.deployment.store, name).cursor == str(number - 1)
        site.end_leases()

    site.start()
    site.wait_for_end(name)

    row = look(site.deployment.store, name)
    assert row.state is OperationState.SUCCEEDED
    assert (row.progress.done_count, row.progress.total_count) == (TO, TO)
    counts = Counter(site.counted())
    # Only the steps whose end was not stored are repeated.
    assert {number: count for number, count in counts.items() if count > 1} == dict.fromkeys(killed_at, 2)
    assert sorted(counts) == list(range(1, TO + 1))


def test_who_starts_again_does_not_wait_for_the_lease_of_the_one_that_was_killed(site: Site) -> None:
    name = site.begin()
    site.hold(3)
    site.start().kill()
    first = site.start()
    site.wait_for(3)
    first.kill()
    first.wait(WAIT_S)
    site.let_go(3)

    site.start()
    site.wait_for_end(name)

    assert "control.leases_freed" in site.said("first")


def test_who_slept_for_longer_than_its_lease_writes_nothing_when_it_wakes(tmp_path: Path) -> None:
    server = shared_server()
    database = server.create_empty_database()
    site = Site(tmp_path, server, database)
    try:
        name = site.begin()
        site.hold(5)
        sleeper = site.start("first")
        site.wait_for(5)
        os.kill(sleeper.pid, signal.SIGSTOP)
        site.end_leases()
        site.hold(9)
        site.let_go(5)
        heir = site.start("second")
        wait_until(lambda: 9 in site.counted_by(heir), "the other one")

        os.kill(sleeper.pid, signal.SIGCONT)
        wait_until(lambda: "operation.lease_lost" in site.said("first"), "the sleeper to learn of it")
        site.let_go(9)
        site.wait_for_end(name)

        row = look(site.deployment.store, name)
        assert (row.state, row.progress.done_count) == (OperationState.SUCCEEDED, TO)
        assert site.counted_by(sleeper) == [1, 2, 3, 4, 5]
        assert site.counted_by(heir) == list(range(5, TO + 1))
    finally:
        site.close()
        server.drop_database(database)


def test_of_two_instances_the_other_goes_on_when_one_stops(tmp_path: Path) -> None:
    server = shared_server()
    database = server.create_empty_database()
    site = Site(tmp_path, server, database)
    try:
        name = site.begin()
        site.hold(5)
        first = site.start("first")
        site.wait_for(5)
        second = site.start("second")
        first.terminate()
        site.let_go(5)
        assert first.wait(WAIT_S) == 0
        site.wait_for_end(name)

        # It gave its lease back, so nobody waited for its end, and no step was done twice.
        assert site.counted() == list(range(1, TO + 1))
        assert site.counted_by(second)
        assert look(site.deployment.store, name).progress.done_count == TO
    finally:
        site.close()
        server.drop_database(database)


def test_a_server_that_goes_away_in_the_middle_is_waited_for(tmp_path: Path) -> None:
    with running_server() as server:
        database = server.create_empty_database()
        site = Site(tmp_path, server, database)
        try:
            name = site.begin()
            site.hold(5)
            process = site.start()
            site.wait_for(5)
            server.stop("immediate")
            site.let_go(5)
            wait_until(lambda: "operation.postponed" in site.said("first"), "it to notice")
            server.start()
            site.wait_for_end(name)

            row = look(site.deployment.store, name)
            assert (row.state, row.progress.done_count) == (OperationState.SUCCEEDED, TO)
            assert process.poll() is None
            assert Counter(site.counted())[5] >= 2
        finally:
            site.close()
