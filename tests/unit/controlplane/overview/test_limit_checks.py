"""Limits that are reached are a fault, those that will be are told of, those far off are not."""

import pytest

from controlplane.health import DEGRADED, OK
from controlplane.overview.limit_checks import told_of_limits
from engine.units import DAY_S

NOW_US = 1_800_000_000_000_000


@pytest.mark.parametrize(
    ("in_days", "status", "told"),
    [
        (31, OK, ""),
        (2, OK, "will be reached: the quota of backends/near on 2027-01-17"),
        (0, DEGRADED, "reached: the quota of backends/near"),
        (-1, DEGRADED, "reached: the quota of backends/near"),
    ],
)
def test_a_limit_is_told_of_when_it_is_near(in_days: int, status: int, told: str) -> None:
    check = told_of_limits([("the quota of backends/near", NOW_US + in_days * DAY_S * 1_000_000)], NOW_US)

    assert (check.name, check.status, check.message) == ("limits", status, told)
    assert bool(check.remedy) == bool(told)


def test_both_kinds_are_told_of_at_once() -> None:
    check = told_of_limits([("one", NOW_US), ("other", NOW_US + 1)], NOW_US)

    assert check.status == DEGRADED
    assert check.message.startswith("reached: one; will be reached: other on ")
