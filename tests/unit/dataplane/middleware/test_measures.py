"""Measures of many requests at once say what they would have said one by one."""

from prometheus_client import CollectorRegistry

from dataplane.middleware.measures import LATENCY_BUCKETS_S, Measures

TOOK_S = [0.0001, LATENCY_BUCKETS_S[0], LATENCY_BUCKETS_S[1], 0.3, 0.3, LATENCY_BUCKETS_S[-1], 60.0]


def test_latencies_fall_into_the_buckets_they_would_be_observed_in() -> None:
    one_by_one, at_once = CollectorRegistry(), CollectorRegistry()
    observed = Measures(one_by_one).latency.labels(operation="GetObject")
    for each in TOOK_S:
        observed.observe(each)

    Measures(at_once).of("GetObject").latencies(TOOK_S)

    def told(registry: CollectorRegistry) -> dict[tuple[str, str | None], float]:
        return {
            (sample.name, sample.labels.get("le")): round(sample.value, 6)
            for family in registry.collect()
            if family.name == "penstock_request_seconds"
            for sample in family.samples
            if not sample.name.endswith("_created")
        }

    assert told(at_once) == told(one_by_one)
    assert told(at_once)[("penstock_request_seconds_count", None)] == len(TOOK_S)


def test_requests_are_counted_by_status() -> None:
    registry = CollectorRegistry()
    measures = Measures(registry).of("GetObject")

    measures.count(200, 3)
    measures.count(404)

    def count(status: str) -> float | None:
        return registry.get_sample_value(
            "penstock_requests_total", {"operation": "GetObject", "status": status}
        )

    assert (count("200"), count("404")) == (3, 1)
