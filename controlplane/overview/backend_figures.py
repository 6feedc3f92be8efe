"""Figures of backends for Prometheus: how far this instance trusts each of them."""

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from controlplane.services.backend_messages import see_backends
from engine.metadata.store import Store

HEALTH_VALUES = {"healthy": 0, "degraded": 1, "suspected": 2, "failed": 3}
BREAKER_VALUES = {"closed": 0, "half-open": 1, "open": 2}


class BackendFigures(Collector):
    """What the instance's processes told of last is read from the database. Raises what a read raises."""

    def __init__(self, store: Store, instance_id: bytes) -> None:
        self._store = store
        self._instance_id = instance_id

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The families without samples."""
        return backend_families()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Nothing is told of a backend at which nobody looked lately, nor of a breaker where none stands."""
        health, phi, breaker = found = backend_families()
        for seen in self._store.read(see_backends):
            for view in seen.views:
                if view.instance_id != self._instance_id:
                    continue
                if view.health is not None:
                    health.add_metric([seen.row.name], HEALTH_VALUES[view.health])
                if view.phi is not None:
                    phi.add_metric([seen.row.name], view.phi)
                if view.breaker is not None:
                    breaker.add_metric([seen.row.name], BREAKER_VALUES[view.breaker])
        return found


def backend_families() -> tuple[GaugeMetricFamily, GaugeMetricFamily, GaugeMetricFamily]:
    """The figures there are, without a sample."""
    backend = ["backend"]
    return (
        GaugeMetricFamily(
            "penstock_backend_health",
            "How far this instance trusts a backend: 0 healthy, 1 degraded, 2 suspected, 3 failed.",
            labels=backend,
        ),
        GaugeMetricFamily(
            "penstock_backend_phi",
            "How sure this instance is that a backend is gone: from 1 on degraded, 4 suspected, 8 failed.",
            labels=backend,
        ),
        GaugeMetricFamily(
            "penstock_backend_breaker",
            "Whether calls to a backend are made: 0 closed (they are), 1 half-open, 2 open (none).",
            labels=backend,
        ),
    )
