"""Hearing at once what other processes tell (PostgreSQL's LISTEN): a hint to look now, never the only way to know."""

import logging
import os
import select
import threading
from collections.abc import Callable

import psycopg
from psycopg import sql

from engine.metadata.postgres.lending import connect_arguments
from engine.metadata.postgres.target import PostgresTarget

CHANNEL = "penstock"
WAIT_S = 30.0
RETRY_S = 5.0

_log = logging.getLogger("penstock.metadata")


class Listener:
    """One connection and one thread. While it cannot listen nothing is lost: what it would hear is asked for anyway."""

    def __init__(self, target: PostgresTarget, heard: Callable[[], None]) -> None:
        """`heard` is called on the listener's thread, also for what was not meant for it. It does not raise."""
        self._target = target
        self._heard = heard
        self._stopping = threading.Event()
        self._stop = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._listen, name="listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Repeating it does nothing."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        os.eventfd_write(self._stop, 1)
        self._thread.join()
        os.close(self._stop)

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                with psycopg.connect(**connect_arguments(self._target)) as connection:
                    connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
                    # Something may have been told before.
                    self._heard()
                    self._hear(connection)
            except psycopg.Error as error:
                _log.debug("database.not_listening", extra={"problem": str(error)})
                self._stopping.wait(RETRY_S)

    def _hear(self, connection: psycopg.Connection) -> None:
        # Unlike `select`, it takes descriptors of any number: a process may have thousands of connections.
        ready = select.poll()
        ready.register(connection.fileno(), select.POLLIN)
        ready.register(self._stop, select.POLLIN)
        while not self._stopping.is_set():
            ready.poll(WAIT_S * 1000)
            if any(True for _ in connection.notifies(timeout=0)):
                self._heard()
