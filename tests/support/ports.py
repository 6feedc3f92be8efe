"""Ports for servers of tests."""

import random
import socket

FREE_PORTS = (12_000, 32_000)

# Not the module's own: what seeds that one gives tests that run side by side the same ports.
_random = random.SystemRandom()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, none of those that the system gives to whoever asks for any.

    Tests run side by side: a port of that range may be a connection's by the time that somebody listens on it.
    """
    found: list[int] = []
    while len(found) < count:
        port = _random.randrange(*FREE_PORTS)
        with socket.socket() as each:
            try:
                each.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found
