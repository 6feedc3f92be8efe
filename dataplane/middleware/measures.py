"""Measures of the data plane: every name once, in Prometheus' own registry, bounded in its labels."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LATENCY_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class OperationMeasures:
    """The measures of one operation, looked up once so that a request pays no label look-up."""

    __slots__ = ("_by_status", "_requests", "bytes_in", "bytes_out", "latency", "operation")

    def __init__(self, measures: "Measures", operation: str) -> None:
        self.operation = operation
        self._requests = measures.requests
        self._by_status: dict[int, Callable[[], None]] = {}
        self.latency = measures.latency.labels(operation=operation).observe
        self.bytes_in = measures.bytes_in.labels(operation=operation).inc
        self.bytes_out = measures.bytes_out.labels(operation=operation).inc

    def count(self, status: int) -> None:
        increment = self._by_status.get(status)
        if increment is None:
            increment = self._requests.labels(operation=self.operation, status=str(status)).inc
            self._by_status[status] = increment
        increment()


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
        self.corrupt_reads = Counter(
            "penstock_corrupt_pieces_total",
            "Pieces found bad while reading; another one served.",
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
