"""A client's connection as the loop sees it: what it waits for, until when, and what has arrived."""

import fcntl
import struct
import termios
from enum import Enum

from dataplane.server.bodies import ChunkedScan
from dataplane.server.contract import Lane
from dataplane.server.heads import RequestHead
from dataplane.server.requests import Request
from dataplane.server.tls import AnySocket

NEVER_S = float("inf")


class Phase(Enum):
    """What a connection waits for."""

    HANDSHAKE = "handshake"
    """The client's part in beginning TLS."""

    HEAD = "head"
    """The next head or the rest of it."""

    BODY = "body"
    """The beginning of a body, before anybody reads it."""

    OWNED = "owned"
    """A thread, which alone touches it. Its events are not asked for."""

    SENDING = "sending"
    """Room in the socket."""

    WAITING = "waiting"
    """A free thread, in the middle of a response."""

    LINGERING = "lingering"
    """The client's own end, after the last response."""

    CLOSED = "closed"


class Connection:
    """State of one connection; `buffer` holds bytes received and not yet consumed, in order."""

    __slots__ = (
        "armed",
        "buffer",
        "deadline_s",
        "drained_bytes",
        "fd",
        "head",
        "is_head_begun",
        "lane",
        "listener",
        "peer",
        "phase",
        "progress_s",
        "request",
        "scan",
        "scanned_bytes",
        "sock",
        "started_s",
        "taken_bytes",
        "wanted_bytes",
        "window_bytes",
        "window_s",
    )

    def __init__(self, sock: AnySocket, *, peer: str, listener: int, deadline_s: float) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.peer = peer
        self.listener = listener
        self.buffer = bytearray()
        self.phase = Phase.HEAD
        self.deadline_s = deadline_s
        self.armed = 0
        self.is_head_begun = False
        self.scanned_bytes = 0
        self.head: RequestHead | None = None
        self.started_s = 0.0
        self.lane = Lane.INLINE
        self.request: Request | None = None
        self.scan: ChunkedScan | None = None
        self.wanted_bytes = 0
        self.window_s = 0.0
        self.window_bytes = 0
        self.progress_s = 0.0
        self.taken_bytes = 0
        self.drained_bytes = 0

    @property
    def is_idle(self) -> bool:
        """Between requests, and nothing of the next one is here."""
        if self.phase is not Phase.HEAD or self.buffer:
            return False
        raw = fcntl.ioctl(self.sock, termios.FIONREAD, b"\0\0\0\0")
        return int(struct.unpack("i", raw)[0]) == 0

    def unacknowledged_bytes(self) -> int:
        """What the kernel still holds for the client (SIOCOUTQ, tcp(7))."""
        raw = fcntl.ioctl(self.sock, termios.TIOCOUTQ, b"\0\0\0\0")
        return int(struct.unpack("i", raw)[0])
