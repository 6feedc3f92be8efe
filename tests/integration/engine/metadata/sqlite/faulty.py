"""A committer on a SQLite connection whose statements can be made to fail, and be counted, one by one."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw

from engine.metadata.sqlite.committer import LOCK_TIMEOUT_S, SETTLE_TIMEOUT_S, Committer
from engine.metadata.sqlite.connections import BUSY_TIMEOUT_MS
from engine.metadata.sqlite.migrating import migrate
from engine.metadata.sqlite.store import FOLDER
from engine.metadata.statements import load_statements
from tests.support.metadata import DATABASE, SetClock

Fault = Callable[[], None]


class FaultyConnection(apsw.Connection):
    """Does what `before[n]` and `after[n]` say around its n-th statement from the moment it is armed."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.executed: list[str] = []
        self.before: dict[int, Fault] = {}
        self.after: dict[int, Fault] = {}

    def arm(self, *, before: dict[int, Fault] | None = None, after: dict[int, Fault] | None = None) -> None:
        """Forget what was executed and what was to fail."""
        self.executed.clear()
        self.before, self.after = before or {}, after or {}

    @property
    def commit_count(self) -> int:
        return self.executed.count("COMMIT")

    def execute(self, statements: str, *arguments: Any, **named: Any) -> Any:
        number = len(self.executed)
        self.executed.append(statements)
        if fault := self.before.get(number):
            fault()
        result = super().execute(statements, *arguments, **named)
        if fault := self.after.get(number):
            fault()
        return result

    def ends_transaction(self, error: apsw.Error) -> Fault:
        """As SQLite does when the disk is full or fails: the whole transaction is rolled back at once."""

        def fail() -> None:
            if self.in_transaction:
                super(FaultyConnection, self).execute("ROLLBACK")
            raise error

        return fail


def fails(error: Exception) -> Fault:
    def fail() -> None:
        raise error

    return fail


def dies() -> None:
    """The process is gone, as by kill -9."""
    os.kill(os.getpid(), signal.SIGKILL)


def open_faulty(folder: Path) -> FaultyConnection:
    """Set up as the store sets its writer up, migrated."""
    connection = FaultyConnection(folder / DATABASE)
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "wal_autocheckpoint = 0"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    migrate(connection, FOLDER / "migrations", folder / f"{DATABASE}-migration")
    connection.arm()
    return connection


class Rig:
    """One committer over one faulty connection."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: SetClock | None = None,
        lock_timeout_s: float = LOCK_TIMEOUT_S,
        settle_timeout_s: float = SETTLE_TIMEOUT_S,
    ) -> None:
        self.folder = folder
        self.lock_path = folder / f"{DATABASE}-commit"
        self.connection = open_faulty(folder)
        self.group_count = 0
        self.committer = Committer(
            self.connection,
            load_statements(FOLDER),
            clock or SetClock(),
            self.lock_path,
            committed=self._committed,
            lock_timeout_s=lock_timeout_s,
            settle_timeout_s=settle_timeout_s,
        )

    def _committed(self) -> None:
        self.group_count += 1

    def names(self) -> list[str]:
        """What is committed, as another process reads it."""
        connection = apsw.Connection(str(self.folder / DATABASE))
        try:
            return [
                str(row[0]) for row in connection.execute("SELECT name FROM accounts ORDER BY account_id")
            ]
        finally:
            connection.close()

    def close(self) -> None:
        self.committer.close()
        self.connection.close()
