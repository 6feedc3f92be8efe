"""Figures of notifications for Prometheus: what became of deliveries, and what waits and was given up, by target."""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from engine.metadata import undelivered
from engine.metadata.store import Store
from engine.notifications.tally import DeliveryTally


class NotificationFigures(Collector):
    """Rows are read from the database, ends of deliveries from the tally. Raises what a read raises."""

    def __init__(self, store: Store, tally: DeliveryTally) -> None:
        self._store = store
        self._tally = tally

    def describe(self) -> Iterable[Metric]:
        """The families without samples."""
        return notification_families()

    def collect(self) -> Iterable[Metric]:
        deliveries, waiting, dead = found = notification_families()
        for (target, end), count in sorted(self._tally.read().items(), key=str):
            deliveries.add_metric([target, end.value], count)
        for each in self._store.read(undelivered.by_target):
            waiting.add_metric([each.target], each.waiting_count)
            dead.add_metric([each.target], each.dead_count)
        return found


def notification_families() -> tuple[CounterMetricFamily, GaugeMetricFamily, GaugeMetricFamily]:
    """The figures there are, without a sample."""
    target = ["target"]
    return (
        CounterMetricFamily(
            "penstock_notification_deliveries",
            "Deliveries of this control plane, by how they ended: delivered, failed (and tried again), given_up.",
            labels=["target", "outcome"],
        ),
        GaugeMetricFamily("penstock_notifications_waiting", "Events that wait to be sent.", labels=target),
        GaugeMetricFamily("penstock_notifications_undelivered", "Events that were given up.", labels=target),
    )
