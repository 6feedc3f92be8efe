"""Counts become rates and latencies; a data plane that started again has no rates at first."""

import math

import pytest
from prometheus_client.samples import Sample

from controlplane.overview.counts import Counts, quantile_s, stats_of


def requests(count: float, *, status: str = "200", operation: str = "GetObject") -> Sample:
    return Sample("penstock_requests_total", {"operation": operation, "status": status}, count)


def within(bound: str, count: float) -> Sample:
    return Sample("penstock_request_seconds_bucket", {"operation": "GetObject", "le": bound}, count)


def test_rates_are_what_came_in_between() -> None:
    before = Counts([requests(100), requests(1, status="503"), Sample("penstock_sent_bytes_total", {}, 1000)])
    now = Counts([requests(140), requests(5, status="503"), Sample("penstock_sent_bytes_total", {}, 5000)])

    stats = stats_of(now, before, 2.0)

    assert (stats.request_count, stats.error_count, stats.sent_bytes) == (145, 5, 5000)
    assert (stats.requests_per_second, stats.errors_per_second) == (22.0, 2.0)
    assert stats.sent_bytes_per_second == 2000.0
    assert [(each.operation, each.requests_per_second) for each in stats.operations] == [("GetObject", 22.0)]


@pytest.mark.parametrize("before", [None, Counts([requests(1000)])], ids=["first look", "started again"])
def test_without_an_earlier_look_there_are_no_rates(before: Counts | None) -> None:
    stats = stats_of(Counts([requests(7)]), before, 2.0)

    assert (stats.request_count, stats.requests_per_second) == (7, 0.0)
    assert stats.interval.ToNanoseconds() == 0


def test_latencies_are_those_of_the_interval() -> None:
    before = Counts([requests(100), within("0.01", 0), within("0.1", 100), within("+Inf", 100)])
    now = Counts([requests(200), within("0.01", 100), within("0.1", 200), within("+Inf", 200)])

    (operation,) = stats_of(now, before, 2.0).operations

    assert 0 < operation.latency_p50.ToNanoseconds() / 1e9 <= 0.01
    assert [each.request_count for each in operation.latencies] == [100, 100, 0]
    assert not operation.latencies[-1].HasField("bound")


@pytest.mark.parametrize(
    ("counts", "share", "seconds"),
    [
        ({}, 0.5, 0.0),
        ({1.0: 10, 2.0: 10}, 0.5, 1.0),
        ({1.0: 10, 2.0: 10}, 0.75, 1.5),
        ({1.0: 0, 2.0: 10}, 0.5, 1.5),
        ({1.0: 1, math.inf: 99}, 0.99, 1.0),
    ],
)
def test_shares_are_read_off_the_buckets(counts: dict[float, float], share: float, seconds: float) -> None:
    assert quantile_s(counts, share) == pytest.approx(seconds)
