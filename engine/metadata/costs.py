"""What backends and buckets cost, by the prices that the configuration says (`backends[].cost`)."""

from dataclasses import dataclass
from typing import cast

from engine.metadata import bucket_usage, buckets, month_usage, quota
from engine.metadata.backends import list_backends
from engine.metadata.bucket_settings import resource_name
from engine.metadata.bucket_usage import CountedBucket, StoredContents
from engine.metadata.store import Tx
from engine.records import BackendState, Scheme, UsageKind, read_scheme
from engine.units import GIB

_FIRST_BUCKET = resource_name("")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenCost:
    """Of `backends/near`, or of `buckets/photos`: its part of what backends cost. In the configuration's currency.

    `write_request_count` are requests of this month: to a backend all that write, for a bucket those of clients that
    stored the content of an object or a part.
    """

    name: str
    stored_bytes: int
    storage_cost: float
    write_request_count: int
    request_cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StoringRules:
    """How what is in buckets is laid on backends: the scheme of those that ask for none, the most bytes of a blob."""

    default_scheme: Scheme
    chunk_bytes: int


def list_costs(tx: Tx, *, rules: StoringRules, after: str, count_max: int) -> list[SeenCost]:
    """Behind a resource name: those of backends first, then those of buckets, each by name."""
    of_backends = _of_backends(tx)
    found = [each for each in of_backends if each.name > after][:count_max]
    if len(found) == count_max:
        return found
    page = buckets.list_buckets(
        tx,
        account_id=None,
        after=after.removeprefix(_FIRST_BUCKET) if after.startswith(_FIRST_BUCKET) else "",
        count_max=count_max - len(found),
    )
    totals = quota.read_quotas(tx, [quota.bucket_subject(each.bucket_id) for each in page])
    contents = bucket_usage.contents_of(tx, [CountedBucket(each.name, each.bucket_id) for each in page])
    cost_per_byte = _cost_per_byte(tx, rules, of_backends)
    cost_per_piece = _cost_per_piece(tx, rules, of_backends)
    for bucket, held, stored in zip(page, totals, contents, strict=True):
        used_bytes = 0 if held is None else held.used_bytes
        copy_count = (bucket.scheme or rules.default_scheme).count
        found.append(
            SeenCost(
                name=resource_name(bucket.name),
                stored_bytes=used_bytes,
                storage_cost=used_bytes * copy_count * cost_per_byte,
                write_request_count=stored.request_count,
                request_cost=_blob_count(stored, rules) * copy_count * cost_per_piece,
            )
        )
    return found


def _cost_per_byte(tx: Tx, rules: StoringRules, of_backends: list[SeenCost]) -> float:
    """Of bytes that are meant to lie on backends: what a byte of a bucket costs is the same for all, copy by copy."""
    meant_bytes = sum(
        cast(int, used) * _copy_count(cast("str | None", scheme), rules)
        for scheme, used in tx.rows("sum_bucket_bytes", {})
    )
    return sum(each.storage_cost for each in of_backends) / max(1, meant_bytes)


def _cost_per_piece(tx: Tx, rules: StoringRules, of_backends: list[SeenCost]) -> float:
    """Of pieces that clients' requests made this month. What moves and heals pieces is in it, in proportion."""
    piece_count = sum(
        _blob_count(stored, rules) * _copy_count(scheme, rules)
        for scheme, stored in bucket_usage.sum_contents(tx)
    )
    return sum(each.request_cost for each in of_backends) / max(1, piece_count)


def _blob_count(stored: StoredContents, rules: StoringRules) -> float:
    """About as many as its contents were cut into."""
    return stored.request_count + stored.ingress_bytes // rules.chunk_bytes


def _copy_count(scheme: str | None, rules: StoringRules) -> int:
    return (rules.default_scheme if scheme is None else read_scheme(scheme)).count


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
