"""Migrations: numbered files, applied once each, in order, under a lock, and remembered by their digest."""

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from engine.errors import SchemaTooNew, StartRefused

_NAME = re.compile(r"(\d{4})_(pre|post)_[a-z0-9_]+")

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

    Raises SchemaTooNew when the database knows a migration that the code does not, StartRefused when an applied
    file has changed since.
    """
    files = _files(folder)
    applied = []
    with _locked(lock_path):
        connection.execute(_CREATE)
        known = {
            row[0]: (row[1], row[2])
            for row in connection.execute("SELECT number, name, digest FROM schema_migrations")
        }
        newer = sorted(set(known) - set(files))
        if newer:
            raise SchemaTooNew(
                f"the database has migration {known[newer[-1]][0]}, which this version does not know: "
                "it was written by a newer Penstock; start that one"
            )
        for number, path in files.items():
            text = path.read_bytes()
            digest = hashlib.sha256(text).digest()
            if number in known:
                if known[number][1] != digest:
                    raise StartRefused(
                        f"migration {path.name} is not the one that was applied to this database"
                    )
                continue
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute(text.decode("utf-8")).fetchall()
                connection.execute(
                    "INSERT INTO schema_migrations VALUES (?, ?, ?, CAST(unixepoch('subsec') * 1000000 AS INTEGER))",
                    (number, path.stem, digest),
                )
                connection.execute("COMMIT")
            except BaseException:
                # SQLite ends a transaction itself when the disk is full.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            applied.append(path.stem)
    return applied


def _files(folder: Path) -> dict[int, Path]:
    files: dict[int, Path] = {}
    for path in sorted(folder.glob("*.sql")):
        match = _NAME.fullmatch(path.stem)
        if match is None or int(match[1]) in files:
            raise ValueError(f"{path.name} is no migration, or its number is taken")
        files[int(match[1])] = path
    return files


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
