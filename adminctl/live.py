"""The dashboard, live: drawn anew when something changes, until a key ends it."""

from __future__ import annotations

import os
import select
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.admin.v1 import system_service_pb2 as pb
from rich.live import Live
from rich.text import Text

from adminctl.dashboard import SORTS, View, console, layout

if TYPE_CHECKING:
    from adminctl.client import Connection

KEYS = "q ends, s sorts, f filters"
KEY_POLL_S = 0.2
INTERRUPT = "\x03"


def show_live(connection: Connection, stub: Any) -> None:
    """Until `q` is typed, or the stream ends with an error, which is told as of any call."""
    view = View(hint=KEYS)
    stream = _Stream(connection, stub)
    try:
        with (
            _keys_at_once(),
            Live(Text("waiting for the first look"), console=console(), screen=True) as live,
        ):
            while not stream.has_ended:
                key = _key()
                if key in ("q", INTERRUPT):
                    break
                view = _viewed(view, key)
                dashboard = stream.newest
                if dashboard is not None:
                    live.update(layout(dashboard, view), refresh=True)
    finally:
        stream.close()
    stream.raise_failure()


def _viewed(view: View, key: str) -> View:
    if key == "s":
        names = list(SORTS)
        return replace(view, sort=names[(names.index(view.sort) + 1) % len(names)])
    if key == "f":
        return replace(view, is_busy_only=not view.is_busy_only)
    return view


class _Stream:
    """Looks come in from a thread, so that keys are heeded while nothing changes."""

    def __init__(self, connection: Connection, stub: Any) -> None:
        self._connection = connection
        self._call = stub.WatchDashboard(pb.WatchDashboardRequest(), metadata=connection.metadata)
        self._failure: BaseException | None = None
        self._is_closing = False
        self.newest: Any = None
        self.has_ended = False
        self._thread = threading.Thread(target=self._receive, name="dashboard", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._is_closing = True
        self._call.cancel()
        self._thread.join()

    def raise_failure(self) -> None:
        """Tell why it ended before it was closed, and end the command; nothing when it did not."""
        from adminctl.failures import telling_failures

        if self._failure is not None:
            with telling_failures(self._connection):
                raise self._failure

    def _receive(self) -> None:
        import grpc

        try:
            for answer in self._call:
                self.newest = answer.dashboard
        except grpc.RpcError as error:
            self._failure = None if self._is_closing else error
        self.has_ended = True


@contextmanager
def _keys_at_once() -> Iterator[None]:
    """Keys are read when they are typed, and not shown; as it was before afterwards, whatever happens."""
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        attributes = termios.tcgetattr(fd)
        # Interrupts are read like keys: a signal would end the process with the terminal as it is.
        attributes[3] &= ~termios.ISIG
        termios.tcsetattr(fd, termios.TCSADRAIN, attributes)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _key() -> str:
    """The key typed within a moment; empty when none was."""
    readable, _, _ = select.select([sys.stdin], [], [], KEY_POLL_S)
    return os.read(sys.stdin.fileno(), 1).decode("latin-1") if readable else ""
