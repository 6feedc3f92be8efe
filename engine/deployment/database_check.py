"""Looking through the database after an unclean stop, beside the requests, and stopping writes when it is damaged."""

import logging
import threading

from engine.errors import DatabaseUnavailable
from engine.metadata.sqlite.doubt import Doubt
from engine.metadata.sqlite.store import SqliteStore

_log = logging.getLogger("penstock.deployment")


class DatabaseCheck:
    """One process looks; every one of them calls `look`, and is read-only while a check says that there is damage."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._doubt = Doubt(store.path)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._finding: str | None = None

    def start(self) -> None:
        """Begin to look, if there is doubt and no other process does."""
        if self._store.was_unclean:
            self._doubt.arise()
        if self._doubt.take():
            self._thread = threading.Thread(target=self._check, name="database-check", daemon=True)
            self._thread.start()

    def look(self) -> None:
        """Refuse writes while a check of any process has found damage; called about once a second."""
        finding = self._doubt.finding()
        if finding == self._finding:
            return
        self._finding = finding
        if finding is None:
            self._store.refuse_writes(None)
            _log.info("database.writable")
            return
        self._store.refuse_writes(f"the metadata database is damaged and only read: {finding}")
        _log.critical("database.read_only", extra={"finding": finding})

    def stop(self) -> None:
        """Call a check off that still runs: the next start begins it anew."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self._doubt.release()

    def _check(self) -> None:
        try:
            found = self._store.quick_check(self._stopping.is_set)
        except DatabaseUnavailable:
            return
        except Exception:  # the outermost handler of this thread; the doubt stays
            _log.exception("database.check_failed")
            return
        if found:
            self._doubt.confirm("; ".join(found))
        else:
            self._doubt.dispel()
            _log.info("database.check_passed")
