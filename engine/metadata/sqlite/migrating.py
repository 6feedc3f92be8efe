"""Bringing a SQLite database to the schema of the code, under a file lock."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from engine.metadata.migrations import Migration, missing_migrations, read_migrations

_CREATE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number INTEGER PRIMARY KEY,    -- number of the file
    name TEXT NOT NULL,            -- name of the file without its ending
    digest BLOB NOT NULL,          -- SHA-256 of the file
    applied_at_us INTEGER NOT NULL -- when
) STRICT
"""


def migrate(connection: apsw.Connection, folder: Path, lock_path: Path) -> list[str]:
    """Apply what is missing and return its names; each file is one transaction, so a kill leaves whole ones only.

    Raises SchemaTooNew and StartRefused, see `missing_migrations`.
    """
    applied = []
    with _locked(lock_path):
        connection.execute(_CREATE)
        known = {
            row[0]: (row[1], row[2])
            for row in connection.execute("SELECT number, name, digest FROM schema_migrations")
        }
        for each in missing_migrations(read_migrations(folder), known):
            _apply(connection, each)
            applied.append(each.name)
    return applied


def _apply(connection: apsw.Connection, migration: Migration) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(migration.text).fetchall()
        connection.execute(
            "INSERT INTO schema_migrations VALUES (?, ?, ?, CAST(unixepoch('subsec') * 1000000 AS INTEGER))",
            (migration.number, migration.name, migration.digest),
        )
        connection.execute("COMMIT")
    except BaseException:
        # SQLite ends a transaction itself when the disk is full.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
