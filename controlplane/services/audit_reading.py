"""The audit's part of LogService: events as they stand, as they come, and whether any were tampered with."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from functools import partial

from penstock.admin.v1 import audit_pb2
from penstock.admin.v1 import log_service_pb2 as pb

from controlplane.audit import HeadFile
from controlplane.fields import read_page_size, read_page_token, write_page_token
from controlplane.pool import EnginePool
from controlplane.times import read_timestamp, timestamp
from engine.errors import MalformedField
from engine.metadata.audit import ALL, AuditFilter, AuditRow, has_hash, list_after, list_events, newest_seq
from engine.metadata.audit_chain import ChainFinding, ChainProblem, ChainReport, walk_chains
from engine.metadata.store import Store
from engine.sealing.keyring import KeyRing

LOOK_S = 0.5
"""Pause between two looks for new events."""

LATE_COUNT = 64
"""Events of other instances may show after younger ones: so many numbers are looked at again."""

PAGE_COUNT = 500
TAIL_COUNT_MAX = 1000
_NEWEST = 2**62

_PROBLEMS = {
    ChainProblem.ALTERED: audit_pb2.AUDIT_PROBLEM_ALTERED,
    ChainProblem.DETACHED: audit_pb2.AUDIT_PROBLEM_DETACHED,
    ChainProblem.TRUNCATED: audit_pb2.AUDIT_PROBLEM_TRUNCATED,
    ChainProblem.KEY_UNAVAILABLE: audit_pb2.AUDIT_PROBLEM_KEY_UNAVAILABLE,
}


class AuditReading:
    """Reads the trail of all instances; only the head of this node is known beside it."""

    def __init__(self, store: Store, ring: KeyRing, pool: EnginePool, head_file: HeadFile) -> None:
        self._store = store
        self._ring = ring
        self._pool = pool
        self._head_file = head_file

    async def page(self, request: pb.ListAuditEventsRequest) -> pb.ListAuditEventsResponse:
        count_max = read_page_size(request.page_size)
        before = _read_position(read_page_token(request.page_token))
        wanted = _read_filter(request)
        rows = await self._pool.run(
            self._store.read, partial(list_events, wanted=wanted, before=before, count_max=count_max + 1)
        )
        shown = rows[:count_max]
        position = str(shown[-1].event_seq) if len(rows) > count_max else None
        return pb.ListAuditEventsResponse(
            events=[write_event(row) for row in shown], next_page_token=write_page_token(position)
        )

    async def tail(self, tail_count: int) -> AsyncIterator[AuditRow]:
        """Goes on until whoever asks has enough."""
        if not 0 <= tail_count <= TAIL_COUNT_MAX:
            raise MalformedField("tail_count", f"expected 0 to {TAIL_COUNT_MAX}")
        newest = await self._pool.run(self._store.read, newest_seq)
        seen: deque[int] = deque(maxlen=2 * LATE_COUNT)
        start = newest
        if tail_count:
            last = await self._pool.run(
                self._store.read, partial(list_events, wanted=ALL, before=_NEWEST, count_max=tail_count)
            )
            for row in reversed(last):
                yield row
                seen.append(row.event_seq)
                newest = max(newest, row.event_seq)
        while True:
            after = max(start, newest - LATE_COUNT)
            rows = await self._pool.run(
                self._store.read, partial(list_after, after=after, count_max=PAGE_COUNT)
            )
            for row in rows:
                if row.event_seq not in seen:
                    yield row
                    seen.append(row.event_seq)
                    newest = max(newest, row.event_seq)
            if len(rows) < PAGE_COUNT:
                await asyncio.sleep(LOOK_S)

    async def verify(self) -> pb.VerifyAuditResponse:
        report = await self._pool.run(self._walk)
        answer = pb.VerifyAuditResponse(event_count=report.event_count, chain_count=report.chain_count)
        for finding in report.findings:
            answer.findings.add(
                sequence=finding.event_seq,
                instance=f"instances/{finding.instance_id.hex()}",
                problem=_PROBLEMS[finding.problem],
            )
        return answer

    def _walk(self) -> ChainReport:
        # Read first: what is written while the chains are walked makes no end look cut off.
        head = self._head_file.read()
        report = walk_chains(self._store, lambda key_id, covered: self._ring.key(key_id).audit_mac(covered))
        if head is None or self._store.read(partial(has_hash, value=head[1])):
            return report
        cut = ChainFinding(event_seq=0, instance_id=head[0], problem=ChainProblem.TRUNCATED)
        return ChainReport(
            event_count=report.event_count, chain_count=report.chain_count, findings=(*report.findings, cut)
        )


def write_event(row: AuditRow) -> audit_pb2.AuditEvent:
    event = row.event
    return audit_pb2.AuditEvent(
        sequence=row.event_seq,
        create_time=timestamp(row.created_at_us),
        instance=f"instances/{row.instance_id.hex()}",
        actor=event.actor,
        method=event.action,
        resource=event.resource or "",
        outcome=event.outcome,
        request_id=event.request_id,
        peer=event.peer,
        detail=event.detail or "",
    )


def _read_filter(request: pb.ListAuditEventsRequest) -> AuditFilter:
    method = request.method
    if method and not method.startswith("/"):
        method = f"/penstock.admin.v1.{method}"
    return AuditFilter(
        actor=request.actor or None,
        action=method or None,
        resource=request.resource or None,
        outcome=request.outcome or None,
        request_id=request.request_id or None,
        since_us=read_timestamp("since", request.since) if request.HasField("since") else 0,
        until_us=read_timestamp("until", request.until) if request.HasField("until") else _NEWEST,
    )


def _read_position(position: str | None) -> int:
    if position is None:
        return _NEWEST
    if not position.isascii() or not position.isdecimal() or len(position) > 18:
        raise MalformedField("page_token", "not a token of this method")
    return int(position)
