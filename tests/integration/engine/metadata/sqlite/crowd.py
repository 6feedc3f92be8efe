"""Callers that wait together, so that their units make one group."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from engine.metadata import accounts
from engine.metadata.sqlite.committer import Committer
from engine.metadata.store import Barrier, Tx
from engine.records import Origin

WAIT_S = 20.0
Unit = Callable[[Tx], Any]


def adds(name: str) -> Unit:
    """A unit that leaves a row of that name."""
    return lambda tx: accounts.ensure_account(tx, name, Origin.API)


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline_s, "it never came to be"
        time.sleep(0.001)


class Crowd:
    """While it is held, whoever calls waits in the queue; afterwards all of them are one group."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._threads = ThreadPoolExecutor(100)
        self._may_go = threading.Event()
        has_begun = threading.Event()

        def hold(tx: Tx) -> None:
            has_begun.set()
            assert self._may_go.wait(WAIT_S)

        self._holder = self._threads.submit(committer.run, hold, (), WAIT_S)
        assert has_begun.wait(WAIT_S)

    def call(self, unit: Unit, *, after: Sequence[Barrier] = (), timeout_s: float = WAIT_S) -> "Future[Any]":
        """Call from a thread of its own; returns once the unit is queued."""
        count = self._committer.queued_count
        future = self._threads.submit(self._committer.run, unit, after, timeout_s)
        wait_until(lambda: self._committer.queued_count > count or future.done())
        return future

    def release(self) -> None:
        self._may_go.set()
        self._holder.result(WAIT_S)
        self._threads.shutdown(wait=False)
