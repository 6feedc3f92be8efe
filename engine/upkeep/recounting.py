"""Counting accounts anew: what rows hold in sum, against what the account says they hold.

Both are read on one snapshot, and every writer changes rows and account in one transaction. So the difference is an
error of the account alone, it stays the same however much is written meanwhile, and it is taken off whenever that is.
"""

import json
from functools import partial

from engine.metadata import facts, quota
from engine.metadata.facts import TrueTotals
from engine.metadata.quota import QuotaTotals, bucket_of, is_bucket
from engine.metadata.store import Store, Tx
from engine.upkeep.long_work import Extent, Fence, Step


class Recount:
    """Long work: one account a step. The cursor is the last account looked at, with how many were wrong."""

    def __init__(self, store: Store, *, fence: Fence) -> None:
        self._store = store
        self._fence = fence

    def measure(self) -> Extent:
        return Extent(item_count=len(self._store.read(quota.list_limits)))

    def step(self, cursor: str | None, /) -> Step:
        """Reads all rows of a backend or a bucket on one snapshot; with very many of them that takes minutes."""
        after, wrong_count = json.loads(cursor) if cursor is not None else ("", 0)
        subjects = sorted(subject for subject, _ in self._store.read(quota.list_limits) if subject > after)
        if not subjects:
            return self._told(after, wrong_count, is_last=True)
        subject = subjects[0]
        told, truth = self._store.read(partial(_compare, subject=subject))
        if told is None or _counted(told) == truth:
            return self._told(subject, wrong_count, item_count=1)
        self._store.write(partial(self._correct, subject=subject, told=_counted(told), truth=truth))
        warning = f"{subject} said {_said(_counted(told))} and says {_said(truth)} now"
        return self._told(subject, wrong_count + 1, item_count=1, warnings=(warning,))

    def cancelled(self) -> None:
        """Accounts that were counted stay right."""

    def _told(
        self,
        after: str,
        wrong_count: int,
        *,
        item_count: int = 0,
        warnings: tuple[str, ...] = (),
        is_last: bool = False,
    ) -> Step:
        return Step(
            cursor=json.dumps([after, wrong_count]),
            is_last=is_last,
            item_count=item_count,
            stage="counting",
            current_item=after,
            warnings=warnings,
            result={"corrected_count": wrong_count} if is_last else None,
        )

    def _correct(self, tx: Tx, *, subject: str, told: TrueTotals, truth: TrueTotals) -> None:
        self._fence(tx)
        now = quota.read_quota(tx, subject)
        if now is None:
            # The bucket was deleted meanwhile, and its account with it.
            return
        changes = quota.Changes()
        changes.find(
            subject,
            used_bytes=truth.used_bytes - told.used_bytes,
            orphan_bytes=truth.orphan_bytes - told.orphan_bytes,
            objects=truth.object_count - told.object_count,
        )
        changes.apply(tx)
        # What was counted too much leaves no room above the limit, what was counted too little takes none below it.
        quota.set_limit(tx, subject, now.limit_bytes)


def _compare(tx: Tx, *, subject: str) -> tuple[QuotaTotals | None, TrueTotals]:
    told = quota.read_quota(tx, subject)
    if is_bucket(subject):
        return told, facts.bucket_truth(tx, bucket_of(subject))
    return told, facts.backend_truth(tx, quota.backend_of(subject))


def _counted(told: QuotaTotals) -> TrueTotals:
    return TrueTotals(
        used_bytes=told.used_bytes, orphan_bytes=told.orphan_bytes, object_count=told.object_count
    )


def _said(totals: TrueTotals) -> str:
    return f"{totals.used_bytes} used and {totals.orphan_bytes} orphan bytes in {totals.object_count}"
