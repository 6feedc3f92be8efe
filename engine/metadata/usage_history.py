"""What backends were used for and what lay there, and what buckets held: by the hour and by the day, by UTC.

Accounts of a month only grow, so what was used since the last look is the difference. It counts in the look's hour.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import cast

from engine.metadata import buckets, month_usage, quota
from engine.metadata.backends import list_backends
from engine.metadata.month_usage import Month, month_of
from engine.metadata.store import SqlValue, Tx
from engine.records import BackendState, UsageKind
from engine.units import DAY_S, HOUR_S

KEEP_HOURS_S = 45 * DAY_S
KEEP_DAYS_S = 800 * DAY_S
"""Two years, and some weeks to compare with."""

DROP_COUNT_MAX = 500
BUCKET_COUNT = 200
"""Buckets of which one unit records what they hold."""


class Step(Enum):
    """How long one entry is. Hours and days by UTC begin at multiples of their length."""

    HOUR = "hour"
    DAY = "day"

    @property
    def length_us(self) -> int:
        return (HOUR_S if self is Step.HOUR else DAY_S) * 1_000_000

    def start_of(self, time_us: int) -> int:
        return time_us - time_us % self.length_us


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedInStep:
    """One hour or day. `stored_bytes` is what lay there at the last look in it."""

    starts_us: int
    used: Mapping[UsageKind, int]
    stored_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    subject: str
    used_of_month: Mapping[str, int]
    stored_bytes: int
    # Nothing was recorded of it because it was not there, and not because nobody recorded.
    is_new: bool


def record_backends(tx: Tx) -> None:
    """Look at all backends now. A look that is repeated finds nothing new."""
    month, accounts = month_usage.read_month(tx)
    (last_us,) = tx.row("find_last_usage_look", {})
    if last_us is not None and month_of(cast(int, last_us)).period < month.period:
        # What was used after the last look of the month that has ended.
        ended = month_of(month.starts_us - 1)
        _record(tx, ended, month_usage.read_accounts(tx, ended), is_late=True)
    _record(tx, month, accounts, is_late=False)


def record_buckets(tx: Tx, *, after: str) -> str | None:
    """Look at the next buckets behind a name, for their day; the name that the rest is behind, null at the end."""
    page = buckets.list_buckets(tx, account_id=None, after=after, count_max=BUCKET_COUNT)
    totals = quota.read_quotas(tx, [quota.bucket_subject(each.bucket_id) for each in page])
    tx.ask_many(
        "upsert_usage_step",
        [
            {
                "subject": quota.bucket_subject(each.bucket_id),
                "step": Step.DAY.value,
                "starts_us": Step.DAY.start_of(tx.now_us()),
                "used": "{}",
                "used_of_month": "{}",
                "stored_bytes": found.used_bytes,
            }
            for each, found in zip(page, totals, strict=True)
            if found is not None
        ],
    )
    return page[-1].name if len(page) == BUCKET_COUNT else None


def drop_old(tx: Tx) -> int:
    """Forget what is past its time, a bounded number of entries; how many went."""
    return drop_past(tx, "drop_usage_steps")


def drop_past(tx: Tx, statement: str) -> int:
    """As `drop_old`, with a statement that forgets hours or days before a time."""
    return sum(
        tx.run(
            statement,
            {
                "step": step.value,
                "before_us": tx.now_us() - keep_s * 1_000_000,
                "count_max": DROP_COUNT_MAX,
            },
        )
        for step, keep_s in ((Step.HOUR, KEEP_HOURS_S), (Step.DAY, KEEP_DAYS_S))
    )


def list_steps(tx: Tx, subject: str, step: Step, *, since_us: int, count_max: int) -> Sequence[UsedInStep]:
    """Those of a backend or bucket (`quota.backend_subject`, `bucket_subject`) from a time on, the oldest first."""
    rows = tx.rows(
        "list_usage_steps",
        {"subject": subject, "step": step.value, "since_us": since_us, "count_max": count_max},
    )
    return [
        UsedInStep(
            starts_us=cast(int, starts_us),
            used={UsageKind(kind): amount for kind, amount in json.loads(cast(str, used)).items()},
            stored_bytes=cast(int, stored_bytes),
        )
        for starts_us, used, stored_bytes in rows
    ]


def _record(
    tx: Tx, month: Month, accounts: Mapping[month_usage.Account, month_usage.UsedOfMonth], *, is_late: bool
) -> None:
    """At the month's now; `is_late`: what lay there then is not known, only what was used."""
    at_us = month.now_us
    for row in list_backends(tx):
        totals = quota.read_quota(tx, quota.backend_subject(row.backend_id))
        if row.state is BackendState.REMOVED or totals is None:
            continue
        own = {
            kind.value: each for (backend_id, kind), each in accounts.items() if backend_id == row.backend_id
        }
        since_us = min((each.backend_since_us for each in own.values()), default=at_us)
        look = _Look(
            subject=quota.backend_subject(row.backend_id),
            used_of_month={kind: each.used for kind, each in own.items()},
            stored_bytes=totals.used_bytes + totals.orphan_bytes,
            is_new=at_us - since_us < Step.HOUR.length_us,
        )
        for step in Step:
            _add(tx, look, step, month, is_late=is_late)


def _add(tx: Tx, look: _Look, step: Step, month: Month, *, is_late: bool) -> None:
    last = tx.row_or_none("find_last_usage_step", {"subject": look.subject, "step": step.value})
    starts_us = step.start_of(month.now_us)
    used: dict[str, int] = {}
    known: dict[str, int] = {} if look.is_new else dict(look.used_of_month)
    if last is not None:
        last_us = cast(int, last[0])
        # A clock that was set back adds to what is there already.
        starts_us = max(starts_us, last_us)
        used = json.loads(cast(str, last[1])) if starts_us == last_us else {}
        known = json.loads(cast(str, last[2])) if month_of(last_us).period == month.period else {}
    grown = {kind: amount - known.get(kind, 0) for kind, amount in look.used_of_month.items()}
    if is_late and not any(each > 0 for each in grown.values()):
        return
    for kind, amount in grown.items():
        if amount > 0:
            used[kind] = used.get(kind, 0) + amount
    # What a process gives back is used again later, and was counted by then.
    total = {kind: max(amount, known.get(kind, 0)) for kind, amount in look.used_of_month.items()}
    entry: dict[str, SqlValue] = {
        "subject": look.subject,
        "step": step.value,
        "starts_us": starts_us,
        "used": json.dumps(used),
        "used_of_month": json.dumps(total),
        "stored_bytes": look.stored_bytes,
    }
    tx.run("upsert_usage_step", entry)
