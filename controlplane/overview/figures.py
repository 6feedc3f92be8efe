"""Figures of workers, operations and dead letters for Prometheus, left where the page of metrics finds them."""

import logging
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from controlplane.workers.backlog import backlog
from engine.clock import Clock
from engine.errors import EngineError
from engine.metadata import cleanup
from engine.metadata.month_usage import read_month
from engine.metadata.operation_runs import list_open
from engine.metadata.store import Store
from engine.metadata.workers import list_workers

LEAVE_EVERY_S = 10.0

_log = logging.getLogger("penstock.control")


class ControlFigures(Collector):
    """What is collected is read from the database. Raises what a read raises."""

    def __init__(self, store: Store, methods: Sequence[str]) -> None:
        """`methods` are the rpcs that begin long work."""
        self._store = store
        self._methods = methods

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The families without samples."""
        return families()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """One look at the database for each worker that counts what waits for it, and four for the rest."""
        waiting, success, failures, operations, dead, used, limit = found = families()
        for row in self._store.read(list_workers):
            count = backlog(self._store, row.worker)
            if count is not None:
                waiting.add_metric([row.worker], count)
            if row.last_success_us is not None:
                success.add_metric([row.worker], row.last_success_us / 1_000_000)
            failures.add_metric([row.worker], row.consecutive_failure_count)
        open_counts = Counter(each.method for each in self._store.read(list_open))
        for method in self._methods:
            operations.add_metric([method.rpartition("/")[2]], open_counts[method])
        dead.add_metric([], self._store.read(cleanup.depth).dead_count)
        _, accounts = self._store.read(read_month)
        for (_, kind), each in accounts.items():
            used.add_metric([each.backend, kind.value], each.used)
            if each.limit is not None:
                limit.add_metric([each.backend, kind.value], each.limit)
        return found


def families() -> list[GaugeMetricFamily]:
    """The figures there are, without a sample."""
    worker = ["worker"]
    return [
        GaugeMetricFamily("penstock_worker_backlog", "Things that wait for a worker.", labels=worker),
        GaugeMetricFamily(
            "penstock_worker_last_success_timestamp_seconds",
            "When a worker's last run that went well ended.",
            labels=worker,
        ),
        GaugeMetricFamily("penstock_worker_consecutive_failures", "Failed runs since then.", labels=worker),
        GaugeMetricFamily(
            "penstock_operations_open", "Operations that have not ended, by rpc.", labels=["method"]
        ),
        GaugeMetricFamily("penstock_dead_letters", "Deletions that were given up.", labels=[]),
        GaugeMetricFamily(
            "penstock_backend_month_used",
            "What was used of a backend this month by UTC, requests or bytes.",
            labels=["backend", "kind"],
        ),
        GaugeMetricFamily(
            "penstock_backend_month_limit",
            "Most that may be used of a backend in a month.",
            labels=["backend", "kind"],
        ),
    ]


class FigureFile:
    """Leaves the figures in a file, whole or not at all. Its owner calls `tick` about every second."""

    def __init__(self, path: Path, figures: Sequence[Collector], clock: Clock) -> None:
        self._path = path
        self._registry = CollectorRegistry()
        for each in figures:
            self._registry.register(each)
        self._clock = clock
        self._due_s = 0.0
        self._is_failing = False

    def tick(self) -> None:
        """Never raises: figures that nobody can leave are told of once, and tried again."""
        now_s = self._clock.monotonic_s()
        if now_s < self._due_s:
            return
        self._due_s = now_s + LEAVE_EVERY_S
        try:
            self._leave()
        except (EngineError, OSError) as error:
            if not self._is_failing:
                _log.warning("figures.not_left", extra={"problem": str(error)})
            self._is_failing = True
        except Exception:  # the thread that calls also gives the process's signs of life
            if not self._is_failing:
                _log.exception("figures.not_left")
            self._is_failing = True
        else:
            self._is_failing = False

    def _leave(self) -> None:
        text = generate_latest(self._registry)
        if not self._path.parent.is_dir():
            # Without a data plane nobody shows them.
            return
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(text)
        os.replace(fresh, self._path)
