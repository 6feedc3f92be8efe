"""Limits of backends: those that are reached, and those that will be if things go on as they did."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from controlplane.health import DEGRADED, OK, HealthCheck
from controlplane.services.usage_forecasts import full_us, month_limits_us
from engine.metadata import month_usage, usage
from engine.metadata.store import Tx
from engine.units import DAY_S

SOON_S = 30 * DAY_S
"""A quota that will be full within this is told of; limits of a month are within theirs."""


def check_limits(tx: Tx) -> HealthCheck:
    return told_of_limits(_ends(tx), tx.now_us())


def told_of_limits(ends: Iterable[tuple[str, int]], now_us: int) -> HealthCheck:
    """DEGRADED once a limit is reached. What is only foretold is no fault: OK, with what can be done about it."""
    reached, foretold = [], []
    for name, at_us in ends:
        if at_us <= now_us:
            reached.append(name)
        elif at_us <= now_us + SOON_S * 1_000_000:
            foretold.append(f"{name} on {datetime.fromtimestamp(at_us / 1_000_000, UTC):%Y-%m-%d}")
    told = [f"reached: {', '.join(reached)}"] if reached else []
    told += [f"will be reached: {', '.join(foretold)}"] if foretold else []
    remedy = "see `adminctl usage month` and `adminctl usage list -o wide`; limits stand in the configuration"
    return HealthCheck(
        name="limits",
        status=DEGRADED if reached else OK,
        message="; ".join(told),
        remedy=remedy if told else "",
    )


def _ends(tx: Tx) -> Iterator[tuple[str, int]]:
    """Limits by name, with when they are reached; those of which that cannot be told are left out."""
    for each in usage.of_backends(tx):
        at_us = full_us(tx, each)
        if at_us is not None:
            yield f"the quota of {each.name}", at_us
    month, accounts = month_usage.read_month(tx)
    foretold_us = month_limits_us(tx, month, accounts)
    for account, used in accounts.items():
        # What processes hold of a limit is nobody else's to use.
        at_us = month.now_us if used.left == 0 else foretold_us.get(account)
        if at_us is not None:
            yield f"{account[1].value.replace('_', ' ')} of backends/{used.backend} this month", at_us
