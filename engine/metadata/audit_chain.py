"""Walks the chains of the audit trail: what was changed, taken out, put elsewhere or made up shows."""

import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from functools import partial

from engine.errors import KeyUnavailable
from engine.metadata.audit import KEY_ID_BYTES, NO_HASH, AuditRow, has_hash, list_chain, next_chain
from engine.metadata.audit_anchors import Anchor, find_anchor
from engine.metadata.store import Store

PAGE_COUNT = 1000
FINDING_COUNT_MAX = 100
"""Findings told; a walk goes on behind them to count the events."""

MacUnder = Callable[[bytes, bytes], bytes]
"""The MAC under the ring key of an id; raises KeyUnavailable."""


class ChainProblem(Enum):
    """What is wrong at an event."""

    ALTERED = "altered"
    """Its MAC is another one: it was changed, or not written by this deployment."""
    DETACHED = "detached"
    """What it follows is not what stands before it: events were taken out, put elsewhere or between."""
    TRUNCATED = "truncated"
    """An event that a node knows to have been written last is gone, and whatever followed it may be."""
    KEY_UNAVAILABLE = "key unavailable"
    """Its ring key is gone, so nobody can tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainFinding:
    """Something wrong, and where. `event_seq` 0: at the end."""

    event_seq: int
    instance_id: bytes
    problem: ChainProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """What a walk saw."""

    event_count: int
    chain_count: int
    findings: tuple[ChainFinding, ...]


class ChainWalk:
    """Takes the events of chains, one chain after the other and each in its order."""

    def __init__(
        self,
        mac_under: MacUnder,
        *,
        is_known: Callable[[bytes], bool],
        anchor_of: Callable[[bytes], Anchor | None] = lambda _: None,
    ) -> None:
        """`is_known`: whether an event bears that hash, to which the first one of a chain is tied.

        `anchor_of`: what stands for an event of that hash that was dropped.
        """
        self._mac_under = mac_under
        self._is_known = is_known
        self._anchor_of = anchor_of
        self._end: tuple[bytes, bytes] | None = None
        self._event_count = 0
        self._chain_count = 0
        self._findings: list[ChainFinding] = []

    def take(self, rows: Iterable[AuditRow]) -> None:
        for row in rows:
            self._event_count += 1
            if self._end is not None and self._end[0] == row.instance_id:
                is_attached = row.previous_hash == self._end[1]
            else:
                self._chain_count += 1
                is_attached = row.previous_hash == NO_HASH or self._is_known(row.previous_hash)
            # Events before it may have been dropped since the page before was read, too.
            if not is_attached and not self._is_anchored(row.previous_hash):
                self._find(row, ChainProblem.DETACHED)
            problem = self._forged(row)
            if problem is not None:
                self._find(row, problem)
            self._end = (row.instance_id, row.hash)

    def report(self) -> ChainReport:
        return ChainReport(
            event_count=self._event_count, chain_count=self._chain_count, findings=tuple(self._findings)
        )

    def _is_anchored(self, value: bytes) -> bool:
        anchor = self._anchor_of(value)
        return anchor is not None and self._forgery(anchor.seal, anchor.covered) is None

    def _forged(self, row: AuditRow) -> ChainProblem | None:
        return self._forgery(row.hash, row.covered)

    def _forgery(self, seal: bytes, covered: bytes) -> ChainProblem | None:
        key_id, mac = seal[:KEY_ID_BYTES], seal[KEY_ID_BYTES:]
        try:
            expected = self._mac_under(key_id, covered)
        except KeyUnavailable:
            return ChainProblem.KEY_UNAVAILABLE
        return None if hmac.compare_digest(expected, mac) else ChainProblem.ALTERED

    def _find(self, row: AuditRow, problem: ChainProblem) -> None:
        if len(self._findings) < FINDING_COUNT_MAX:
            self._findings.append(
                ChainFinding(event_seq=row.event_seq, instance_id=row.instance_id, problem=problem)
            )


def walk_chains(store: Store, mac_under: MacUnder) -> ChainReport:
    """Walk every event there is, a page a transaction. Chains grow meanwhile without harm."""
    walk = ChainWalk(
        mac_under,
        is_known=lambda value: store.read(partial(has_hash, value=value)),
        anchor_of=lambda value: store.read(partial(find_anchor, value=value)),
    )
    chain = b""
    while (found := store.read(partial(next_chain, after=chain))) is not None:
        chain, after = found, 0
        while rows := store.read(partial(list_chain, instance_id=chain, after=after, count_max=PAGE_COUNT)):
            walk.take(rows)
            after = rows[-1].event_seq
    return walk.report()
