"""Accounts of bytes for people: of every backend and bucket, and summed up."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from engine.metadata import quota
from engine.metadata.backends import list_backends
from engine.metadata.bucket_settings import resource_name, see_buckets
from engine.metadata.quota import QuotaTotals
from engine.metadata.store import Tx
from engine.records import BackendState

_FIRST_BUCKET = resource_name("")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenQuota:
    """An account of bytes. `name` is the resource's whose it is, `backends/near` or `buckets/photos`.

    `backend_since_us` is null for a bucket.
    """

    name: str
    subject: str
    totals: QuotaTotals
    is_configured: bool
    backend_since_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentUsage:
    """Sums over all backends, and over all buckets."""

    backends: QuotaTotals
    backend_count: int
    buckets: QuotaTotals
    bucket_count: int


def list_quotas(tx: Tx, *, after: str, count_max: int) -> list[SeenQuota]:
    """Accounts behind a resource name: those of backends first, then those of buckets, each by name."""
    found = [each for each in of_backends(tx) if each.name > after][:count_max]
    if len(found) == count_max:
        return found
    seen = see_buckets(
        tx,
        account_id=None,
        after=after.removeprefix(_FIRST_BUCKET) if after.startswith(_FIRST_BUCKET) else "",
        count_max=count_max - len(found),
    )
    return found + [
        SeenQuota(
            name=resource_name(each.bucket.name),
            subject=quota.bucket_subject(each.bucket.bucket_id),
            totals=each.totals,
            is_configured=each.is_configured,
        )
        for each in seen
    ]


def read_usage(tx: Tx) -> DeploymentUsage:
    """No row is counted for it: the accounts are as many as backends and buckets, times their stripes."""
    backends = of_backends(tx)
    bucket_count, unlimited_count, *sums = tx.row("sum_bucket_quotas", {})
    limit, used, reserved, versions = (cast(int, each) for each in sums)
    return DeploymentUsage(
        backends=_sum(each.totals for each in backends),
        backend_count=len(backends),
        buckets=QuotaTotals(
            limit_bytes=None if unlimited_count else limit,
            used_bytes=used,
            orphan_bytes=0,
            reserved_bytes=reserved,
            object_count=versions,
        ),
        bucket_count=cast(int, bucket_count),
    )


def of_backends(tx: Tx) -> list[SeenQuota]:
    """Accounts of backends that were not removed, by name."""
    found = []
    since_us = {cast(int, row[0]): cast(int, row[1]) for row in tx.rows("list_backend_ages", {})}
    for row in list_backends(tx):
        subject = quota.backend_subject(row.backend_id)
        totals = quota.read_quota(tx, subject)
        if row.state is not BackendState.REMOVED and totals is not None:
            found.append(
                SeenQuota(
                    name=f"backends/{row.name}",
                    subject=subject,
                    totals=totals,
                    is_configured=True,
                    backend_since_us=since_us[row.backend_id],
                )
            )
    return sorted(found, key=lambda each: each.name)


def _sum(all_totals: Iterable[QuotaTotals]) -> QuotaTotals:
    each = list(all_totals)
    limits = [totals.limit_bytes for totals in each if totals.limit_bytes is not None]
    return QuotaTotals(
        limit_bytes=sum(limits) if each and len(limits) == len(each) else None,
        used_bytes=sum(totals.used_bytes for totals in each),
        orphan_bytes=sum(totals.orphan_bytes for totals in each),
        reserved_bytes=sum(totals.reserved_bytes for totals in each),
        object_count=sum(totals.object_count for totals in each),
    )
