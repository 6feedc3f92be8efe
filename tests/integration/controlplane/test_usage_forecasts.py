"""Limits are foretold by the days that were recorded: what is used lately counts, not what was used long ago."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from controlplane.services.usage_forecasts import month_limits_us
from engine.metadata import month_usage, usage_history
from engine.metadata.store import Store
from engine.records import UsageKind
from engine.units import DAY_S
from tests.support.metadata import SetClock, make_backend, open_sqlite

WRITES = UsageKind.WRITE_REQUESTS
MONTH_START_US = 1_801_440_000_000_000
"""The first of February 2027, at midnight by UTC."""


@pytest.fixture
def clock() -> SetClock:
    return SetClock(MONTH_START_US)


@pytest.fixture
def store(tmp_path: Path, clock: SetClock) -> Iterator[Store]:
    opened = open_sqlite(tmp_path, clock=clock)
    yield opened
    opened.close()


def use(store: Store, backend_id: int, write_count: int) -> None:
    counted: Mapping[tuple[int, UsageKind], int] = {(backend_id, WRITES): write_count}
    store.write(
        partial(
            month_usage.report,
            process_id=b"process-1-------",
            period="",
            counted=counted,
            returned={},
            kept={},
        )
    )
    store.write(usage_history.record_backends)


def reached_day(store: Store, backend_id: int) -> float | None:
    """On which day of the month the limit of writes is reached, from 0; null when not in it."""
    reached = store.read(lambda tx: month_limits_us(tx, *month_usage.read_month(tx)))
    at_us = reached.get((backend_id, WRITES))
    return None if at_us is None else (at_us - MONTH_START_US) / (DAY_S * 1_000_000)


@pytest.mark.parametrize(
    ("days", "reached"),
    [
        ([100] * 5, 10.0),
        # On average 100 a day as well, and nothing for days.
        ([500, 0, 0, 0, 0], None),
        # Far more than on average.
        ([20, 20, 20, 20, 420], pytest.approx(8.19, abs=0.01)),
    ],
)
def test_a_limit_is_foretold_by_the_days_before(
    store: Store, clock: SetClock, days: list[int], reached: float | None
) -> None:
    backend_id = make_backend(store)
    store.write(partial(month_usage.set_limits, backend_id=backend_id, limits={WRITES: 1000}))
    for count in days:
        use(store, backend_id, count)
        clock.move(DAY_S)

    assert reached_day(store, backend_id) == reached
