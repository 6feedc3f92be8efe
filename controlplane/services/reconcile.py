"""ReconcileService: rows and bytes compared, and what does not agree settled."""

import re
from functools import partial
from typing import Any

from penstock.admin.v1 import reconcile_service_pb2 as pb
from penstock.admin.v1 import reconcile_service_pb2_grpc as pb_grpc

from controlplane.fields import read_name, read_page_size, read_page_token, write_page_token
from controlplane.operations.integrity import RESOLVE_DISCREPANCIES, START_RECONCILE
from controlplane.operations.starting import OperationStarter
from controlplane.pool import EnginePool
from controlplane.services.discrepancy_messages import (
    KINDS,
    read_depth,
    read_kind,
    read_rate,
    read_repair,
    read_ways,
    write_discrepancy,
)
from controlplane.services.named_backends import backend_names, find_backend
from controlplane.services.operation_messages import write_operation
from engine.errors import MalformedField
from engine.metadata.discrepancies import DiscrepancyKind, count_discrepancies, list_discrepancies
from engine.metadata.operations import OperationFilter, list_operations
from engine.metadata.store import Store, Tx
from engine.upkeep.long_work import Json
from engine.upkeep.resolving import Repair

BACKEND_COUNT_MAX = 100
_TARGET = "discrepancies"
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)


class ReconcileServicer(pb_grpc.ReconcileServiceServicer):
    def __init__(self, store: Store, starter: OperationStarter, pool: EnginePool) -> None:
        self._store = store
        self._starter = starter
        self._pool = pool

    async def StartReconcile(
        self, request: pb.StartReconcileRequest, context: Any
    ) -> pb.StartReconcileResponse:
        if len(request.backends) > BACKEND_COUNT_MAX:
            raise MalformedField("backends", f"at most {BACKEND_COUNT_MAX} backends")
        names = [read_name("backends", each, "backends") for each in dict.fromkeys(request.backends)]
        asked: dict[str, Json] = {
            "ways": read_ways("direction", request.direction).value,
            "depth": read_depth("verify", request.verify).value,
            "repair": read_repair("repair", request.repair).value,
            "dry_run": request.dry_run,
            "max_bytes_per_second": read_rate("max_bytes_per_second", request.max_bytes_per_second),
        }
        backend_ids: list[Json] = []
        backend_ids += await self._pool.run(
            self._store.read, lambda tx: sorted(find_backend(tx, each) for each in names)
        )
        row = await self._starter.start(
            method=START_RECONCILE, target=_TARGET, request={**asked, "backend_ids": backend_ids}
        )
        return pb.StartReconcileResponse(operation=write_operation(row))

    async def GetReconcileStatus(
        self, request: pb.GetReconcileStatusRequest, context: Any
    ) -> pb.GetReconcileStatusResponse:
        return await self._pool.run(self._store.read, _read_status)

    async def ListDiscrepancies(
        self, request: pb.ListDiscrepanciesRequest, context: Any
    ) -> pb.ListDiscrepanciesResponse:
        backend = read_name("backend", request.backend, "backends") if request.backend else None
        kind = read_kind("kind", request.kind)
        after, count_max = _read_position(request.page_token), read_page_size(request.page_size)

        def unit(tx: Tx) -> pb.ListDiscrepanciesResponse:
            found = list_discrepancies(
                tx,
                after=after,
                count_max=count_max + 1,
                backend_id=None if backend is None else find_backend(tx, backend),
                kind=kind,
                only_open=not request.include_settled,
            )
            names = backend_names(tx)
            last = str(found[count_max - 1].discrepancy_id) if len(found) > count_max else None
            return pb.ListDiscrepanciesResponse(
                discrepancies=[write_discrepancy(each, names) for each in found[:count_max]],
                next_page_token=write_page_token(last),
            )

        return await self._pool.run(self._store.read, unit)

    async def ResolveDiscrepancies(
        self, request: pb.ResolveDiscrepanciesRequest, context: Any
    ) -> pb.ResolveDiscrepanciesResponse:
        backend = read_name("backend", request.backend, "backends") if request.backend else None
        kind = read_kind("kind", request.kind)
        repair = read_repair("repair", request.repair)
        if repair is Repair.NONE:
            raise MalformedField("repair", "say what may be changed: METADATA, STORAGE or BOTH")
        rate_bytes = read_rate("max_bytes_per_second", request.max_bytes_per_second)
        backend_id = None
        if backend is not None:
            backend_id = await self._pool.run(self._store.read, partial(find_backend, name=backend))
        row = await self._starter.start(
            method=RESOLVE_DISCREPANCIES,
            target=_TARGET,
            request={
                "backend_id": backend_id,
                "kind": None if kind is None else kind.value,
                "repair": repair.value,
                "dry_run": request.dry_run,
                "max_bytes_per_second": rate_bytes,
            },
        )
        return pb.ResolveDiscrepanciesResponse(operation=write_operation(row))


def _read_status(tx: Tx) -> pb.GetReconcileStatusResponse:
    names = backend_names(tx)
    last = list_operations(tx, OperationFilter(method=START_RECONCILE), count_max=1)
    # Findings of both ways of looking stand for one kind.
    totals: dict[tuple[int, DiscrepancyKind, bool], tuple[int, int]] = {}
    for each in count_discrepancies(tx):
        key = (each.backend_id, each.kind, each.is_settled)
        count, size_bytes = totals.get(key, (0, 0))
        totals[key] = (count + each.count, size_bytes + each.size_bytes)
    return pb.GetReconcileStatusResponse(
        last_operation=write_operation(last[0]) if last else None,
        counts=[
            pb.DiscrepancyCount(
                backend=names[backend_id],
                kind=KINDS[kind],
                settled=settled,
                count=count,
                size_bytes=size_bytes,
            )
            for (backend_id, kind, settled), (count, size_bytes) in totals.items()
        ],
    )


def _read_position(page_token: str) -> int:
    position = read_page_token(page_token)
    if position is None:
        return 0
    if _NUMBER.fullmatch(position) is None:
        raise MalformedField("page_token", "not a token of this method")
    return int(position)
