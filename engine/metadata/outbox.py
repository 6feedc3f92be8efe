"""The outbox: events in the transaction of what they tell of, sent later, tried again, given up after the last try."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from engine.clock import uuid7
from engine.metadata.store import Params, Row, Tx
from engine.notifications.messages import ObjectEvent, message_of_test, object_message
from engine.notifications.rules import TEST_EVENT, NotificationRule, matching
from engine.units import HOUR_S

ATTEMPT_COUNT_MAX = 30
"""With the pauses between them, a receiver may be away for some 20 hours."""

BACKOFF_FIRST_S = 5
BACKOFF_MAX_S = HOUR_S


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxItem:
    """A message for one target."""

    event_id: bytes
    type: str
    payload: str
    target: str
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxDepth:
    """Messages that wait, and those that were given up."""

    waiting_count: int
    dead_count: int


def tell(tx: Tx, rules: Sequence[NotificationRule], event: ObjectEvent) -> None:
    """A message for each rule that matches, in the caller's transaction. Nothing is done where none does."""
    for rule in matching(rules, event.type, event.key):
        _insert(tx, event.type.value, object_message(event, rule), rule.target)


def tell_test(tx: Tx, rules: Sequence[NotificationRule], bucket: str) -> None:
    """A test event for every target of a document that is being set."""
    for target in dict.fromkeys(rule.target for rule in rules):
        _insert(tx, TEST_EVENT, message_of_test(bucket, tx.now_us()), target)


def list_due(tx: Tx, *, count_max: int) -> list[OutboxItem]:
    """What may be sent now, the longest due first; of one time, in the order of events."""
    return [
        _read(row)
        for row in tx.rows("list_due_notifications", {"now_us": tx.now_us(), "count_max": count_max})
    ]


def settle_sent(tx: Tx, items: Sequence[OutboxItem]) -> None:
    """They arrived. Settling again is harmless."""
    for item in items:
        tx.ask("delete_notification", {"event_id": item.event_id})


def postpone(tx: Tx, item: OutboxItem, error: str) -> bool:
    """A try failed: the next one after 5 s × 2^n, at most an hour. True when it was the last, and the event is dead."""
    if item.attempts + 1 >= ATTEMPT_COUNT_MAX:
        named: Params = {"event_id": item.event_id, "error": error, "now_us": tx.now_us()}
        tx.run("bury_notification", named)
        tx.run("delete_notification", {"event_id": item.event_id})
        return True
    pause_s = min(BACKOFF_FIRST_S * 2 ** min(item.attempts, 20), BACKOFF_MAX_S)
    tx.run(
        "postpone_notification",
        {"event_id": item.event_id, "next_retry_us": tx.now_us() + pause_s * 1_000_000, "error": error},
    )
    return False


def put_off(tx: Tx, items: Sequence[OutboxItem], *, pause_s: float) -> None:
    """Not tried, because their target had just failed: later, with no try used up."""
    due_us = tx.now_us() + int(pause_s * 1_000_000)
    for item in items:
        tx.ask("put_off_notification", {"event_id": item.event_id, "next_retry_us": due_us})


def depth(tx: Tx) -> OutboxDepth:
    waiting, dead = tx.row("count_notifications", {})
    return OutboxDepth(waiting_count=cast(int, waiting), dead_count=cast(int, dead))


def _insert(tx: Tx, event_type: str, payload: str, target: str) -> None:
    tx.ask(
        "insert_notification",
        {
            "event_id": uuid7(),
            "type": event_type,
            "payload": payload,
            "target": target,
            "now_us": tx.now_us(),
        },
    )


def _read(row: Row) -> OutboxItem:
    event_id, event_type, payload, target, attempts = row
    return OutboxItem(
        event_id=cast(bytes, event_id),
        type=cast(str, event_type),
        payload=cast(str, payload),
        target=cast(str, target),
        attempts=cast(int, attempts),
    )
