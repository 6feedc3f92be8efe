"""The audit trail: one event for each step of a call that changes something, chained so that gaps and changes show.

Each instance has a chain of its own. An event's `hash` is a ring key's id and a MAC under that key, over the event and
the hash before it: whoever can write to the database alone can neither change an event nor make one up.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from engine.metadata.store import Row, SqlValue, Tx

KEY_ID_BYTES = 16
NO_HASH = b"\0" * 48
"""What the very first event of a deployment follows."""

Seal = Callable[[bytes], bytes]
"""Key id and MAC of what an event says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """What there is to say. `outcome` is `BEGUN`, or the name of the status the call ended with."""

    actor: str
    action: str
    resource: str | None
    outcome: str
    request_id: str
    peer: str
    detail: str | None
    """JSON: the request without secrets, or what came of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """An event as it is stored."""

    event_seq: int
    instance_id: bytes
    event: AuditEvent
    created_at_us: int
    previous_hash: bytes
    hash: bytes

    @property
    def covered(self) -> bytes:
        """What the hash is over."""
        return covered_bytes(self.event, self.instance_id, self.created_at_us, self.previous_hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which events are wanted; null: whichever."""

    actor: str | None = None
    action: str | None = None
    resource: str | None = None
    outcome: str | None = None
    request_id: str | None = None
    since_us: int = 0
    until_us: int = 2**62


ALL = AuditFilter()


def covered_bytes(event: AuditEvent, instance_id: bytes, created_at_us: int, previous_hash: bytes) -> bytes:
    """One JSON list, UTF-8, without blanks."""
    told = [
        instance_id.hex(),
        previous_hash.hex(),
        created_at_us,
        event.actor,
        event.action,
        event.resource,
        event.outcome,
        event.request_id,
        event.peer,
        event.detail,
    ]
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def append(tx: Tx, event: AuditEvent, *, instance_id: bytes, seal: Seal) -> AuditRow:
    """Chain an event to the last one of its instance; the first one follows the newest of any instance.

    For one writer at a time of an instance: a second one breaks on the unique index, and writes nothing.
    """
    last = tx.row_or_none("find_last_audit_event", {"instance_id": instance_id})
    if last is None:
        last = tx.row_or_none("find_newest_audit_event", {})
    previous_hash = NO_HASH if last is None else cast(bytes, last[0])
    now_us = tx.now_us()
    sealed = seal(covered_bytes(event, instance_id, now_us, previous_hash))
    (event_seq,) = tx.row(
        "insert_audit_event",
        {
            "instance_id": instance_id,
            "actor": event.actor,
            "action": event.action,
            "resource": event.resource,
            "outcome": event.outcome,
            "request_id": event.request_id,
            "peer": event.peer,
            "detail": event.detail,
            "now_us": now_us,
            "previous_hash": previous_hash,
            "hash": sealed,
        },
    )
    return AuditRow(
        event_seq=cast(int, event_seq),
        instance_id=instance_id,
        event=event,
        created_at_us=now_us,
        previous_hash=previous_hash,
        hash=sealed,
    )


def list_events(tx: Tx, *, wanted: AuditFilter, before: int, count_max: int) -> list[AuditRow]:
    """The newest first, those after `before` left out."""
    params: dict[str, SqlValue] = {
        "actor": wanted.actor,
        "action": wanted.action,
        "resource": wanted.resource,
        "outcome": wanted.outcome,
        "request_id": wanted.request_id,
        "since_us": wanted.since_us,
        "until_us": wanted.until_us,
        "before": before,
        "count_max": count_max,
    }
    return _read_all(tx.rows("list_audit_events", params))


def list_after(tx: Tx, *, after: int, count_max: int) -> list[AuditRow]:
    """In the order they were written."""
    return _read_all(tx.rows("list_audit_events_after", {"after": after, "count_max": count_max}))


def next_chain(tx: Tx, *, after: bytes) -> bytes | None:
    """The instance of the next chain by id; null behind the last."""
    row = tx.row_or_none("find_next_audit_chain", {"after": after})
    return None if row is None else cast(bytes, row[0])


def list_chain(tx: Tx, *, instance_id: bytes, after: int, count_max: int) -> list[AuditRow]:
    """Events of one instance, in the order they were written."""
    params: dict[str, SqlValue] = {"instance_id": instance_id, "after": after, "count_max": count_max}
    return _read_all(tx.rows("list_audit_chain", params))


def newest_seq(tx: Tx) -> int:
    """0 when there is none."""
    row = tx.row_or_none("find_newest_audit_event", {})
    return 0 if row is None else cast(int, row[1])


def has_hash(tx: Tx, *, value: bytes) -> bool:
    """Whether an event bears that hash."""
    return tx.row_or_none("find_audit_hash", {"hash": value}) is not None


def _read_all(rows: Sequence[Row]) -> list[AuditRow]:
    return [_read(row) for row in rows]


def _read(row: Row) -> AuditRow:
    event_seq, instance_id, actor, action, resource, outcome, request_id, peer, detail, at, before, own = row
    return AuditRow(
        event_seq=cast(int, event_seq),
        instance_id=cast(bytes, instance_id),
        event=AuditEvent(
            actor=cast(str, actor),
            action=cast(str, action),
            resource=cast(str | None, resource),
            outcome=cast(str, outcome),
            request_id=cast(str, request_id),
            peer=cast(str, peer),
            detail=cast(str | None, detail),
        ),
        created_at_us=cast(int, at),
        previous_hash=cast(bytes, before),
        hash=cast(bytes, own),
    )
