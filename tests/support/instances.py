"""Several instances of one node over one database: each `penstock serve` has a state folder and ports of its own.

They share the volumes, the master key and the identities; a client may talk to any of them. An instance may live
by a clock of its own.
"""

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.support.ports import free_ports
from tests.support.postgres import PostgresServer, with_database
from tests.support.served import ADMINCTL, Served
from tests.support.wrong_clocks import environ_of_clock


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceWish:
    """How one instance is to be."""

    clock_ahead_s: int = 0
    """By how much its machine's clock is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedDatabase:
    """A database on a PostgreSQL server that instances share."""

    server: PostgresServer
    name: str

    def rows(self, statement: str, *params: object) -> list[Any]:
        """What a statement of the test's own gives, committed at once."""
        with self.server.connect(self.name) as connection:
            return connection.execute(statement, params or None).fetchall()


class Instance(Served):
    """One of several. It is started, killed and asked as a lone one is."""

    def __init__(self, first: Served, folder: Path, *, wish: InstanceWish) -> None:
        """A sibling of `first`, which made the deployment; `folder` is its own, and made here."""
        folder.mkdir()
        self.folder = folder
        self.config = folder / "penstock.yaml"
        self.data = first.data
        self.log = folder / "serve.log"
        self.clock_ahead_s = wish.clock_ahead_s
        self.environ = environ_of_clock(wish.clock_ahead_s)
        self.ca = None
        self._process = None
        s3_port, control_port, metrics_port = free_ports(3)
        text = _with_value(first.config.read_text(), "state_dir", f'"{folder / "state"}"')
        for name, port in (("s3", s3_port), ("control", control_port), ("metrics", metrics_port)):
            text = _with_value(text, name, f'"127.0.0.1:{port}"')
        # Paths of the first are relative to its own file.
        self.config.write_text(text.replace('"./data/', f'"{first.data}/'))
        self.credentials = replace(
            first.credentials,
            endpoint=f"http://127.0.0.1:{s3_port}",
            control_address=f"127.0.0.1:{control_port}",
            metrics_url=f"http://127.0.0.1:{metrics_port}/metrics",
        )

    @property
    def address(self) -> tuple[str, int]:
        """Where it serves S3."""
        host, _, port = self.credentials.endpoint.removeprefix("http://").partition(":")
        return host, int(port)

    def adminctl(self, *words: str) -> None:
        """Ask its control plane something that succeeds."""
        subprocess.run(
            [ADMINCTL, *words],
            env={
                "PATH": os.environ["PATH"],
                "PENSTOCK_ENDPOINT": self.credentials.control_address,
                "PENSTOCK_TOKEN": self.credentials.admin_token,
            },
            check=True,
            capture_output=True,
            timeout=60,
        )

    def dataplane_pids(self) -> list[int]:
        """The processes that serve S3, without their arbiter."""
        # Parents come first.
        return [pid for pid, command in self.processes().items() if "dataplane" in command][1:]


@contextmanager
def running_instances(
    folder: Path,
    *,
    database: SharedDatabase | None,
    wishes: Sequence[InstanceWish] = (InstanceWish(), InstanceWish()),
    processes: int = 2,
    volumes: int = 2,
    settings: str = "",
    edit: Callable[[str], str] = lambda text: text,
) -> Iterator[list[Instance]]:
    """Instances that serve for the block, over one database; without it a single one, over SQLite.

    `settings` are sections that every file has besides, and `edit` changes what stands there. One starts after the
    other.
    """
    made = Served(
        folder,
        volumes=volumes,
        edit_config=lambda text: _with_sections(
            edit(text), database=database, processes=processes, settings=settings
        ),
    )
    assert database is not None or len(wishes) == 1, "one instance owns a SQLite database"
    with ExitStack() as stack:
        instances = []
        for index, wish in enumerate(wishes):
            instance = Instance(made, folder / f"instance{index}", wish=wish)
            instances.append(stack.enter_context(instance))
        yield instances


def _with_sections(text: str, *, database: SharedDatabase | None, processes: int, settings: str) -> str:
    sections = f"processes:\n  dataplane: {processes}\n\n{settings}"
    if database is not None:
        text = with_database(text, database.server, database.name)
    return text.replace("\nidentities:\n", f"\n{sections}\nidentities:\n")


def _with_value(text: str, name: str, value: str) -> str:
    changed, count = re.subn(rf"(?m)^  {name}: .*$", lambda _: f"  {name}: {value}", text)
    assert count == 1, f"{name} stands {count} times in the file"
    return changed
