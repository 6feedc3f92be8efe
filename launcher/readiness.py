"""Asks the planes while they start whether they serve yet, and says where in one plain line."""

import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

ANSWER_TIMEOUT_S = 0.3
"""Longest time one look may take: meanwhile no signal is answered."""

ANSWER_BYTES_MAX = 4096

PATIENCE_S = 30.0
"""A start that takes longer is said to do so, once."""

_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where the planes that were asked for listen; null for what does not.

    `s3`, `control`, `metrics`: `host:port`; `s3_speaks_tls` at the first of them.
    """

    s3: str | None
    metrics: str | None
    control: str | None
    control_socket: str | None
    s3_speaks_tls: bool = False

    @classmethod
    def read(cls, text: str) -> Self:
        """What `launcher.preflight` printed."""
        told: dict[str, Any] = json.loads(text)
        return cls(**told)

    def line(self) -> str:
        """In words."""
        parts = []
        if self.s3 is not None:
            parts.append(f"S3 at {'https' if self.s3_speaks_tls else 'http'}://{self.s3}")
        if self.control is not None:
            parts.append(f"the control API at {self.control}")
        elif self.control_socket is not None:
            parts.append(f"the control API at unix:{self.control_socket}")
        if self.metrics is not None:
            parts.append(f"metrics at http://{self.metrics}/metrics")
        return "serving " + ", ".join(parts)


class Readiness:
    """Told to `look` again and again; says once that all serve. `expect` begins anew."""

    def __init__(
        self,
        listening: Listening,
        *,
        say: Callable[[str], None],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._listening = listening
        self._say = say
        self._now_s = now_s
        self._is_awaited = False
        self._complain_at_s = 0.0

    @property
    def is_awaited(self) -> bool:
        """Whether there is something left to look for."""
        return self._is_awaited

    def expect(self) -> None:
        """Something was started."""
        self._is_awaited = True
        self._complain_at_s = self._now_s() + PATIENCE_S

    def look(self) -> None:
        """Ask once, for `ANSWER_TIMEOUT_S` at most, and say what there is to be said."""
        if not self._is_awaited:
            return
        problem = self._problem()
        if problem is None:
            self._is_awaited = False
            self._say(self._listening.line())
        elif self._now_s() >= self._complain_at_s:
            self._complain_at_s = float("inf")
            self._say(f"not serving yet after {PATIENCE_S:g} s: {problem}")

    def _problem(self) -> str | None:
        listening = self._listening
        try:
            if listening.control is not None:
                _connect(listening.control).close()
            elif listening.control_socket is not None:
                connect_unix(Path(listening.control_socket))
            if listening.s3_speaks_tls:
                # A client without certificates cannot ask there; readiness is told beside the metrics as well.
                return None if listening.metrics is None else _not_ready(listening.metrics)
            if listening.s3 is not None:
                return _not_ready(listening.s3)
        except OSError as error:
            return f"no answer ({error.strerror or error})"
        return None


def _connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    return socket.create_connection((_EVERYWHERE.get(host, host), int(port)), ANSWER_TIMEOUT_S)


def connect_unix(path: Path) -> None:
    """Connect once; raises OSError where nobody accepts."""
    # The name of a socket has at most 107 bytes: a folder's may be longer, that of its descriptor is not.
    folder_fd = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX) as each:
            each.settimeout(ANSWER_TIMEOUT_S)
            each.connect(f"/proc/self/fd/{folder_fd}/{path.name}")
    finally:
        os.close(folder_fd)


def _not_ready(address: str) -> str | None:
    """What the data plane says is in the way of requests; null when nothing is."""
    with _connect(address) as each:
        each.sendall(b"GET /-/ready HTTP/1.0\r\nHost: localhost\r\n\r\n")
        answer = b""
        while len(answer) < ANSWER_BYTES_MAX and (more := each.recv(ANSWER_BYTES_MAX)):
            answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.split(b" ")[1:2] == [b"200"]:
        return None
    try:
        told: Any = json.loads(body)
        return str(told["problem"])
    except (ValueError, KeyError, TypeError):
        return "the data plane gives no sensible answer"
