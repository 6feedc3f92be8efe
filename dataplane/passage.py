"""One request from its head to the end of its answer: what is counted and logged about it, and the place it holds."""

import itertools
import os
import time
from collections.abc import Callable
from typing import Any

from dataplane.middleware.access_log import AccessLog
from dataplane.middleware.admission import Ticket
from dataplane.middleware.measures import Measures
from dataplane.wire.target import Target
from dataplane.wire.times import iso_time

UNROUTED = "unknown"
"""Operation of a request that was refused before its operation was found."""


class RequestIds:
    """Sixteen hex digits each, never the same twice in a process, and hardly in a deployment."""

    def __init__(self) -> None:
        self._prefix = os.urandom(4).hex().upper()
        self._numbers = itertools.count(int.from_bytes(os.urandom(3), "big"))

    def next(self) -> str:
        return f"{self._prefix}{next(self._numbers) & 0xFFFFFFFF:08X}"


class Ledger:
    """Where passages write themselves down when they end."""

    def __init__(self, *, measures: Measures, access_log: AccessLog, now_us: Callable[[], int]) -> None:
        self.measures = measures
        self.access_log = access_log
        self.now_us = now_us


class Passage:
    """Filled in as the request goes on; `ended` is called once by the server."""

    __slots__ = (
        "_ledger",
        "access_key_id",
        "code",
        "operation",
        "peer",
        "request_id",
        "started_s",
        "target",
        "ticket",
        "user_agent",
    )

    def __init__(self, ledger: Ledger, request_id: str, environ: dict[str, Any]) -> None:
        self._ledger = ledger
        self.request_id = request_id
        self.started_s: float = environ["penstock.started_s"]
        self.peer: str = environ["REMOTE_ADDR"]
        self.operation = UNROUTED
        self.target: Target | None = None
        self.access_key_id = ""
        self.user_agent = ""
        self.code = ""
        self.ticket: Ticket | None = None

    def release(self) -> None:
        """Give back the place in flight."""
        if self.ticket is not None:
            self.ticket.release()

    def ended(self, status: int, received_bytes: int, sent_bytes: int, is_whole: bool) -> None:
        """The last byte left, or the connection is gone."""
        self.release()
        ledger = self._ledger
        took_s = time.monotonic() - self.started_s
        measures = ledger.measures.of(self.operation)
        measures.count(status)
        measures.latency(took_s)
        if received_bytes:
            measures.bytes_in(received_bytes)
        if sent_bytes:
            measures.bytes_out(sent_bytes)
        target = self.target
        key = b"" if target is None or target.key is None else target.key
        ledger.access_log.record(
            time_text=iso_time(ledger.now_us()),
            request_id=self.request_id,
            peer=self.peer,
            access_key_id=self.access_key_id,
            operation=self.operation,
            bucket="" if target is None or target.bucket is None else target.bucket,
            key=key.decode("utf-8", "replace"),
            status=status,
            code=self.code if is_whole or self.code else "ConnectionCut",
            bytes_in=received_bytes,
            bytes_out=sent_bytes,
            duration_us=int(took_s * 1_000_000),
            user_agent=self.user_agent,
        )
