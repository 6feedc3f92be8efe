"""How fast an operation gets on says what it did lately, and from that when it ends."""

import pytest

from controlplane.operations.rates import WINDOW_S, Rates, left_s
from engine.metadata.operations import OperationProgress


class Now:
    def __init__(self) -> None:
        self.seconds = 50.0

    def __call__(self) -> float:
        return self.seconds


def test_a_rate_is_what_was_done_over_the_time_it_took() -> None:
    now = Now()
    rates = Rates(seconds=now)
    assert (rates.items_per_second, rates.bytes_per_second) == (0.0, 0.0)
    for _ in range(5):
        now.seconds += 2
        rates.add(10, 1000)

    assert rates.items_per_second == pytest.approx(5.0)
    assert rates.bytes_per_second == pytest.approx(500.0)


def test_what_is_long_past_says_nothing() -> None:
    now = Now()
    rates = Rates(seconds=now)
    now.seconds += 1
    rates.add(1_000_000, 0)
    for _ in range(40):
        now.seconds += 1
        rates.add(1, 0)

    assert rates.items_per_second == pytest.approx(1.0)
    now.seconds += 10 * WINDOW_S
    rates.add(1, 0)
    assert rates.items_per_second < 0.1


@pytest.mark.parametrize(
    ("progress", "seconds"),
    [
        (OperationProgress(), None),
        (OperationProgress(total_count=10, done_count=4, items_per_second=2.0), 3.0),
        (OperationProgress(total_count=10, done_count=4, failed_count=2, items_per_second=2.0), 2.0),
        (OperationProgress(total_count=10, done_count=12, items_per_second=2.0), 0.0),
        (OperationProgress(total_count=10, done_count=4), None),
        (
            OperationProgress(
                total_count=10, items_per_second=1.0, total_bytes=500, done_bytes=100, bytes_per_second=40.0
            ),
            10.0,
        ),
        (OperationProgress(total_bytes=500, total_count=8, items_per_second=4.0), 2.0),
        (OperationProgress(items_per_second=4.0, bytes_per_second=4.0), None),
    ],
)
def test_the_time_that_is_left_goes_by_bytes_where_they_are_known(
    progress: OperationProgress, seconds: float | None
) -> None:
    assert left_s(progress) == seconds
