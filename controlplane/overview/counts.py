"""Counts of the data plane as numbers of an instance: totals, rates and latencies between two looks."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise

from penstock.admin.v1 import stats_pb2
from prometheus_client.samples import Sample

from controlplane.operations.courtesy import Load
from controlplane.times import duration
from engine.settings.running import AdmissionSettings

ERROR_STATUS = 500

_REQUESTS = "penstock_requests_total"
_LATENCY = "penstock_request_seconds_bucket"
_SECONDS = "penstock_request_seconds_sum"
_SHED = "penstock_requests_shed_total"
_IN_FLIGHT = "penstock_requests_in_flight"


class Counts:
    """Sums by name and label of what was counted at one moment."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._totals: dict[str, float] = defaultdict(float)
        self.by_operation: dict[str, float] = defaultdict(float)
        self.errors = 0.0
        self.in_flight: dict[str, float] = defaultdict(float)
        self._within: dict[str, dict[float, float]] = defaultdict(dict)
        for each in samples:
            self._totals[each.name] += each.value
            operation = each.labels.get("operation", "")
            if each.name == _REQUESTS:
                self.by_operation[operation] += each.value
                if int(each.labels["status"]) >= ERROR_STATUS:
                    self.errors += each.value
            elif each.name == _IN_FLIGHT:
                self.in_flight[each.labels.get("flow", "")] += each.value
            elif each.name == _LATENCY:
                bound_s = float(each.labels["le"])
                within = self._within[operation]
                within[bound_s] = within.get(bound_s, 0.0) + each.value

    def total(self, name: str) -> float:
        return self._totals.get(name, 0.0)

    @property
    def requests(self) -> float:
        return self.total(_REQUESTS)

    def latencies(self, operation: str) -> Mapping[float, float]:
        """Requests that took longer than the bound before and no longer than this one, by bound in seconds."""
        within = sorted(self._within.get(operation, {}).items())
        return {bound_s: count - before for (_, before), (bound_s, count) in pairwise([(0.0, 0.0), *within])}


def stats_of(now: Counts, before: Counts | None, interval_s: float) -> stats_pb2.InstanceStats:
    """Rates are zero without an earlier look, and after a start, which begins counting anew."""
    if before is None or now.requests < before.requests or interval_s <= 0:
        before, interval_s = now, 0.0
    stats = stats_pb2.InstanceStats(
        interval=duration(interval_s),
        request_count=int(now.requests),
        error_count=int(now.errors),
        shed_count=int(now.total(_SHED)),
        rate_limited_count=int(now.total("penstock_requests_rate_limited_total")),
        degradation_count=int(now.total("penstock_degradations_total")),
        received_bytes=int(now.total("penstock_received_bytes_total")),
        sent_bytes=int(now.total("penstock_sent_bytes_total")),
        in_flight_count=int(now.total(_IN_FLIGHT)),
        connection_count=int(now.total("penstock_connections_open")),
    )

    def rate(is_now: float, was: float) -> float:
        return round(max(0.0, is_now - was) / interval_s, 3) if interval_s else 0.0

    stats.requests_per_second = rate(now.requests, before.requests)
    stats.errors_per_second = rate(now.errors, before.errors)
    for name in ("received_bytes", "sent_bytes"):
        counted = f"penstock_{name}_total"
        setattr(stats, f"{name}_per_second", rate(now.total(counted), before.total(counted)))
    for operation, count in sorted(now.by_operation.items()):
        stats.operations.append(
            _operation(operation, count, now, before, rate(count, before.by_operation[operation]))
        )
    return stats


def load_of(now: Counts, before: Counts | None, interval_s: float, limits: AdmissionSettings) -> Load:
    """What was asked since an earlier look; without one, or after a start, only what is in flight is known."""
    if before is None or now.requests < before.requests or interval_s <= 0:
        before, interval_s = now, 1.0
    shares = (
        now.in_flight.get(flow, 0.0) / max(1.0, limit * limits.shed_threshold)
        for flow, limit in (("read", limits.reads), ("write", limits.writes))
    )
    return Load(
        # Seconds of requests in a second (Little's law).
        concurrency=max(0.0, now.total(_SECONDS) - before.total(_SECONDS)) / interval_s,
        fullness=max(shares),
        has_shed=now.total(_SHED) > before.total(_SHED),
    )


def _operation(
    operation: str, count: float, now: Counts, before: Counts, requests_per_second: float
) -> stats_pb2.OperationStats:
    latencies, earlier = now.latencies(operation), before.latencies(operation)
    lately = {bound_s: count - earlier.get(bound_s, 0.0) for bound_s, count in latencies.items()}
    return stats_pb2.OperationStats(
        operation=operation,
        request_count=int(count),
        requests_per_second=requests_per_second,
        latency_p50=duration(quantile_s(lately, 0.50)),
        latency_p99=duration(quantile_s(lately, 0.99)),
        latencies=[
            stats_pb2.LatencyBucket(
                bound=None if math.isinf(bound_s) else duration(bound_s), request_count=int(count)
            )
            for bound_s, count in latencies.items()
        ],
    )


def quantile_s(counts: Mapping[float, float], share: float) -> float:
    """Seconds within which that share of what was counted lies, read off its buckets as if each was filled evenly.

    Beyond the last bound it is that bound: more is not known. Zero when nothing was counted.
    """
    wanted = sum(counts.values()) * share
    if wanted <= 0:
        return 0.0
    lower_s = 0.0
    for bound_s, count in sorted(counts.items()):
        if count and wanted <= count:
            return lower_s if math.isinf(bound_s) else lower_s + (bound_s - lower_s) * wanted / count
        wanted -= count
        lower_s = bound_s if not math.isinf(bound_s) else lower_s
    return lower_s
