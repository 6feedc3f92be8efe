"""Events that were given up, for people who look, have them tried again or let them go; and what waits by target."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from engine.errors import NoSuchResource
from engine.metadata.store import Row, SqlValue, Tx
from engine.units import DAY_S

KEEP_S = 30 * DAY_S
"""How long an event that was given up is kept."""

UNIT_COUNT_MAX = 200
"""Events that one transaction has tried again, lets go or drops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UndeliveredEvent:
    """An event that did not arrive at the last try. `payload` is the message, its region left empty."""

    event_id: bytes
    type: str
    payload: str
    target: str
    attempt_count: int
    last_error: str | None
    died_at_us: int

    @property
    def happened_at_us(self) -> int:
        """To the millisecond: when its id was made, which was in the transaction of what it tells of."""
        return int.from_bytes(self.event_id[:6], "big") * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class UndeliveredFilter:
    """Which of them; null asks for all."""

    target: str | None = None
    died_before_us: int | None = None

    @property
    def params(self) -> dict[str, SqlValue]:
        return {"target": self.target, "died_before_us": self.died_before_us}


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetBacklog:
    """Events for a target. `most_attempts` is of one that waits, `last_error` of any try that failed, null for none."""

    target: str
    waiting_count: int = 0
    dead_count: int = 0
    most_attempts: int = 0
    last_error: str | None = None


def resource_name(event_id: bytes) -> str:
    return f"undeliveredEvents/{event_id.hex()}"


def list_undelivered(
    tx: Tx, wanted: UndeliveredFilter, *, after: bytes, count_max: int
) -> list[UndeliveredEvent]:
    """Behind an id, in the order in which they happened."""
    params = {**wanted.params, "after": after, "count_max": count_max}
    return [_read(row) for row in tx.rows("list_undelivered", params)]


def find_undelivered(tx: Tx, event_ids: Sequence[bytes]) -> list[UndeliveredEvent]:
    """Those of these ids. Raises NoSuchResource for the first that is not there."""
    asked = [tx.ask("find_undelivered", {"event_id": event_id}) for event_id in event_ids]
    found = []
    for event_id, answer in zip(event_ids, asked, strict=True):
        row = answer.row_or_none()
        if row is None:
            raise NoSuchResource(name=resource_name(event_id))
        found.append(_read(row))
    return found


def count_undelivered(tx: Tx, wanted: UndeliveredFilter) -> int:
    (count,) = tx.row("count_undelivered", wanted.params)
    return cast(int, count)


def retry(tx: Tx, events: Sequence[UndeliveredEvent]) -> int:
    """Give them all their tries again, from now on; how many. Who sends them tells them by the same id as before."""
    for each in events:
        tx.ask("requeue_notification", {"event_id": each.event_id, "now_us": tx.now_us()})
    return discard(tx, events)


def discard(tx: Tx, events: Sequence[UndeliveredEvent]) -> int:
    """Let them go for good; how many. Those that went otherwise meanwhile are not counted."""
    asked = [tx.ask("delete_undelivered", {"event_id": each.event_id}) for each in events]
    return sum(answer.count() for answer in asked)


def drop_old(tx: Tx, *, count_max: int) -> int:
    """Drop some of those that were given up longer than `KEEP_S` ago; how many."""
    before_us = tx.now_us() - KEEP_S * 1_000_000
    return tx.run("drop_undelivered", {"before_us": before_us, "count_max": count_max})


def by_target(tx: Tx) -> list[TargetBacklog]:
    """Of every target for which anything waits or was given up, by name."""
    return [
        TargetBacklog(
            target=cast(str, target),
            waiting_count=cast(int, waiting),
            dead_count=cast(int, dead),
            most_attempts=cast(int, tries),
            last_error=cast("str | None", error),
        )
        for target, waiting, dead, tries, error in tx.rows("count_notifications_of_targets", {})
    ]


def _read(row: Row) -> UndeliveredEvent:
    event_id, event_type, payload, target, attempts, last_error, died_at_us = row
    return UndeliveredEvent(
        event_id=cast(bytes, event_id),
        type=cast(str, event_type),
        payload=cast(str, payload),
        target=cast(str, target),
        attempt_count=cast(int, attempts),
        last_error=cast("str | None", last_error),
        died_at_us=cast(int, died_at_us),
    )
