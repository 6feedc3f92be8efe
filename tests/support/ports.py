"""Ports for servers of tests."""

import os
import random
import socket
from collections.abc import Iterator
from itertools import cycle

FREE_PORTS = (12_000, 32_000)

# Not the module's own: what seeds that one gives tests that run side by side the same ports.
_random = random.SystemRandom()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, none of those that the system gives to whoever asks for any.

    Tests run side by side: a port of that range may be a connection's by the time that somebody listens on it. And
    servers that share theirs (SO_REUSEPORT) would answer for each other: every process of a test run has ports of its
    own, and none twice until all were given away.
    """
    found: list[int] = []
    while len(found) < count:
        port = next(_next_ports)
        with socket.socket() as each:
            try:
                each.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    return found


def _own_ports() -> Iterator[int]:
    first, end = FREE_PORTS
    share = (end - first) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    first += share * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    own = range(first, first + share)
    start = _random.randrange(share)
    return cycle((*own[start:], *own[:start]))


_next_ports = _own_ports()
