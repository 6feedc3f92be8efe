"""SQLite databases for tests that begin as a copy of a migrated one: migrating takes longer than most tests."""

import os
import tempfile
from functools import cache
from pathlib import Path

from engine.metadata.sqlite.store import SqliteStore


def place_migrated(path: Path) -> Path:
    """A database with the schema of the code and no rows, if none is there; where it lies."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path
    with os.fdopen(fd, "wb") as file:
        file.write(_migrated())
    return path


@cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "metadata.sqlite"
        SqliteStore(path).close()
        return path.read_bytes()
