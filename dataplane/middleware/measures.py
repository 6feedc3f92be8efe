"""Measures of the data plane: every name once, in Prometheus' own registry, bounded in its labels."""

from bisect import bisect_left
from collections import Counter as Count
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from dataplane.middleware.access_log import AccessLog
from dataplane.middleware.admission import Admission, Flow
from dataplane.middleware.rate_limits import Limited, RateLimits
from engine.cache.blobs import CacheCounts
from engine.objects.degradations import Degradation, Degradations
from engine.objects.hedging import HedgeCounts

LATENCY_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class OperationMeasures:
    """The measures of one operation, looked up once so that a request pays no label look-up."""

    __slots__ = ("_by_status", "_latency", "_requests", "bytes_in", "bytes_out", "operation")

    def __init__(self, measures: "Measures", operation: str) -> None:
        self.operation = operation
        self._requests = measures.requests
        self._by_status: dict[int, Callable[[int], None]] = {}
        self._latency = measures.latency.labels(operation=operation)
        self.bytes_in = measures.bytes_in.labels(operation=operation).inc
        self.bytes_out = measures.bytes_out.labels(operation=operation).inc

    def count(self, status: int, count: int = 1) -> None:
        increment = self._by_status.get(status)
        if increment is None:
            increment = self._requests.labels(operation=self.operation, status=str(status)).inc
            self._by_status[status] = increment
        increment(count)

    def latencies(self, took_s: Sequence[float]) -> None:
        """As `observe` of each, but one write a bucket to the file that processes share, which takes a microsecond."""
        histogram: Any = self._latency
        histogram._sum.inc(sum(took_s))
        for index, count in Count(bisect_left(histogram._upper_bounds, each) for each in took_s).items():
            histogram._buckets[index].inc(count)


