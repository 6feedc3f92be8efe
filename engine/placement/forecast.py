"""When what grows reaches its limit, if it goes on as it did: what was lately counts more than what was long ago."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.units import DAY_S, HOUR_S

OBSERVED_MIN_US = HOUR_S * 1_000_000
"""An average over less says nothing."""

HALF_LIFE_US = 3 * DAY_S * 1_000_000
"""What ended so long ago counts half as much as what ends now."""

HORIZON_US = 100 * 365 * DAY_S * 1_000_000
"""Further off nothing is foretold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """By how much something grew within a span of time; less than nothing when it shrank."""

    amount: int
    starts_us: int
    ends_us: int


def reached_us(*, used: int, limit: int, growths: Sequence[Growth], now_us: int) -> int | None:
    """When the limit is reached; now when it is, null where nobody can tell or it does not grow."""
    if used >= limit:
        return now_us
    observed_us = sum(each.ends_us - each.starts_us for each in growths)
    if observed_us < OBSERVED_MIN_US:
        return None
    weighted = [(0.5 ** ((now_us - each.ends_us) / HALF_LIFE_US), each) for each in growths]
    grown = sum(weight * each.amount for weight, each in weighted)
    if grown <= 0:
        return None
    weighted_us = sum(weight * (each.ends_us - each.starts_us) for weight, each in weighted)
    left_us = (limit - used) * weighted_us / grown
    return now_us + round(left_us) if left_us < HORIZON_US else None
