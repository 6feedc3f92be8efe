"""Connections to the SQLite database, all with the same promises, and the transactions that run on them."""

import ctypes
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import apsw

from engine.clock import Clock
from engine.errors import StartRefused
from engine.metadata.statements import Statements
from engine.metadata.store import Answer, Gathered, Params, Row

SQLITE_VERSION_MIN = (3, 51, 3)
"""The first release in which a reset of the write-ahead log cannot lose a commit."""

CACHE_KIB = 64 * 1024
STATEMENT_CACHE_COUNT = 400
BUSY_TIMEOUT_MS = 5000
_WAL_PAUSE_S = 0.01

# From linux/magic.h: file systems on which SQLite's shared memory and locks do not hold.
_NETWORK_FILE_SYSTEMS = {
    0x6969: "NFS",
    0x517B: "SMB",
    0xFE534D42: "SMB2",
    0xFF534D42: "CIFS",
    0x01021997: "9P",
}


def engine_version() -> str:
    """`SQLite 3.53.1`, for people."""
    return f"SQLite {apsw.sqlitelibversion()}"


def check_version(version: str) -> None:
    """Refuse a SQLite that is older than `SQLITE_VERSION_MIN`."""
    if tuple(map(int, version.split("."))) < SQLITE_VERSION_MIN:
        wanted = ".".join(map(str, SQLITE_VERSION_MIN))
        raise StartRefused(
            f"SQLite {version} can lose commits; {wanted} or newer is needed: install a newer apsw"
        )


def check_file_system(folder: Path, *, kind: int | None = None) -> None:
    """Refuse a network file system: SQLite's locks are not kept there. `kind` is what statfs would say."""
    kind = _file_system_kind(folder) if kind is None else kind
    if kind in _NETWORK_FILE_SYSTEMS:
        told = _NETWORK_FILE_SYSTEMS[kind]
        raise StartRefused(f"{folder} lies on {told}; SQLite needs a local disk, or use PostgreSQL")


def open_connection(path: Path, *, is_reader: bool) -> apsw.Connection:
    """A connection with write-ahead log, full syncs and foreign keys; readers refuse to write."""
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_NOMUTEX
    connection = apsw.Connection(str(path), flags=flags, statementcachesize=STATEMENT_CACHE_COUNT)
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    # Without it SQLite compiles a statement anew whenever a bound value changes, ten times the cost of running it.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    _use_wal(connection)
    for pragma in (
        "synchronous = FULL",
        "foreign_keys = ON",
        f"cache_size = -{CACHE_KIB}",
        "wal_autocheckpoint = 0",
        "temp_store = MEMORY",
        f"query_only = {'ON' if is_reader else 'OFF'}",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    return connection


def _use_wal(connection: apsw.Connection) -> None:
    """Processes that open a new database at once may refuse each other the change of mode without waiting."""
    deadline_s = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            return
        except apsw.BusyError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(_WAL_PAUSE_S)


class SqliteAnswer:
    """Rows and the count of changes, read when the statement ran; implements `engine.metadata.store.Answer`."""

    __slots__ = ("_count", "_rows", "_statement")

    def __init__(self, statement: str, rows: list[Row], count: int) -> None:
        self._statement = statement
        self._rows = rows
        self._count = count

    def row(self) -> Row:
        if len(self._rows) != 1:
            raise LookupError(f"{self._statement} gave {len(self._rows)} rows instead of one")
        return self._rows[0]

    def row_or_none(self) -> Row | None:
        if len(self._rows) > 1:
            raise LookupError(f"{self._statement} gave {len(self._rows)} rows instead of at most one")
        return self._rows[0] if self._rows else None

    def rows(self) -> list[Row]:
        return self._rows

    def count(self) -> int:
        return self._count


class SqliteTx:
    """One transaction on one connection; implements `engine.metadata.store.Tx`."""

    __slots__ = ("_clock", "_connection", "_execute", "_now_us", "_statements")

    def __init__(self, connection: apsw.Connection, statements: Statements, clock: Clock) -> None:
        self._connection = connection
        self._execute = connection.execute
        self._statements = statements
        self._clock = clock
        self._now_us = 0

    @property
    def stripe_count(self) -> int:
        return 1

    @property
    def is_again(self) -> bool:
        return False

    def ask(self, statement: str, params: Params) -> SqliteAnswer:
        found = self._execute(self._statements[statement], params).fetchall()
        return SqliteAnswer(statement, cast(list[Row], found), self._connection.changes())

    def lock(self, statement: str, params: Params) -> None:
        """One writes at a time."""

    def try_lock(self, statement: str, params: Params) -> Callable[[], bool]:
        return _nobody_else_writes

    def tell(self) -> None:
        """The processes of one machine look every two seconds."""

    def row(self, statement: str, params: Params) -> Row:
        found = self._execute(self._statements[statement], params).fetchall()
        if len(found) != 1:
            raise LookupError(f"{statement} gave {len(found)} rows instead of one")
        return cast(Row, found[0])

    def row_or_none(self, statement: str, params: Params) -> Row | None:
        found = self._execute(self._statements[statement], params).fetchall()
        if not found:
            return None
        if len(found) > 1:
            raise LookupError(f"{statement} gave {len(found)} rows instead of at most one")
        return cast(Row, found[0])

    def rows(self, statement: str, params: Params) -> list[Row]:
        return cast(list[Row], self._execute(self._statements[statement], params).fetchall())

    def run(self, statement: str, params: Params) -> int:
        self._execute(self._statements[statement], params).fetchall()
        return self._connection.changes()

    def ask_many(self, statement: str, params: Sequence[Params]) -> Answer:
        if len(params) == 1:
            return self.ask(statement, params[0])
        return Gathered([self.ask(statement, each) for each in params])

    def now_us(self) -> int:
        if not self._now_us:
            self._now_us = self._clock.now_us()
        return self._now_us


def _nobody_else_writes() -> bool:
    return True


def _file_system_kind(folder: Path) -> int:
    # struct statfs begins with f_type, a long on every Linux.
    buffer = ctypes.create_string_buffer(256)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.statfs(os.fsencode(folder), buffer) != 0:
        raise OSError(ctypes.get_errno(), "statfs", str(folder))
    return ctypes.c_long.from_buffer(buffer).value & 0xFFFFFFFF
