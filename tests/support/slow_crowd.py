"""Clients that hold connections and hardly use them, by the hundred, and one that is good and keeps the time."""

import random
import resource
import threading
import time
from collections.abc import Callable, Sequence

from tests.support.raw_http import Answer, Connection, NoAnswer

OPEN_FILES_WANTED = 8192
DRIP_PERIOD_S = 1.0
SMALL_RECEIVE_BYTES = 4096
_TURNED_AWAY = b"HTTP/1.1 503 "


def raise_open_files() -> None:
    """Let this process, and those it starts from here on, have as many open files as a crowd needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES_WANTED if hard == resource.RLIM_INFINITY else min(OPEN_FILES_WANTED, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class SlowCrowd:
    """Connections that each sent `opening` and now do next to nothing; `drip` is what they send every second."""

    def __init__(
        self, address: tuple[str, int], openings: Sequence[bytes], *, drip: bytes = b"", reads: bool = True
    ) -> None:
        """Without `reads` their receive buffers are small and stay full."""
        self._drip = drip
        self._stop = threading.Event()
        self._dripper: threading.Thread | None = None
        self.connections: list[Connection] = []
        for opening in openings:
            connection = Connection(address, receive_bytes=None if reads else SMALL_RECEIVE_BYTES)
            self.connections.append(connection)
            connection.send(opening)
        if drip:
            self._dripper = threading.Thread(target=self._drips, name="dripper", daemon=True)
            self._dripper.start()

    def answers(self, method: str, *, count_min: int, timeout_s: float) -> list[Answer]:
        """What those were told who were told something, once there are so many of them or the time is over."""
        found: dict[int, Answer] = {}
        deadline = time.monotonic() + timeout_s
        while len(found) < count_min and time.monotonic() < deadline:
            for index, connection in enumerate(self.connections):
                if index not in found and not connection.is_silent(0.0):
                    found[index] = connection.answer(method)
        return list(found.values())

    def wait_until_cut(self, timeout_s: float) -> int:
        """Wait until the server has closed all but those it turned away; how many are left open. Reads nothing."""
        deadline = time.monotonic() + timeout_s
        left = list(self.connections)
        while left and time.monotonic() < deadline:
            left = [each for each in left if not (each.is_cut() or each.peek().startswith(_TURNED_AWAY))]
            if left:
                threading.Event().wait(0.2)
        return len(left)

    def close(self) -> None:
        self._stop.set()
        if self._dripper is not None:
            self._dripper.join()
        for connection in self.connections:
            connection.close()

    def _drips(self) -> None:
        while not self._stop.wait(DRIP_PERIOD_S):
            for connection in self.connections:
                try:
                    connection.socket.send(self._drip)
                except OSError:
                    continue


class GoodClients:
    """A few clients that ask one thing after the other until told to stop, and remember how long each took.

    `asks` are (method, raw request) makers, each with the statuses it may answer.
    """

    def __init__(
        self,
        address: tuple[str, int],
        asks: Sequence[tuple[str, Callable[[], bytes], int]],
        *,
        count: int = 4,
    ) -> None:
        self._address = address
        self._asks = asks
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.took_s: list[float] = []
        self.problems: list[str] = []
        self._threads = [
            threading.Thread(target=self._run, args=(seed,), daemon=True) for seed in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def p99_s(self) -> float:
        ordered = sorted(self.took_s)
        return ordered[int(len(ordered) * 0.99)]

    def _run(self, seed: int) -> None:
        chance = random.Random(seed)
        connection: Connection | None = None
        while not self._stop.is_set():
            method, make, status = chance.choice(self._asks)
            raw = make()
            started_s = time.monotonic()
            try:
                if connection is None:
                    connection = Connection(self._address)
                connection.send(raw)
                answer = connection.answer(method)
            except (NoAnswer, OSError) as error:
                self._tell(f"{method}: {error!r}")
                if connection is not None:
                    connection.close()
                    connection = None
                continue
            took_s = time.monotonic() - started_s
            with self._lock:
                self.took_s.append(took_s)
            if answer.status != status:
                self._tell(f"{method}: {answer}")
            if answer.closes or chance.random() < 0.3:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def _tell(self, problem: str) -> None:
        with self._lock:
            self.problems.append(problem)
