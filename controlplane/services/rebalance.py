"""RebalanceService: how full backends are, and work that evens it out."""

import math
from typing import Any

from penstock.admin.v1 import rebalance_service_pb2 as pb
from penstock.admin.v1 import rebalance_service_pb2_grpc as pb_grpc

from controlplane.operations.starting import OperationStarter
from controlplane.pool import EnginePool
from controlplane.services.operation_messages import write_operation
from engine.errors import MalformedField
from engine.metadata.backends import list_backends
from engine.metadata.operations import OperationRow, find_open_operation
from engine.placement.evening import THRESHOLD_DEFAULT, Fill, fractions, level, plan_moves
from engine.placement.policy import Routing
from engine.upkeep.move_parts import MoveParts
from engine.upkeep.rebalancing import REBALANCE_METHOD, imbalance, read_fills

TARGET = "backends"

THRESHOLD_MAX = 0.5
_BYTES_MAX = 1 << 60

_STRATEGIES = {
    pb.REBALANCE_STRATEGY_SPREAD: Routing.SPREAD,
    pb.REBALANCE_STRATEGY_PACK: Routing.PACK,
}


class RebalanceServicer(pb_grpc.RebalanceServiceServicer):
    def __init__(self, parts: MoveParts, starter: OperationStarter, pool: EnginePool) -> None:
        self._parts = parts
        self._starter = starter
        self._pool = pool

    async def GetRebalanceStatus(
        self, request: pb.GetRebalanceStatusRequest, context: Any
    ) -> pb.GetRebalanceStatusResponse:
        fills, names, running = await self._pool.run(self._look)
        held = fractions(fills)
        return pb.GetRebalanceStatusResponse(
            fills=[
                pb.BackendFill(
                    backend=names[each.backend_id],
                    used_bytes=each.used_bytes,
                    capacity_bytes=each.capacity_bytes,
                    fill=held[each.backend_id],
                )
                for each in fills
            ],
            level=level(fills),
            imbalance=imbalance(fills),
            running="" if running is None else running.name,
        )

    async def PlanRebalance(self, request: pb.PlanRebalanceRequest, context: Any) -> pb.PlanRebalanceResponse:
        strategy, threshold = self._read_strategy(request.strategy), _read_threshold(request.threshold)
        fills, names, _ = await self._pool.run(self._look)
        moves = plan_moves(fills, strategy=strategy, threshold=threshold)
        return pb.PlanRebalanceResponse(
            moves=[
                pb.RebalanceMove(
                    source=names[each.source_id], target=names[each.target_id], size_bytes=each.size_bytes
                )
                for each in moves
            ],
            size_bytes=sum(each.size_bytes for each in moves),
        )

    async def RunRebalance(self, request: pb.RunRebalanceRequest, context: Any) -> pb.RunRebalanceResponse:
        row = await self._starter.start(
            method=REBALANCE_METHOD,
            target=TARGET,
            request={
                "strategy": self._read_strategy(request.strategy).value,
                "threshold": _read_threshold(request.threshold),
                "max_bytes": _read_bytes("max_bytes", request.max_bytes),
                "max_bytes_per_second": _read_bytes("max_bytes_per_second", request.max_bytes_per_second),
            },
        )
        return pb.RunRebalanceResponse(operation=write_operation(row))

    def _look(self) -> tuple[list[Fill], dict[int, str], OperationRow | None]:
        """How full backends are, by ids; their names; the rebalancing that runs."""
        store = self._parts.store
        fills = read_fills(store, self._parts.backends)
        rows, running = store.read(
            lambda tx: (
                list_backends(tx),
                find_open_operation(tx, method=REBALANCE_METHOD, target=TARGET),
            )
        )
        return fills, {row.backend_id: f"backends/{row.name}" for row in rows}, running

    def _read_strategy(self, strategy: "pb.RebalanceStrategy.ValueType") -> Routing:
        if strategy == pb.REBALANCE_STRATEGY_UNSPECIFIED:
            return self._default_strategy()
        if strategy not in _STRATEGIES:
            raise MalformedField("strategy", f"no strategy has the number {strategy}")
        return _STRATEGIES[strategy]

    def _default_strategy(self) -> Routing:
        routing = self._parts.routing()
        if routing not in _STRATEGIES.values():
            raise MalformedField(
                "strategy", f"routing is `{routing.value}`, which evens nothing out: say `spread` or `pack`"
            )
        return routing


def _read_threshold(threshold: float) -> float:
    if math.isnan(threshold) or not 0 <= threshold <= THRESHOLD_MAX:
        raise MalformedField("threshold", f"a threshold lies between 0 and {THRESHOLD_MAX}")
    return threshold or THRESHOLD_DEFAULT


def _read_bytes(field: str, size_bytes: int) -> int:
    if not 0 <= size_bytes <= _BYTES_MAX:
        raise MalformedField(field, "expected between 0 and 2^60 bytes")
    return size_bytes