class Measures:
    """All measures of a process. Labels are operations, statuses and fixed words, never names clients choose."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "penstock_requests_total", "Requests answered.", ["operation", "status"], registry=registry
        )
        self.latency = Histogram(
            "penstock_request_seconds",
            "Time from the head of a request to the end of its answer.",
            ["operation"],
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.bytes_in = Counter(
            "penstock_received_bytes_total", "Bytes of request bodies.", ["operation"], registry=registry
        )
        self.bytes_out = Counter(
            "penstock_sent_bytes_total", "Bytes of response bodies.", ["operation"], registry=registry
        )
        self.in_flight = Gauge(
            "penstock_requests_in_flight",
            "Requests admitted and not answered.",
            ["flow"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.shed = Counter(
            "penstock_requests_shed_total", "Requests refused by admission.", registry=registry
        )
        self.rate_limited = Counter(
            "penstock_requests_rate_limited_total",
            "Requests refused because their client asked too often.",
            ["by"],
            registry=registry,
        )
        self.connections = Gauge(
            "penstock_connections_open",
            "Open client connections.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.stalls = Counter(
            "penstock_loop_stalls_total", "Turns of the event loop longer than 5 ms.", registry=registry
        )
        self.pool_full = Counter(
            "penstock_pool_full_total",
            "Requests refused because a pool was full.",
            ["pool"],
            registry=registry,
        )
        self.degradations = Counter(
            "penstock_degradations_total",
            "Fallbacks, repairs and refusals inside the engine, by kind.",
            ["kind"],
            registry=registry,
        )
        self.cache = Counter(
            "penstock_cache_blobs_total",
            "Blobs asked of the cache (hit, miss), kept in it (filled), and found damaged or not kept (failed).",
            ["outcome"],
            registry=registry,
        )
        self.cache_bytes = Counter(
            "penstock_cache_bytes_total",
            "Bytes of blobs found in the cache (hit), kept in it (filled) and removed to make room (evicted).",
            ["outcome"],
            registry=registry,
        )
        self.hedged_reads = Counter(
            "penstock_hedged_reads_total",
            "Reads of a store that was late, by what came of asking another copy as well: it was first (won), it was "
            "not (lost), or too many had been asked already (refused).",
            ["outcome"],
            registry=registry,
        )
        self.log_dropped = Counter(
            "penstock_access_log_dropped_total",
            "Access log lines that could not be written.",
            registry=registry,
        )
        self._by_operation: dict[str, OperationMeasures] = {}

    def of(self, operation: str) -> OperationMeasures:
        found = self._by_operation.get(operation)
        if found is None:
            found = self._by_operation.setdefault(operation, OperationMeasures(self, operation))
        return found


class ProcessMeasures:
    """What the server observes, and what others count and the process' tick carries over.

    Implements `dataplane.server.contract.Observer`.
    """

    def __init__(
        self,
        measures: Measures,
        *,
        admission: Admission,
        rate_limits: RateLimits,
        access_log: AccessLog,
        degradations: Degradations,
        cache: CacheCounts,
        hedges: HedgeCounts,
    ) -> None:
        self._measures = measures
        self._admission = admission
        self._rate_limits = rate_limits
        self._access_log = access_log
        self._degradations = degradations
        self._cache = cache
        self._carried_cache = CacheCounts()
        self._hedges = hedges
        self._carried_hedges = HedgeCounts()
        self._pools = {name: measures.pool_full.labels(pool=name) for name in ("short", "streaming")}
        self._flows = {flow: measures.in_flight.labels(flow=flow.value) for flow in Flow}
        self._kinds = {kind: measures.degradations.labels(kind=kind.value) for kind in Degradation}
        self._limited = {by: measures.rate_limited.labels(by=by.value) for by in Limited}
        self._carried_limited = dict.fromkeys(Limited, 0)
        self._carried_shed = 0
        self._carried_dropped = 0
        self._carried_kinds = dict.fromkeys(Degradation, 0)

    def stalled(self, seconds: float, /) -> None:
        self._measures.stalls.inc()

    def pool_full(self, pool: str, /) -> None:
        self._pools[pool].inc()

    def connections(self, count: int, /) -> None:
        self._measures.connections.set(count)

    def tick(self) -> None:
        """Carry over what was counted since the last call. For one thread."""
        for flow, gauge in self._flows.items():
            gauge.set(self._admission.in_flight(flow))
        shed, dropped = self._admission.shed_count, self._access_log.dropped_count
        self._measures.shed.inc(shed - self._carried_shed)
        self._measures.log_dropped.inc(dropped - self._carried_dropped)
        self._carried_shed, self._carried_dropped = shed, dropped
        for by, counter in self._limited.items():
            refused_count = self._rate_limits.refused_count(by)
            counter.inc(refused_count - self._carried_limited[by])
            self._carried_limited[by] = refused_count
        for kind, count in self._degradations.counts().items():
            self._kinds[kind].inc(count - self._carried_kinds[kind])
            self._carried_kinds[kind] = count
        self._carry_cache()
        self._carry_hedges()

    def _carry_hedges(self) -> None:
        now, before = replace(self._hedges), self._carried_hedges
        if now == before:
            return
        reads = self._measures.hedged_reads.labels
        reads(outcome="won").inc(now.won_count - before.won_count)
        reads(outcome="lost").inc(now.lost_count - before.lost_count)
        reads(outcome="refused").inc(now.refused_count - before.refused_count)
        self._carried_hedges = now

    def _carry_cache(self) -> None:
        now, before = replace(self._cache), self._carried_cache
        if now == before:
            return
        blobs, size = self._measures.cache.labels, self._measures.cache_bytes.labels
        blobs(outcome="hit").inc(now.hit_count - before.hit_count)
        blobs(outcome="miss").inc(now.miss_count - before.miss_count)
        blobs(outcome="filled").inc(now.filled_count - before.filled_count)
        blobs(outcome="failed").inc(now.failure_count - before.failure_count)
        size(outcome="hit").inc(now.hit_bytes - before.hit_bytes)
        size(outcome="filled").inc(now.filled_bytes - before.filled_bytes)
        size(outcome="evicted").inc(now.evicted_bytes - before.evicted_bytes)
        self._carried_cache = now
