"""UsageService: how much is stored, and how much may be."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any

from penstock.admin.v1 import usage_service_pb2 as pb
from penstock.admin.v1 import usage_service_pb2_grpc as pb_grpc

from controlplane.fields import read_page, read_page_token, write_page_token
from controlplane.pool import EnginePool
from controlplane.rehearsal import write_or_rehearse
from controlplane.services.bucket_usage import list_page, read_listing
from controlplane.services.buckets import read_bucket_name, read_limit
from controlplane.services.usage_forecasts import full_us, month_limits_us
from controlplane.services.usage_history import query, read_query
from controlplane.times import timestamp
from controlplane.watching import watch
from engine.errors import OwnedByConfig
from engine.metadata import bucket_settings, costs, month_usage, quota, usage
from engine.metadata.bucket_settings import BucketField, BucketSettings, SeenBucket
from engine.metadata.costs import SeenCost, StoringRules
from engine.metadata.month_usage import Account, Month, UsedOfMonth
from engine.metadata.quota import QuotaTotals
from engine.metadata.store import Store, Tx
from engine.metadata.usage import SeenQuota
from engine.records import UsageKind

LOOK_EVERY_S = 1.0
"""How often a watch reads all accounts."""

_KINDS = {
    UsageKind.WRITE_REQUESTS: pb.USAGE_KIND_WRITE_REQUESTS,
    UsageKind.READ_REQUESTS: pb.USAGE_KIND_READ_REQUESTS,
    UsageKind.DELETE_REQUESTS: pb.USAGE_KIND_DELETE_REQUESTS,
    UsageKind.EGRESS_BYTES: pb.USAGE_KIND_EGRESS_BYTES,
    UsageKind.INGRESS_BYTES: pb.USAGE_KIND_INGRESS_BYTES,
}


class UsageServicer(pb_grpc.UsageServiceServicer):
    def __init__(self, store: Store, pool: EnginePool, *, rules: Callable[[], StoringRules]) -> None:
        """`rules` are those that hold now."""
        self._store = store
        self._pool = pool
        self._rules = rules

    async def GetUsage(self, request: pb.GetUsageRequest, context: Any) -> pb.GetUsageResponse:
        found = await self._pool.run(self._store.read, usage.read_usage)
        return pb.GetUsageResponse(
            backends=_write(found.backends),
            backend_count=found.backend_count,
            buckets=_write(found.buckets),
            bucket_count=found.bucket_count,
        )

    async def WatchUsage(
        self, request: pb.WatchUsageRequest, context: Any
    ) -> AsyncIterator[pb.WatchUsageResponse]:
        look = partial(self._pool.run, self._store.read, _watched)
        async with aclosing(watch(look, every_s=LOOK_EVERY_S)) as answers:
            async for kind, seen in answers:
                answer = pb.WatchUsageResponse(kind=kind)
                answer.MergeFrom(seen)
                yield answer

    async def ListQuotas(self, request: pb.ListQuotasRequest, context: Any) -> pb.ListQuotasResponse:
        page = read_page(request.page_size, read_page_token(request.page_token))
        unit = partial(_foretold_quotas, after=page.after or "", count_max=page.size + 1)
        found = await self._pool.run(self._store.read, unit)
        shown, position = page.of(found, lambda each: each[0].name)
        return pb.ListQuotasResponse(
            quotas=[_write_quota(*each) for each in shown], next_page_token=write_page_token(position)
        )

    async def ListBackendUsage(
        self, request: pb.ListBackendUsageRequest, context: Any
    ) -> pb.ListBackendUsageResponse:
        page = read_page(request.page_size, read_page_token(request.page_token))
        month, accounts, reached = await self._pool.run(self._store.read, _foretold_month)
        named = {
            f"{each.backend} {account[1].value}": (account[1], each, reached.get(account))
            for account, each in accounts.items()
        }
        shown, position = page.of(sorted(named), str)
        return pb.ListBackendUsageResponse(
            usages=[_write_month(*named[name]) for name in shown],
            next_page_token=write_page_token(position),
            reset_time=timestamp(month.ends_us),
        )

    async def ListBucketUsage(
        self, request: pb.ListBucketUsageRequest, context: Any
    ) -> pb.ListBucketUsageResponse:
        page = await self._pool.run(self._store.read, partial(list_page, asked=read_listing(request)))
        return pb.ListBucketUsageResponse(
            usages=page.usages,
            next_page_token=write_page_token(page.position),
            since_time=timestamp(page.since_us),
        )

    async def QueryUsageHistory(
        self, request: pb.QueryUsageHistoryRequest, context: Any
    ) -> pb.QueryUsageHistoryResponse:
        shown, position = await self._pool.run(self._store.read, partial(query, asked=read_query(request)))
        return pb.QueryUsageHistoryResponse(usages=shown, next_page_token=write_page_token(position))

    async def ListCosts(self, request: pb.ListCostsRequest, context: Any) -> pb.ListCostsResponse:
        page = read_page(request.page_size, read_page_token(request.page_token))
        unit = partial(
            costs.list_costs,
            rules=self._rules(),
            after=page.after or "",
            count_max=page.size + 1,
        )
        shown, position = page.of(await self._pool.run(self._store.read, unit), lambda each: each.name)
        return pb.ListCostsResponse(
            costs=[_write_cost(each) for each in shown], next_page_token=write_page_token(position)
        )

    async def UpdateQuota(self, request: pb.UpdateQuotaRequest, context: Any) -> pb.UpdateQuotaResponse:
        if request.name.startswith("backends/"):
            raise OwnedByConfig(name=request.name[:80], what="quota_bytes")
        limit = read_limit("limit_bytes", request.limit_bytes) if request.HasField("limit_bytes") else None
        unit = partial(
            bucket_settings.change_bucket,
            name=read_bucket_name("name", request.name),
            settings=BucketSettings(quota_bytes=limit),
            fields=frozenset({BucketField.QUOTA_BYTES}),
        )
        seen = await self._pool.run(write_or_rehearse, self._store, unit, validate_only=request.validate_only)
        return pb.UpdateQuotaResponse(quota=_write_quota(_quota_of(seen), None))


def _watched(tx: Tx) -> pb.WatchUsageResponse:
    """All of a message but its kind; a forecast would be another one at every look."""
    found = usage.read_usage(tx)
    _, accounts = month_usage.read_month(tx)
    in_order = sorted(accounts.items(), key=lambda each: (each[1].backend, each[0][1].value))
    return pb.WatchUsageResponse(
        backends=_write(found.backends),
        buckets=_write(found.buckets),
        usages=[_write_month(kind, each, None) for (_, kind), each in in_order],
    )


def _quota_of(seen: SeenBucket) -> SeenQuota:
    return SeenQuota(
        name=bucket_settings.resource_name(seen.bucket.name),
        subject=quota.bucket_subject(seen.bucket.bucket_id),
        totals=seen.totals,
        is_configured=seen.is_configured,
    )


def _foretold_quotas(tx: Tx, *, after: str, count_max: int) -> list[tuple[SeenQuota, int | None]]:
    """Accounts, each with when it is full."""
    return [(each, full_us(tx, each)) for each in usage.list_quotas(tx, after=after, count_max=count_max)]


def _foretold_month(tx: Tx) -> tuple[Month, Mapping[Account, UsedOfMonth], Mapping[Account, int]]:
    """The month's accounts, and when limits are reached."""
    month, accounts = month_usage.read_month(tx)
    return month, accounts, month_limits_us(tx, month, accounts)


def _write_quota(seen: SeenQuota, full_at_us: int | None) -> pb.Quota:
    return pb.Quota(
        name=seen.name,
        usage=_write(seen.totals),
        configured=seen.is_configured,
        full_time=timestamp(full_at_us),
    )


def _write_month(kind: UsageKind, used: UsedOfMonth, reached_at_us: int | None) -> pb.BackendUsage:
    return pb.BackendUsage(
        backend=f"backends/{used.backend}",
        kind=_KINDS[kind],
        used_amount=used.used,
        leased_amount=used.leased,
        limit_amount=used.limit,
        reached_time=timestamp(reached_at_us),
    )


def _write_cost(seen: SeenCost) -> pb.Cost:
    return pb.Cost(
        name=seen.name,
        stored_bytes=seen.stored_bytes,
        storage_cost=seen.storage_cost,
        write_request_count=seen.write_request_count,
        request_cost=seen.request_cost,
    )


def _write(totals: QuotaTotals) -> pb.Usage:
    return pb.Usage(
        limit_bytes=totals.limit_bytes,
        used_bytes=totals.used_bytes,
        orphan_bytes=totals.orphan_bytes,
        reserved_bytes=totals.reserved_bytes,
        item_count=totals.object_count,
    )
