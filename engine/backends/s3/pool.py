"""Connections to one store, kept alive and bounded; a reader that pauses gives its own up to whoever needs one."""

import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from engine.backends.s3.connection import CONNECT_TIMEOUT_S, Connection
from engine.backends.s3.trouble import NotSent

CONNECTION_COUNT_MAX = 320
"""Of one process to one store: each of its threads may hold one for as long as a client takes over a body."""

IDLE_MAX_S = 15.0
"""A connection that was not used for longer is not trusted: most stores end theirs after some such time."""

FRESH_MAX_S = 2.0
"""The same for a request that cannot be repeated."""

WAIT_MAX_S = 5.0
"""How long a request waits for a connection while all are in use."""


class Pausing(Protocol):
    """Somebody who holds a connection and does not use it now."""

    def give_up(self) -> None:
        """Close it. Called once, by any thread, never while it is in use."""


class ConnectionPool:
    """Safe for many threads. Every connection taken is given back or dropped once."""

    def __init__(
        self,
        dial: Callable[[float], Connection],
        *,
        count_max: int = CONNECTION_COUNT_MAX,
        where: str = "it",
    ) -> None:
        """`dial` makes a connection within so many seconds; it raises OSError. `where` is told to people."""
        self._dial = dial
        self._where = where
        self._count_max = count_max
        self._freed = threading.Condition()
        self._idle: list[Connection] = []
        self._pausing: OrderedDict[Pausing, None] = OrderedDict()
        self._open_count = 0
        self._is_closed = False

    def take(
        self, *, idle_max_s: float = IDLE_MAX_S, fresh: bool = False, patience_s: float | None = None
    ) -> Connection:
        """A connection, kept or new; with `fresh` a new one. Raises NotSent."""
        wait_s = WAIT_MAX_S if patience_s is None else patience_s
        kept = self._take_kept(idle_max_s, fresh=fresh, wait_s=wait_s)
        if kept is not None:
            return kept
        try:
            return self._dial(CONNECT_TIMEOUT_S if patience_s is None else patience_s)
        except BaseException as error:
            self._leave()
            if isinstance(error, OSError):
                is_late = isinstance(error, TimeoutError)
                raise NotSent(f"no connection to {self._where}: {_why(error)}", is_late=is_late) from error
            raise

    def give_back(self, connection: Connection) -> None:
        """Its last answer was read to the end: another request may follow."""
        connection.idle_since_s = time.monotonic()
        with self._freed:
            if not self._is_closed:
                self._idle.append(connection)
                self._freed.notify()
                return
        self.drop(connection)

    def drop(self, connection: Connection) -> None:
        """Close it."""
        connection.close()
        self._leave()

    def pause(self, pausing: Pausing) -> None:
        """Who holds a connection does not use it until `go_on`."""
        with self._freed:
            self._pausing[pausing] = None
            self._freed.notify()

    def go_on(self, pausing: Pausing) -> bool:
        """Whether the connection is still its own; false when it was given up meanwhile."""
        with self._freed:
            return self._pausing.pop(pausing, self) is None

    def close(self) -> None:
        """Close what is idle, now, and the rest when it is given back."""
        with self._freed:
            self._is_closed = True
            idle, self._idle = self._idle, []
            self._freed.notify_all()
        for connection in idle:
            self.drop(connection)

    def _take_kept(self, idle_max_s: float, *, fresh: bool, wait_s: float) -> Connection | None:
        """An idle connection; null for the right to make one."""
        deadline_s = time.monotonic() + wait_s
        while True:
            with self._freed:
                if self._is_closed:
                    raise NotSent("the backend is closed")
                kept = self._idle.pop() if self._idle else None
                if kept is None:
                    if self._open_count < self._count_max:
                        self._open_count += 1
                        return None
                    if not self._pausing:
                        self._wait(deadline_s)
                        continue
                    oldest, _ = self._pausing.popitem(last=False)
            if kept is None:
                oldest.give_up()
                continue
            if not fresh and time.monotonic() - kept.idle_since_s <= idle_max_s and not kept.is_stale():
                return kept
            self.drop(kept)

    def _wait(self, deadline_s: float) -> None:
        wait_s = deadline_s - time.monotonic()
        if wait_s <= 0 or not self._freed.wait(wait_s):
            raise NotSent(f"all {self._count_max} connections are in use", is_late=True)

    def _leave(self) -> None:
        with self._freed:
            self._open_count -= 1
            self._freed.notify()


def _why(error: OSError) -> str:
    """In words, with what may be done about it where that is known."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message} (`ca` names authorities to trust)"
    if isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
        return "it speaks no TLS (is it http://?)"
    return error.strerror or str(error)
