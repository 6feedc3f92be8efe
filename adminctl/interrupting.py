"""What Ctrl-C does to an operation that is followed: the first leaves it alone, a second one offers to cancel it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import NoReturn

from adminctl.exit_status import ExitStatus

AGAIN_S = 2.0
"""How long after the first one a second one is waited for."""

Cancel = Callable[[], str]
"""Asks for the cancel; what went wrong, or nothing."""


@contextmanager
def heeding_interrupts(name: str, cancel: Cancel, *, cancel_timeout_s: float) -> Iterator[None]:
    """While inside, Ctrl-C ends the command with 130 and the operation goes on; on a terminal a second one asks.

    After a cancel that was accepted, whoever follows goes on to the end, and only one more Ctrl-C leaves.
    """
    heeding = _Heeding(name, cancel, cancel_timeout_s)
    before = signal.signal(signal.SIGINT, heeding)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _Heeding:
    """A handler of SIGINT: it writes past all buffers, one of which the interrupt may have come into."""

    def __init__(self, name: str, cancel: Cancel, cancel_timeout_s: float) -> None:
        self._name = name
        self._cancel = cancel
        self._cancel_timeout_s = cancel_timeout_s
        self._count = 0
        self._is_cancelled = False

    def __call__(self, *_: object) -> None:
        self._count += 1
        if self._count == 2 and not self._is_cancelled:
            self._offer()
            return
        # A bar has hidden the cursor.
        shown = "\x1b[?25h\n" if sys.stderr.isatty() else ""
        name = self._name
        _write(f"{shown}detached: {name} goes on; see `adminctl operation watch {name}`, or `cancel` it\n")
        if self._count == 1 and sys.stdin.isatty() and sys.stderr.isatty():
            _write("Ctrl-C again to cancel it\n")
            time.sleep(AGAIN_S)
            # The second one is heard while this sleeps.
            if self._is_cancelled:
                return
        _leave()

    def _offer(self) -> None:
        _write(f"\nCancel {self._name}? What it did so far stays. [y/N] ")
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            _write("it goes on\n")
            _leave()
        failed = self._ask()
        if failed:
            _write(f"error: {failed}; it goes on\n")
            _leave()
        self._is_cancelled = True
        _write("cancelling after the step at hand\n")

    def _ask(self) -> str:
        """In a thread: this one may stand within gRPC and hold what the call would wait for."""
        told: list[str] = []
        # What is current here is so there: the call is part of the same trace.
        here = copy_context()
        asking = threading.Thread(target=lambda: told.append(here.run(self._cancel)), daemon=True)
        asking.start()
        asking.join(self._cancel_timeout_s + 1.0)
        return told[0] if told else "no answer in time"


def _write(text: str) -> None:
    os.write(sys.stderr.fileno(), text.encode())


def _leave() -> NoReturn:
    # At once: an exception may be swallowed where gRPC calls back.
    os._exit(ExitStatus.INTERRUPTED)
