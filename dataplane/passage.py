"""One request from its head to the end of its answer: what is counted and logged about it, and the place it holds."""

import itertools
import os
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from dataplane.middleware.access_log import AccessLog
from dataplane.middleware.admission import Ticket
from dataplane.middleware.measures import Measures
from dataplane.middleware.traces import Traces
from dataplane.wire.target import Target
from dataplane.wire.times import iso_time
from dataplane.wire.usage_kinds import CONTENT_OPERATIONS, USAGE_KINDS
from engine.metadata.bucket_usage import NamedBucket
from engine.records import UsageKind

ENDED_COUNT_MAX = 50_000
"""Requests that wait to be counted and logged."""

NO_BUCKET = "NoSuchBucket"
ERRORS_FROM = 400

UNROUTED = "unknown"
"""Operation of a request that was refused before its operation was found."""


class BucketUses(Protocol):
    """Where it is counted what clients ask of buckets; that there is such a bucket is not known yet."""

    def count(
        self,
        bucket: NamedBucket,
        kind: UsageKind,
        /,
        *,
        request_count: int,
        content_count: int,
        received_bytes: int,
        sent_bytes: int,
    ) -> None:
        """So many requests of one kind; `content_count` of them stored the content of an object or a part."""


class RequestIds:
    """Sixteen hex digits each, never the same twice in a process, and hardly in a deployment."""

    def __init__(self) -> None:
        self._prefix = os.urandom(4).hex().upper()
        self._numbers = itertools.count(int.from_bytes(os.urandom(3), "big"))

    def next(self) -> str:
        return f"{self._prefix}{next(self._numbers) & 0xFFFFFFFF:08X}"


class Ledger:
    """Where passages write themselves down when they end.

    A request only leaves its facts; `settle`, called by the plane itself, counts and logs many together, which takes
    half the time and none of a request's.
    """

    def __init__(
        self,
        *,
        measures: Measures,
        access_log: AccessLog,
        traces: Traces,
        bucket_uses: BucketUses,
        now_us: Callable[[], int],
    ) -> None:
        self.now_us = now_us
        self._bucket_uses = bucket_uses
        self._measures = measures
        self._access_log = access_log
        self._traces = traces
        self._ended: deque[Ending] = deque()

    def count_refusal(self, status: int) -> None:
        """A request that the server refused itself."""
        self._measures.of("none").count(status)

    def end(self, ending: "Ending") -> None:
        """For any thread. Beyond `ENDED_COUNT_MAX` that wait, one is left out and counted as dropped."""
        if len(self._ended) >= ENDED_COUNT_MAX:
            self._access_log.dropped_count += 1
        else:
            self._ended.append(ending)

    def settle(self) -> None:
        """Count and log what has ended; for one thread."""
        by_operation: dict[str, list[Ending]] = {}
        for _ in range(len(self._ended)):
            ending = self._ended.popleft()
            by_operation.setdefault(ending.passage.operation, []).append(ending)
            self._log(ending)
            if self._traces.wish is not None:
                self._traces.take(_told(ending))
        for operation, endings in by_operation.items():
            self._count(operation, endings)
            kind = USAGE_KINDS.get(operation)
            if kind is not None:
                self._count_buckets(operation, kind, endings)
        self._traces.flush()

    def _count(self, operation: str, endings: "list[Ending]") -> None:
        measures = self._measures.of(operation)
        for status, count in Counter(each.status for each in endings).items():
            measures.count(status, count)
        measures.latencies([each.took_s for each in endings])
        received_bytes = sum(each.received_bytes for each in endings)
        if received_bytes:
            measures.bytes_in(received_bytes)
        sent_bytes = sum(each.sent_bytes for each in endings)
        if sent_bytes:
            measures.bytes_out(sent_bytes)

    def _count_buckets(self, operation: str, kind: UsageKind, endings: "list[Ending]") -> None:
        is_content = operation in CONTENT_OPERATIONS
        # By name and account: how many, how many of them stored content, bytes received, bytes sent.
        asked: dict[tuple[str | None, int], list[int]] = {}
        for passage, status, received_bytes, sent_bytes, *_ in endings:
            if passage.code == NO_BUCKET or passage.target is None:
                continue
            content_count = 1 if is_content and status < ERRORS_FROM else 0
            key = (passage.target.bucket, passage.account_id)
            sums = asked.get(key)
            if sums is None:
                asked[key] = [1, content_count, received_bytes, sent_bytes]
            else:
                sums[0] += 1
                sums[1] += content_count
                sums[2] += received_bytes
                sums[3] += sent_bytes
        for (bucket, account_id), sums in asked.items():
            if bucket is not None:
                self._bucket_uses.count(
                    NamedBucket(bucket, account_id),
                    kind,
                    request_count=sums[0],
                    content_count=sums[1],
                    received_bytes=sums[2],
                    sent_bytes=sums[3],
                )

    def _log(self, ending: "Ending") -> None:
        passage, target = ending.passage, ending.passage.target
        self._access_log.record(
            time_text=iso_time(ending.ended_us),
            request_id=passage.request_id,
            peer=passage.peer,
            access_key_id=passage.access_key_id,
            operation=passage.operation,
            bucket="" if target is None or target.bucket is None else target.bucket,
            key=_key_text(target),
            status=ending.status,
            code=_code(ending),
            bytes_in=ending.received_bytes,
            bytes_out=ending.sent_bytes,
            duration_us=int(ending.took_s * 1_000_000),
            user_agent=passage.user_agent,
        )


class Passage:
    """Filled in as the request goes on; `ended` is called once by the server."""

    __slots__ = (
        "_ledger",
        "access_key_id",
        "account_id",
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
        # Of whoever signed; there is none of that number.
        self.account_id = 0
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
        took_s = time.monotonic() - self.started_s
        ledger = self._ledger
        ledger.end(Ending(self, status, received_bytes, sent_bytes, is_whole, took_s, ledger.now_us()))


class Ending(NamedTuple):
    """How a passage ended, by the clock at its end."""

    passage: Passage
    status: int
    received_bytes: int
    sent_bytes: int
    is_whole: bool
    took_s: float
    ended_us: int


def _key_text(target: Target | None) -> str:
    return "" if target is None or target.key is None else target.key.decode("utf-8", "replace")


def _code(ending: Ending) -> str:
    return ending.passage.code if ending.is_whole or ending.passage.code else "ConnectionCut"


def _told(ending: Ending) -> dict[str, Any]:
    """What one who traces gets to know."""
    passage, target = ending.passage, ending.passage.target
    return {
        "time_us": ending.ended_us,
        "request_id": passage.request_id,
        "peer": passage.peer,
        "access_key_id": passage.access_key_id,
        "operation": passage.operation,
        "bucket": "" if target is None or target.bucket is None else target.bucket,
        "key": _key_text(target),
        "status": ending.status,
        "code": _code(ending),
        "received_bytes": ending.received_bytes,
        "sent_bytes": ending.sent_bytes,
        "duration_us": int(ending.took_s * 1_000_000),
        "user_agent": passage.user_agent,
    }
