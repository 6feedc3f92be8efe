"""The store on SQLite: reads on a small pool of connections, writes through one committer per process."""

import fcntl
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast

import apsw

from engine.clock import Clock, SystemClock
from engine.errors import DatabaseUnavailable, EngineError, StartRefused
from engine.metadata.sqlite.committer import Committer
from engine.metadata.sqlite.connections import (
    SqliteTx,
    check_file_system,
    check_version,
    engine_version,
    open_connection,
)
from engine.metadata.sqlite.migrating import migrate
from engine.metadata.sqlite.readers import Readers
from engine.metadata.statements import load_statements
from engine.metadata.store import WRITE_TIMEOUT_S, Barrier, Params, Row, Tx
from engine.parking import Park, nobody

T = TypeVar("T")

FOLDER = Path(__file__).parent
CHECKPOINT_PAGES = 1000
"""The write-ahead log is copied back once it has grown by this many pages."""

_UNREADABLE = (
    apsw.BusyError,
    apsw.IOError,
    apsw.CantOpenError,
    apsw.FullError,
    apsw.CorruptError,
    apsw.NotADBError,
)

_CHECK_STEPS = 500
"""Steps of SQLite's machine between two questions whether a check shall stop."""


class SqliteStore:
    """Implements `engine.metadata.store.Store`. Made after a fork, used by any thread."""

    def __init__(self, path: Path, *, clock: Clock | None = None, park: Park = nobody) -> None:
        """`park` tells who is set aside while a write waits for its commit."""
        check_version(apsw.sqlitelibversion())
        check_file_system(path.parent)
        self.path = path
        self._clock = clock or SystemClock()
        self._park = park
        self._statements = load_statements(FOLDER)
        self._live_fd, self.was_unclean = _mark_live(path)
        self._refusal: str | None = None
        try:
            writer = _open_migrated(path)
        except BaseException as error:
            # Nothing was written to: the next start has no more reason to doubt than this one had.
            _mark_stopped(self._live_fd, is_clean=not self.was_unclean)
            if isinstance(error, apsw.Error):
                raise _unopened(path, error) from error
            raise
        writer.set_wal_hook(self._wal_grew)
        self._readers = Readers(path)
        self._wal_pages = 0
        self._checkpointed_pages = 0
        self._checkpoint_due = threading.Event()
        self._is_closing = False
        self._is_closed = False
        self._checkpointer = threading.Thread(target=self._checkpoints, name="checkpointer", daemon=True)
        self._checkpointer.start()
        self._writer = writer
        self.committer = Committer(
            writer,
            self._statements,
            self._clock,
            path.with_name(path.name + "-commit"),
            committed=self._consider_checkpoint,
        )

    @property
    def version(self) -> str:
        """`SQLite 3.53.1`, for people."""
        return engine_version()

    @property
    def waits_for_network(self) -> bool:
        return False

    def read(self, unit: Callable[[Tx], T], /) -> T:
        try:
            connection = self._readers.take()
            try:
                connection.execute("BEGIN")
                try:
                    return unit(SqliteTx(connection, self._statements, self._clock))
                finally:
                    if connection.in_transaction:
                        connection.execute("COMMIT")
            finally:
                self._readers.give_back(connection)
        except _UNREADABLE as error:
            raise DatabaseUnavailable(f"the metadata database cannot be read: {error}") from error

    def look(self, statement: str, params: Params, /) -> list[Row]:
        try:
            connection = self._readers.take()
            try:
                return cast(list[Row], connection.execute(self._statements[statement], params).fetchall())
            finally:
                self._readers.give_back(connection)
        except _UNREADABLE as error:
            raise DatabaseUnavailable(f"the metadata database cannot be read: {error}") from error

    def write(
        self,
        unit: Callable[[Tx], T],
        /,
        *,
        after: Sequence[Barrier] = (),
        timeout_s: float = WRITE_TIMEOUT_S,
        holds_locks: bool = False,
    ) -> T:
        if self._refusal is not None:
            raise DatabaseUnavailable(self._refusal)
        parked = None if holds_locks else self._park()
        result: T = self.committer.run(unit, after, timeout_s, parked)
        return result

    def refuse_writes(self, reason: str | None) -> None:
        """From now on writes raise DatabaseUnavailable with this reason and reads go on; null takes it back."""
        self._refusal = reason

    def close(self) -> None:
        """Settle what is queued and leave a clean database. No read may be under way. Repeating it does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self.committer.close()
        self._is_closing = True
        self._checkpoint_due.set()
        self._checkpointer.join()
        self._readers.close()
        self._writer.close()
        _mark_stopped(self._live_fd)

    def quick_check(self, is_stopping: Callable[[], bool] = lambda: False) -> list[str]:
        """Look through the whole database; what is wrong with it, nothing when all is well.

        Takes as long as reading it does; asks `is_stopping` now and then, and raises DatabaseUnavailable when it is.
        """
        connection = open_connection(self.path, is_reader=True)
        connection.set_progress_handler(is_stopping, _CHECK_STEPS)
        try:
            found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(20)")]
        except apsw.InterruptError as error:
            raise DatabaseUnavailable("the check of the metadata database was called off") from error
        except (apsw.CorruptError, apsw.NotADBError) as error:
            found = [str(error)]
        finally:
            connection.close()
        return [] if found == ["ok"] else found

    def _wal_grew(self, connection: apsw.Connection, database: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _consider_checkpoint(self) -> None:
        if self._wal_pages < self._checkpointed_pages:
            self._checkpointed_pages = 0
        if self._wal_pages - self._checkpointed_pages >= CHECKPOINT_PAGES:
            self._checkpointed_pages = self._wal_pages
            self._checkpoint_due.set()

    def _checkpoints(self) -> None:
        """Copy the log back, passively: it waits for nobody and stops nobody."""
        connection = open_connection(self.path, is_reader=False)
        try:
            while True:
                self._checkpoint_due.wait()
                self._checkpoint_due.clear()
                if self._is_closing:
                    return
                try:
                    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                except apsw.Error:
                    # The next group asks again; a log that cannot be copied back shows as its size.
                    continue
        finally:
            connection.close()


def _mark_live(path: Path) -> tuple[int, bool]:
    """Hold a mark that the database is in use; true when whoever held it last did not stop cleanly."""
    fd = os.open(path.with_name(path.name + "-live"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        was_unclean = False
    else:
        was_unclean = os.fstat(fd).st_size > 0
        os.pwrite(fd, b"open\n", 0)
    fcntl.flock(fd, fcntl.LOCK_SH)
    return fd, was_unclean


def _mark_stopped(fd: int, *, is_clean: bool = True) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    else:
        if is_clean:
            os.ftruncate(fd, 0)
    os.close(fd)


def _open_migrated(path: Path) -> apsw.Connection:
    """The writer's connection, closed again when the database is refused."""
    connection = open_connection(path, is_reader=False)
    try:
        migrate(connection, FOLDER / "migrations", path.with_name(path.name + "-migration"))
    except BaseException:
        connection.close()
        raise
    return connection


def _unopened(path: Path, error: apsw.Error) -> EngineError:
    if isinstance(error, apsw.BusyError | apsw.IOError | apsw.FullError):
        return DatabaseUnavailable(f"the metadata database {path} cannot be opened now: {error}")
    return StartRefused(f"the metadata database {path} cannot be opened: {error}")
