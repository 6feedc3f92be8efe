"""How a process tells: datagrams to a socket of the control plane, which waits for nobody and may be away.

A datagram is JSON lines. The first one says of what kind the others are, who tells, and how many were dropped before:
`{"kind":"log","pid":7,"dropped":0}`.
"""

import json
import os
import socket
import threading
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

SOCKET_NAME = "told.sock"
DATAGRAM_BYTES_MAX = 48 * 1024
"""Less than what a socket of any Linux sends at once; a line is far shorter."""


class Kind(Enum):
    """What the lines of a datagram are."""

    LOG = "log"
    REQUEST = "request"


class Teller:
    """Sends lines, for any thread. What finds nobody or no room is dropped, and counted until somebody can be told."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._dropped = dict.fromkeys(Kind, 0)

    def tell(self, kind: Kind, lines: Sequence[bytes]) -> None:
        """Never waits, never raises."""
        with self._lock:
            for batch in _batches(lines):
                head = {"kind": kind.value, "pid": os.getpid(), "dropped": self._dropped[kind]}
                data = b"\n".join([json.dumps(head).encode(), *batch])
                if self._send(data):
                    self._dropped[kind] = 0
                else:
                    self._dropped[kind] += len(batch)

    def close(self) -> None:
        with self._lock:
            self._forget()

    def _send(self, data: bytes) -> bool:
        for _ in range(2):
            try:
                if self._socket is None:
                    self._socket = self._connected()
                self._socket.send(data)
                return True
            except BlockingIOError:
                return False
            except OSError:
                # Nobody is there, or another one than before: one more try finds out.
                self._forget()
        return False

    def _connected(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        # The name of a socket has at most 107 bytes: a folder's may be longer, that of its descriptor is not.
        folder = os.open(self._state_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            made.connect(f"/proc/self/fd/{folder}/{SOCKET_NAME}")
        except OSError:
            made.close()
            raise
        finally:
            os.close(folder)
        return made

    def _forget(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _batches(lines: Sequence[bytes]) -> list[list[bytes]]:
    batches: list[list[bytes]] = []
    size_bytes = DATAGRAM_BYTES_MAX
    for line in lines:
        if size_bytes + len(line) > DATAGRAM_BYTES_MAX:
            batches.append([])
            size_bytes = 0
        batches[-1].append(line)
        size_bytes += len(line) + 1
    return batches
