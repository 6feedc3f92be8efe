"""Rows of versions that reads have met, in a small file beside the database: what serves them while it is away.

The file is a SQLite database of its own, shared by the processes of an instance and never synced: losing it loses
nothing. A damaged one is thrown away.
"""

import base64
import contextlib
import json
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import apsw

from engine.metadata.store import Row, SqlValue

T = TypeVar("T")

ENTRY_COUNT_MAX = 200_000
ENTRY_BYTES_MAX = 64 * 1024
"""What one key may take: a version of some hundred blobs. A larger one is not remembered."""

_EVICTED_SHARE = 50
_BUSY_TIMEOUT_MS = 1000
_LAYOUT = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS versions (
    bucket TEXT NOT NULL,          -- name of the bucket
    object_key BLOB NOT NULL,      -- key in bytes
    confirmed_us INTEGER NOT NULL, -- when the database last said so, by this machine's clock
    rows TEXT NOT NULL,            -- encoded rows
    PRIMARY KEY (bucket, object_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS versions_by_age ON versions (confirmed_us);
CREATE TABLE IF NOT EXISTS reached (
    one INTEGER PRIMARY KEY CHECK (one = 1), -- there is one row
    reached_us INTEGER NOT NULL              -- when the database was last reached, by this machine's clock
) STRICT;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RememberedRows:
    """Rows of one key: those of the version, those of its slices, and for each of these those of its pieces."""

    version: Sequence[Row]
    slices: Sequence[Row] = ()
    pieces: Sequence[Sequence[Row]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What is known of a key, and since when nothing newer is."""

    rows: RememberedRows
    confirmed_us: int


class RememberedFile:
    """Safe for many threads. Its failures stay its own: what it cannot read or write is not known."""

    def __init__(self, path: Path, *, entry_count_max: int = ENTRY_COUNT_MAX) -> None:
        self._path = path
        self._entry_count_max = entry_count_max
        self._lock = threading.Lock()
        self._connection: apsw.Connection | None = None

    def find(self, bucket: str, key: bytes) -> Remembered | None:
        """What is remembered of a key."""
        found = self._with(
            lambda connection: connection.execute(
                "SELECT rows, confirmed_us FROM versions WHERE bucket = ? AND object_key = ?", (bucket, key)
            ).fetchone()
        )
        if found is None:
            return None
        return Remembered(rows=_decoded(found[0]), confirmed_us=found[1])

    def put(self, entries: Iterable[tuple[str, bytes, Remembered]]) -> None:
        """Remember these unless something newer is known, and forget the oldest beyond the bound."""
        encoded = [(bucket, key, each.confirmed_us, _encoded(each.rows)) for bucket, key, each in entries]
        fit = [each for each in encoded if len(each[3]) <= ENTRY_BYTES_MAX]

        def write(connection: apsw.Connection) -> None:
            with connection:
                connection.executemany(
                    "INSERT INTO versions VALUES (?, ?, ?, ?) ON CONFLICT (bucket, object_key) DO UPDATE"
                    " SET confirmed_us = excluded.confirmed_us, rows = excluded.rows"
                    " WHERE excluded.confirmed_us >= versions.confirmed_us",
                    fit,
                )
                ((count,),) = connection.execute("SELECT COUNT(*) FROM versions")
                if count > self._entry_count_max:
                    surplus = count - self._entry_count_max + self._entry_count_max // _EVICTED_SHARE
                    connection.execute(
                        "DELETE FROM versions WHERE (bucket, object_key) IN ("
                        "SELECT bucket, object_key FROM versions ORDER BY confirmed_us LIMIT ?)",
                        (surplus,),
                    )

        self._with(write)

    def forget(self, keys: Iterable[tuple[str, bytes, int]]) -> None:
        """The database said that there is nothing, at the time behind each key; what was confirmed later stays."""
        named = list(keys)
        self._with(
            lambda connection: connection.executemany(
                "DELETE FROM versions WHERE bucket = ? AND object_key = ? AND confirmed_us <= ?", named
            )
        )

    def note_reached(self, reached_us: int) -> None:
        """The database was reached then."""
        self._with(
            lambda connection: connection.execute(
                "INSERT OR REPLACE INTO reached VALUES (1, ?)", (reached_us,)
            )
        )

    def reached_us(self) -> int | None:
        """When any process of the instance last reached the database; null when that is not known."""
        row = self._with(lambda connection: connection.execute("SELECT reached_us FROM reached").fetchone())
        return None if row is None else cast(int, row[0])

    def count(self) -> int:
        """Keys that are remembered."""
        row = self._with(lambda connection: connection.execute("SELECT COUNT(*) FROM versions").fetchone())
        return 0 if row is None else cast(int, row[0])

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _with(self, act: Callable[[apsw.Connection], T]) -> T | None:
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._open()
                return act(self._connection)
            except (apsw.BusyError, apsw.FullError):
                return None
            except apsw.Error:
                # Damaged, of another layout, or gone: what it knew comes back with the next reads.
                self._drop()
                for each in ("", "-wal", "-shm"):
                    with contextlib.suppress(OSError):
                        self._path.with_name(self._path.name + each).unlink(missing_ok=True)
                return None

    def _open(self) -> apsw.Connection:
        connection = apsw.Connection(str(self._path))
        try:
            self._path.chmod(0o600)
            connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            connection.execute("PRAGMA synchronous = OFF")
            ((layout,),) = connection.execute("PRAGMA user_version")
            if layout not in (0, _LAYOUT):
                raise apsw.CorruptError(f"layout {layout} is not known")
            connection.execute(_SCHEMA)
            connection.execute(f"PRAGMA user_version = {_LAYOUT}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _encoded(rows: RememberedRows) -> str:
    return json.dumps(
        [rows.version, rows.slices, rows.pieces], default=_written, separators=(",", ":"), ensure_ascii=False
    )


def _written(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"b": base64.b64encode(value).decode("ascii")}
    raise TypeError(f"{type(value).__name__} is no value of a row")


def _decoded(text: str) -> RememberedRows:
    version, slices, pieces = json.loads(text, object_hook=lambda value: base64.b64decode(value["b"]))
    return RememberedRows(
        version=_rows(version), slices=_rows(slices), pieces=tuple(_rows(each) for each in pieces)
    )


def _rows(values: Sequence[Sequence[SqlValue]]) -> tuple[Row, ...]:
    return tuple(tuple(row) for row in values)
