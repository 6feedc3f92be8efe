"""When limits are reached: by the days that were recorded, and before there are enough by the average so far."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from engine.metadata import quota, usage_history
from engine.metadata.month_usage import Account, Month, UsedOfMonth
from engine.metadata.store import Tx
from engine.metadata.usage import SeenQuota
from engine.metadata.usage_history import Step, UsedInStep
from engine.placement.forecast import OBSERVED_MIN_US, Growth, reached_us
from engine.units import DAY_S

_LOOK_BACK_US = 21 * DAY_S * 1_000_000
"""Seven half-lives of what is weighed."""

_COUNT_MAX = 30


def full_us(tx: Tx, seen: SeenQuota) -> int | None:
    """When an account of bytes is full; null where that is not foretold, and without a limit."""
    totals, now_us = seen.totals, tx.now_us()
    if totals.limit_bytes is None:
        return None
    held_bytes = totals.used_bytes + totals.orphan_bytes + totals.reserved_bytes
    growths = [
        Growth(
            amount=day.stored_bytes - before.stored_bytes,
            starts_us=_end_of(before, now_us),
            ends_us=_end_of(day, now_us),
        )
        for before, day in pairwise(_days(tx, seen.subject))
    ]
    if not _suffice(growths) and seen.backend_since_us is not None:
        growths = [Growth(amount=held_bytes, starts_us=seen.backend_since_us, ends_us=now_us)]
    return reached_us(used=held_bytes, limit=totals.limit_bytes, growths=growths, now_us=now_us)


def month_limits_us(tx: Tx, month: Month, accounts: Mapping[Account, UsedOfMonth]) -> dict[Account, int]:
    """When limits of the month are reached, of those of which that is within the month."""
    backend_ids = {backend_id for backend_id, _ in accounts}
    days = {each: _days(tx, quota.backend_subject(each)) for each in backend_ids}
    reached: dict[Account, int] = {}
    for (backend_id, kind), each in accounts.items():
        if each.limit is None:
            continue
        # The oldest day may have been recorded in part.
        growths = [
            Growth(amount=day.used.get(kind, 0), starts_us=day.starts_us, ends_us=_end_of(day, month.now_us))
            for day in days[backend_id][1:]
        ]
        if not _suffice(growths):
            since_us = max(month.starts_us, each.backend_since_us)
            growths = [Growth(amount=each.used, starts_us=since_us, ends_us=month.now_us)]
        at_us = reached_us(used=each.used, limit=each.limit, growths=growths, now_us=month.now_us)
        if at_us is not None and at_us < month.ends_us:
            reached[backend_id, kind] = at_us
    return reached


def _days(tx: Tx, subject: str) -> Sequence[UsedInStep]:
    since_us = Step.DAY.start_of(tx.now_us() - _LOOK_BACK_US)
    return usage_history.list_steps(tx, subject, Step.DAY, since_us=since_us, count_max=_COUNT_MAX)


def _end_of(day: UsedInStep, now_us: int) -> int:
    return min(day.starts_us + Step.DAY.length_us, now_us)


def _suffice(growths: Sequence[Growth]) -> bool:
    return sum(each.ends_us - each.starts_us for each in growths) >= OBSERVED_MIN_US
