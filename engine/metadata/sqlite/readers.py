"""The connections that reads run on: few, the one used last first, because its cache is the warmest."""

import threading
import time
from pathlib import Path

import apsw

from engine.errors import DatabaseUnavailable
from engine.metadata.sqlite.connections import open_connection
from engine.metadata.store import WRITE_TIMEOUT_S

READER_COUNT_MAX = 16


class Readers:
    """A bounded stack of connections. Taking one that is idle costs no lock: a list's pop and append are atomic."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Null stands for a connection that is yet to be opened.
        self._idle: list[apsw.Connection | None] = [None] * READER_COUNT_MAX
        self._freed = threading.Condition()
        self._waiting_count = 0
        self._is_closed = False

    def take(self) -> apsw.Connection:
        """A connection of the caller alone until given back; raises DatabaseUnavailable, and what opening raises."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._wait()
        if connection is not None:
            return connection
        try:
            return open_connection(self._path, is_reader=True)
        except BaseException:
            self.give_back(None)
            raise

    def give_back(self, connection: apsw.Connection | None) -> None:
        self._idle.append(connection)
        if self._waiting_count:
            with self._freed:
                self._freed.notify()

    def close(self) -> None:
        """Close what is idle; no read may be under way. Later ones are refused at once."""
        self._is_closed = True
        for connection in self._idle:
            if connection is not None:
                connection.close()
        self._idle.clear()

    def _wait(self) -> apsw.Connection | None:
        if self._is_closed:
            raise DatabaseUnavailable("the metadata store is closed")
        deadline_s = time.monotonic() + WRITE_TIMEOUT_S
        with self._freed:
            self._waiting_count += 1
            try:
                while True:
                    # Looked at after the count was raised: whoever gives one back from now on notifies.
                    try:
                        return self._idle.pop()
                    except IndexError:
                        left_s = deadline_s - time.monotonic()
                    if left_s <= 0 or not self._freed.wait(left_s):
                        raise DatabaseUnavailable("no connection to read with became free")
            finally:
                self._waiting_count -= 1
