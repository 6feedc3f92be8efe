"""Pipes that bytes pass through from one socket to another without entering this process's memory (splice(2))."""

import fcntl
import os
import select
import socket
import termios
import threading

from engine.units import KIB, MIB

PIPE_BYTES = MIB
"""What a pipe holds. Through smaller ones bytes pass in so many steps that memory is the cheaper way."""

PIPE_COUNT_MAX = 24
"""Pipes of one process, two descriptors each; further bodies pass through memory.

A user's pipes may hold 64 MiB together, and then get no more room, unless the machine is set up otherwise.
"""

KEPT_COUNT_MAX = 8
"""Empty pipes kept for the next taker."""

GATHERED_BYTES = 512 * KIB
GATHERING_MS = 5
"""For so long it is waited for that much, when nothing is there: fewer and larger steps."""

_FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK


class Pipe:
    """For one thread at a time. `read_fd` is what whoever sends its bytes splices from, without waiting."""

    __slots__ = ("_write_fd", "read_fd")

    def __init__(self) -> None:
        """Raises OSError where no descriptor is left, or no room."""
        self.read_fd, self._write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            fcntl.fcntl(self._write_fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        except OSError:
            self.close()
            raise

    @property
    def is_empty(self) -> bool:
        count = bytearray(4)
        fcntl.ioctl(self.read_fd, termios.FIONREAD, count)
        return not any(count)

    def fill_from(self, sock: socket.socket, bytes_max: int, *, timeout_s: float | None) -> int:
        """Move what has come over a socket into the empty pipe, waiting for the first byte; 0 at the socket's end.

        Raises TimeoutError, and OSError for whatever the network does; the pipe is empty then.
        """
        assert self.is_empty, "what was in the pipe has gone out"
        while True:
            try:
                return os.splice(sock.fileno(), self._write_fd, bytes_max, flags=_FLAGS)
            except BlockingIOError:
                _wait_readable(sock, bytes_max, timeout_s)

    def close(self) -> None:
        os.close(self.read_fd)
        os.close(self._write_fd)


class PipePool:
    """The pipes of one process. Safe for many threads; every pipe taken is given back once."""

    def __init__(self, *, count_max: int = PIPE_COUNT_MAX, kept_count_max: int = KEPT_COUNT_MAX) -> None:
        self._lock = threading.Lock()
        self._kept: list[Pipe] = []
        self._count_max = count_max
        self._kept_count_max = kept_count_max
        self._out_count = 0

    @property
    def out_count(self) -> int:
        """Pipes taken and not given back."""
        return self._out_count

    def take(self) -> Pipe | None:
        """An empty pipe; null where all are out, or the machine gives no more."""
        with self._lock:
            if self._out_count >= self._count_max:
                return None
            self._out_count += 1
            if self._kept:
                return self._kept.pop()
        try:
            return Pipe()
        except OSError:
            with self._lock:
                self._out_count -= 1
            return None

    def give_back(self, pipe: Pipe) -> None:
        """One with bytes in it is closed: they belong to a body that broke off."""
        is_empty = pipe.is_empty
        with self._lock:
            self._out_count -= 1
            if is_empty and len(self._kept) < self._kept_count_max:
                self._kept.append(pipe)
                return
        pipe.close()


def _wait_readable(sock: socket.socket, bytes_max: int, timeout_s: float | None) -> None:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    # For a moment it counts as readable only once much has come: a step for every packet costs more than memory does.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, min(bytes_max, GATHERED_BYTES))
    try:
        if poll.poll(GATHERING_MS):
            return
    finally:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
    if not poll.poll(None if timeout_s is None else timeout_s * 1000):
        raise TimeoutError("nothing came in time")
