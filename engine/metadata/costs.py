"""What backends and buckets cost, by the prices that the configuration says (`backends[].cost`)."""

from dataclasses import dataclass
from typing import cast

from engine.metadata import buckets, month_usage, quota
from engine.metadata.backends import list_backends
from engine.metadata.bucket_settings import resource_name
from engine.metadata.store import Tx
from engine.records import BackendState, Scheme, UsageKind, read_scheme
from engine.units import GIB

_FIRST_BUCKET = resource_name("")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenCost:
    """Of `backends/near`, or of `buckets/photos`: its part of what storing costs, by its bytes and their copies.

    Requests are not counted by bucket. Costs are in the configuration's currency.
    """

    name: str
    stored_bytes: int
    storage_cost: float
    write_request_count: int = 0
    request_cost: float = 0.0


def list_costs(tx: Tx, *, default_scheme: Scheme, after: str, count_max: int) -> list[SeenCost]:
    """Behind a resource name: those of backends first, then those of buckets, each by name."""
    of_backends = _of_backends(tx)
    found = [each for each in of_backends if each.name > after][:count_max]
    if len(found) == count_max:
        return found
    # Bytes that are meant to lie on backends: what a byte of a bucket costs is the same for all, copy by copy.
    meant_bytes = sum(
        cast(int, used) * (default_scheme if scheme is None else read_scheme(cast(str, scheme))).count
        for scheme, used in tx.rows("sum_bucket_bytes", {})
    )
    cost_per_byte = sum(each.storage_cost for each in of_backends) / max(1, meant_bytes)
    page = buckets.list_buckets(
        tx,
        account_id=None,
        after=after.removeprefix(_FIRST_BUCKET) if after.startswith(_FIRST_BUCKET) else "",
        count_max=count_max - len(found),
    )
    totals = quota.read_quotas(tx, [quota.bucket_subject(each.bucket_id) for each in page])
    for bucket, held in zip(page, totals, strict=True):
        used_bytes = 0 if held is None else held.used_bytes
        meant = used_bytes * (bucket.scheme or default_scheme).count
        found.append(
            SeenCost(
                name=resource_name(bucket.name), stored_bytes=used_bytes, storage_cost=meant * cost_per_byte
            )
        )
    return found


def _of_backends(tx: Tx) -> list[SeenCost]:
    _, accounts = month_usage.read_month(tx)
    found = []
    for row in list_backends(tx):
        totals = quota.read_quota(tx, quota.backend_subject(row.backend_id))
        if row.state is BackendState.REMOVED or totals is None:
            continue
        stored_bytes = totals.used_bytes + totals.orphan_bytes
        account = accounts.get((row.backend_id, UsageKind.WRITE_REQUESTS))
        write_count = 0 if account is None else account.used
        found.append(
            SeenCost(
                name=f"backends/{row.name}",
                stored_bytes=stored_bytes,
                storage_cost=row.terms.cost_per_gib * stored_bytes / GIB,
                write_request_count=write_count,
                request_cost=row.terms.cost_per_million_requests * write_count / 1_000_000,
            )
        )
    return sorted(found, key=lambda each: each.name)
