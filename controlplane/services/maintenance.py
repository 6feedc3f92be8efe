"""MaintenanceService: everything checked, what is dead given back, accounts counted anew, the cache."""

from collections.abc import Callable
from functools import partial
from typing import Any

from penstock.admin.v1 import maintenance_service_pb2 as pb
from penstock.admin.v1 import maintenance_service_pb2_grpc as pb_grpc

from controlplane.fields import read_name
from controlplane.operations.integrity import COMPACT, FSCK, RECOUNT_QUOTAS
from controlplane.operations.starting import OperationStarter
from controlplane.pool import EnginePool
from controlplane.services.discrepancy_messages import read_rate
from controlplane.services.named_backends import find_backend
from controlplane.services.operation_messages import write_operation
from engine.cache.folder import CacheFolder
from engine.errors import MalformedField, NoCache
from engine.metadata.store import Store

_EVERYTHING = "deployment"


class MaintenanceServicer(pb_grpc.MaintenanceServiceServicer):
    def __init__(
        self,
        store: Store,
        starter: OperationStarter,
        pool: EnginePool,
        *,
        cache: Callable[[], CacheFolder | None],
    ) -> None:
        """`cache` is the one that the generation in force names; null when it names none."""
        self._cache = cache
        self._store = store
        self._starter = starter
        self._pool = pool

    async def Fsck(self, request: pb.FsckRequest, context: Any) -> pb.FsckResponse:
        row = await self._starter.start(
            method=FSCK,
            target=_EVERYTHING,
            request={
                "skip_payloads": request.skip_payloads,
                "max_bytes_per_second": read_rate("max_bytes_per_second", request.max_bytes_per_second),
            },
        )
        return pb.FsckResponse(operation=write_operation(row))

    async def Compact(self, request: pb.CompactRequest, context: Any) -> pb.CompactResponse:
        if bool(request.backend) == request.all:
            raise MalformedField("backend", "give either a backend or `all`")
        rate_bytes = read_rate("max_bytes_per_second", request.max_bytes_per_second)
        backend_ids: list[int] = []
        if request.backend:
            name = read_name("backend", request.backend, "backends")
            backend_ids = [await self._pool.run(self._store.read, partial(find_backend, name=name))]
        row = await self._starter.start(
            method=COMPACT,
            target=request.backend or _EVERYTHING,
            request={
                "backend_ids": [*backend_ids],
                "dry_run": request.dry_run,
                "max_bytes_per_second": rate_bytes,
            },
        )
        return pb.CompactResponse(operation=write_operation(row))

    async def RecountQuotas(self, request: pb.RecountQuotasRequest, context: Any) -> pb.RecountQuotasResponse:
        row = await self._starter.start(method=RECOUNT_QUOTAS, target=_EVERYTHING, request={})
        return pb.RecountQuotasResponse(operation=write_operation(row))

    async def GetCacheStats(self, request: pb.GetCacheStatsRequest, context: Any) -> pb.GetCacheStatsResponse:
        folder = self._folder()
        kept = [each for each in await self._pool.run(lambda: list(folder.files())) if not each.is_part]
        answer = pb.GetCacheStatsResponse(
            blob_count=len(kept),
            size_bytes=sum(each.size_bytes for each in kept),
            size_bytes_max=folder.size_bytes_max,
        )
        if kept:
            answer.oldest_use_time.FromSeconds(int(min(each.used_at_s for each in kept)))
        return answer

    async def FlushCache(self, request: pb.FlushCacheRequest, context: Any) -> pb.FlushCacheResponse:
        return pb.FlushCacheResponse(removed_bytes=await self._pool.run(self._folder().flush))

    def _folder(self) -> CacheFolder:
        folder = self._cache()
        if folder is None:
            raise NoCache
        return folder
