"""Sends events out of the outbox to their targets: at least once, and in order as long as all goes well."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.clock import Clock, id_text
from engine.metadata import outbox
from engine.metadata.outbox import OutboxItem
from engine.metadata.store import Store, Tx
from engine.notifications.delivery import Sender, deliver
from engine.notifications.tally import DeliveryEnd, DeliveryTally
from engine.notifications.targets import Target
from engine.notifications.webhooks import DeliveryFailed
from engine.records import Progress

BATCH_COUNT_MAX = 50
UNIT_S_MAX = 8.0
"""A unit begins no further delivery after this; with the longest one it ends within its lease."""

PUT_OFF_S = 5.0
"""Pause of events whose target had just failed."""

_log = logging.getLogger(__name__)

Fence = Callable[[Tx], None]


@dataclass(slots=True, kw_only=True)
class _Outcome:
    """What became of a batch."""

    sent: list[OutboxItem] = field(default_factory=list)
    failed: list[tuple[OutboxItem, str]] = field(default_factory=list)
    untried: list[OutboxItem] = field(default_factory=list)


class Notifier:
    """A worker unit (`work`): sends one batch of due events.

    An interruption before the batch is settled sends it again: receivers tell repeats by the event's id. One notifier
    serves one run: a target that failed in it is not asked again before the next.
    """

    name = "notifier"

    def __init__(
        self,
        store: Store,
        targets: Mapping[str, Target],
        sender: Sender,
        *,
        fence: Fence,
        clock: Clock,
        region: str,
        tally: DeliveryTally | None = None,
        batch_count_max: int = BATCH_COUNT_MAX,
    ) -> None:
        """`fence` raises LeaseLost in the transaction of every write; `tally` counts what becomes of deliveries."""
        self._store = store
        self._targets = targets
        self._sender = sender
        self._fence = fence
        self._clock = clock
        self._region = region
        self._tally = tally or DeliveryTally()
        self._batch_count_max = batch_count_max
        self._down: set[str] = set()

    def work(self) -> Progress:
        """Deferred: events that did not arrive, and those of a target that had failed before."""
        items = self._store.read(lambda tx: outbox.list_due(tx, count_max=self._batch_count_max))
        if not items:
            return Progress()
        outcome = self._send(items)
        self._count(outcome, self._store.write(lambda tx: self._settle(tx, outcome)))
        tried_count = len(outcome.sent) + len(outcome.failed) + len(outcome.untried)
        return Progress(
            done_count=len(outcome.sent),
            deferred_count=len(outcome.failed) + len(outcome.untried),
            has_more=len(items) == self._batch_count_max or tried_count < len(items),
        )

    def _send(self, items: Sequence[OutboxItem]) -> _Outcome:
        outcome = _Outcome()
        deadline_s = self._clock.monotonic_s() + UNIT_S_MAX
        for item in items:
            if item.target in self._down:
                outcome.untried.append(item)
                continue
            if self._clock.monotonic_s() > deadline_s:
                continue
            try:
                self._send_one(item)
            except DeliveryFailed as error:
                self._down.add(item.target)
                outcome.failed.append((item, str(error)))
                _log.warning("notification.failed", extra={"target": item.target, "error": str(error)})
            else:
                outcome.sent.append(item)
        return outcome

    def _send_one(self, item: OutboxItem) -> None:
        target = self._targets.get(item.target)
        if target is None:
            raise DeliveryFailed("the configuration has no such target")
        deliver(self._sender, target, item.payload, event_id=item.event_id, region=self._region)

    def _settle(self, tx: Tx, outcome: _Outcome) -> list[OutboxItem]:
        """Those that are given up."""
        self._fence(tx)
        outbox.settle_sent(tx, outcome.sent)
        given_up = []
        for item, error in outcome.failed:
            if outbox.postpone(tx, item, error):
                given_up.append(item)
                _log.error(
                    "notification.given_up",
                    extra={"target": item.target, "event_id": id_text(item.event_id), "error": error},
                )
        outbox.put_off(tx, outcome.untried, pause_s=PUT_OFF_S)
        return given_up

    def _count(self, outcome: _Outcome, given_up: Sequence[OutboxItem]) -> None:
        for item in outcome.sent:
            self._tally.note(item.target, DeliveryEnd.DELIVERED)
        for item, _ in outcome.failed:
            self._tally.note(item.target, DeliveryEnd.GIVEN_UP if item in given_up else DeliveryEnd.FAILED)
