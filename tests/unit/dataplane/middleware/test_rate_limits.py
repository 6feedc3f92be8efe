"""Whoever asks too often is told when to come back, and nobody else notices."""

import pytest

from dataplane.middleware.rate_limits import Limited, RateLimited, RateLimits, Rates, TokenBuckets


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def now_s(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_burst_passes_and_then_the_rate(clock: Clock) -> None:
    buckets = TokenBuckets(5.0, now_s=clock.now_s)

    assert [buckets.take("a") for _ in range(10)] == [0.0] * 10
    assert buckets.take("a") == pytest.approx(0.2)
    clock.now += 0.2
    assert buckets.take("a") == 0.0
    assert buckets.take("a") > 0.0
    clock.now += 3600
    assert [buckets.take("a") for _ in range(10)] == [0.0] * 10
    assert buckets.take("a") > 0.0


def test_what_is_refused_costs_nothing(clock: Clock) -> None:
    buckets = TokenBuckets(1.0, now_s=clock.now_s)
    while buckets.take("a") == 0.0:
        pass

    for _ in range(100):
        assert buckets.take("a") == pytest.approx(1.0)
    clock.now += 1.0
    assert buckets.take("a") == 0.0


def test_a_share_below_one_request_lets_one_through_at_a_time(clock: Clock) -> None:
    buckets = TokenBuckets(0.1, now_s=clock.now_s)

    assert buckets.take("a") == 0.0
    assert buckets.take("a") == pytest.approx(10.0)
    clock.now += 10.0
    assert buckets.take("a") == 0.0


def test_names_do_not_share(clock: Clock) -> None:
    buckets = TokenBuckets(0.5, now_s=clock.now_s)

    assert [buckets.take("a"), buckets.take("b")] == [0.0, 0.0]
    assert buckets.take("a") > 0.0


def test_the_table_is_bounded_and_keeps_who_asks_most(clock: Clock) -> None:
    buckets = TokenBuckets(0.001, now_s=clock.now_s, count_max=100)

    buckets.take("hammer")
    for number in range(10_000):
        buckets.take(f"stranger-{number}")
        assert buckets.take("hammer") > 0.0
    assert len(buckets) == 100


def test_a_clock_that_stands_or_goes_back_gives_nothing(clock: Clock) -> None:
    buckets = TokenBuckets(0.5, now_s=clock.now_s)
    buckets.take("a")

    clock.now -= 100.0

    assert buckets.take("a") > 0.0


def test_addresses_and_credentials_are_counted_apart(clock: Clock) -> None:
    limits = RateLimits(Rates(per_address_s=0.5, per_credential_s=0.25), now_s=clock.now_s)
    limits.pass_address("203.0.113.9")
    limits.pass_credential("AKID")

    with pytest.raises(RateLimited) as by_address:
        limits.pass_address("203.0.113.9")
    with pytest.raises(RateLimited) as by_credential:
        limits.pass_credential("AKID")

    assert by_address.value.headers == {"Retry-After": "2"}
    assert by_credential.value.headers == {"Retry-After": "4"}
    assert by_address.value.fault.code == "SlowDown"
    assert [limits.refused_count(by) for by in Limited] == [1, 1]


def test_a_request_that_comes_twice_counts_once(clock: Clock) -> None:
    limits = RateLimits(Rates(per_address_s=1.0, per_credential_s=1.0), now_s=clock.now_s)

    for _ in range(100):
        limits.pass_address("203.0.113.9")
        limits.pass_credential("AKID")
        limits.give_back(address="203.0.113.9", access_key_id="AKID")
    limits.give_back(address="203.0.113.9", access_key_id="")
    limits.give_back(address="203.0.113.77", access_key_id="NOBODY")

    for _ in range(2):
        limits.pass_address("203.0.113.9")
        limits.pass_credential("AKID")
    with pytest.raises(RateLimited):
        limits.pass_address("203.0.113.9")
    with pytest.raises(RateLimited):
        limits.pass_credential("AKID")


def test_a_whole_network_of_ipv6_is_one_client(clock: Clock) -> None:
    limits = RateLimits(Rates(per_address_s=0.5), now_s=clock.now_s)
    limits.pass_address("2001:db8::1")

    with pytest.raises(RateLimited):
        limits.pass_address("2001:db8::2")
    limits.pass_address("2001:db8:0:1::1")


def test_without_rates_everything_passes(clock: Clock) -> None:
    limits = RateLimits(Rates(), now_s=clock.now_s)

    for _ in range(1000):
        limits.pass_address("203.0.113.9")
        limits.pass_credential("AKID")
    assert [limits.refused_count(by) for by in Limited] == [0, 0]
