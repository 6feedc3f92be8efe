"""Which database the deployments of a test keep their metadata in: one suite, every engine."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from engine.clock import Clock
from engine.metadata.postgres.store import PostgresStore
from engine.metadata.sqlite.store import SqliteStore
from tests.support.migrated_sqlite import place_migrated
from tests.support.postgres import shared_server

ENGINES = ("sqlite", "postgres")
SQLITE_ONLY = "sqlite_only"
"""Marks tests of what only SQLite has, such as a disk of its own that fills up."""

OpenMetadata = Callable[[Path, Clock], SqliteStore | PostgresStore]


def _open_sqlite(folder: Path, clock: Clock) -> SqliteStore:
    return SqliteStore(place_migrated(folder / "meta.db"), clock=clock)


_open: OpenMetadata = _open_sqlite


def open_metadata(folder: Path, clock: Clock) -> SqliteStore | PostgresStore:
    """The database of a folder, made at the first time, on the engine the test is for. Whoever opens it closes it."""
    return _open(folder, clock)


@contextmanager
def metadata_on(engine: str, *, port: int | None = None) -> Iterator[None]:
    """For the block, deployments keep their metadata on that engine; databases are emptied behind it.

    `port` is another way to PostgreSQL than the server's own.
    """
    global _open
    if engine == "sqlite":
        yield
        return
    names: dict[Path, str] = {}

    def open_one(folder: Path, clock: Clock) -> PostgresStore:
        if folder not in names:
            names[folder] = shared_server().lend_database()
        target = shared_server().target(names[folder])
        return PostgresStore(target if port is None else replace(target, port=port), clock=clock)

    _open = open_one
    try:
        yield
    finally:
        _open = _open_sqlite
        for name in names.values():
            shared_server().take_back_database(name)


def on_each_engine(metafunc: pytest.Metafunc, fixture: str) -> None:
    """Run a test once for every engine, or once if it is of SQLite alone; for `pytest_generate_tests`."""
    is_sqlite_only = metafunc.definition.get_closest_marker(SQLITE_ONLY) is not None
    metafunc.parametrize(fixture, ["sqlite"] if is_sqlite_only else list(ENGINES), indirect=True)
