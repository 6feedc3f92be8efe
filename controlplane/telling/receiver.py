"""Takes what the node's processes tell from a datagram socket in the state folder."""

import json
import logging
import os
import socket
import threading
from pathlib import Path
from typing import Any

from controlplane.telling.log_ring import LogRing
from controlplane.telling.tracing import Tracers
from engine.telling.datagrams import SOCKET_NAME, Kind
from engine.telling.lines import plain_line, read_line

RECEIVE_BYTES_MAX = 256 * 1024

_REQUEST_FIELDS = {
    **dict.fromkeys(
        ("request_id", "peer", "access_key_id", "operation", "bucket", "key", "code", "user_agent"), str
    ),
    **dict.fromkeys(("time_us", "status", "received_bytes", "sent_bytes", "duration_us"), int),
}

_log = logging.getLogger("penstock.control")


class Receiver(threading.Thread):
    """Only the owner of the state folder reaches the socket, and still: what is not understood is left out."""

    def __init__(self, state_dir: Path, ring: LogRing, tracers: Tracers) -> None:
        super().__init__(name="told", daemon=True)
        self._ring = ring
        self._tracers = tracers
        self._stopping = threading.Event()
        self._path = state_dir / SOCKET_NAME
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._path.unlink(missing_ok=True)
        folder = os.open(state_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._socket.bind(f"/proc/self/fd/{folder}/{SOCKET_NAME}")
        finally:
            os.close(folder)
        os.chmod(self._path, 0o600)

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                data = self._socket.recv(RECEIVE_BYTES_MAX)
            except OSError as error:
                _log.error("told.receive_failed", extra={"why": str(error)})
                return
            if not data and self._stopping.is_set():
                return
            try:
                self._take(data)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                _log.warning("told.not_understood", extra={"why": str(error)[:200]})

    def stop(self, timeout_s: float) -> bool:
        """Whether the thread has ended."""
        self._stopping.set()
        if self.is_alive():
            # It waits for something to be told, and is woken with nothing.
            self._socket.shutdown(socket.SHUT_RD)
        if self.ident is not None:
            self.join(timeout_s)
        if self.is_alive():
            return False
        self._socket.close()
        self._path.unlink(missing_ok=True)
        return True

    def _take(self, data: bytes) -> None:
        head, *lines = data.split(b"\n")
        said = json.loads(head)
        kind, pid, dropped_count = Kind(said["kind"]), int(said["pid"]), int(said["dropped"])
        if kind is Kind.LOG:
            if dropped_count:
                self._tell_dropped(pid, dropped_count)
            for line in lines:
                self._ring.append(read_line(json.loads(line)))
            return
        if dropped_count:
            self._tracers.dropped(dropped_count)
        for line in lines:
            self._tracers.offer(_read_request(json.loads(line), pid))

    def _tell_dropped(self, pid: int, count: int) -> None:
        fields = {"count": str(count)}
        line = plain_line(
            logger="penstock.logs", process="dataplane", pid=pid, event="log.lines_not_told", fields=fields
        )
        self._ring.append(line)


def _read_request(told: dict[str, Any], pid: int) -> dict[str, Any]:
    return {name: kind(told[name]) for name, kind in _REQUEST_FIELDS.items()} | {"pid": pid}
