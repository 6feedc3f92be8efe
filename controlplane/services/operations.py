"""OperationService: how long-running actions get on."""

from typing import Any

from penstock.admin.v1 import (
    operation_pb2,
)
from penstock.admin.v1 import (
    operation_service_pb2 as pb,
)
from penstock.admin.v1 import (
    operation_service_pb2_grpc as pb_grpc,
)

from controlplane.fields import read_name
from controlplane.pool import EnginePool
from controlplane.times import timestamp
from engine.errors import NoSuchResource
from engine.metadata.operations import OperationRow, OperationState, find_operation
from engine.metadata.store import Store

_STATES = {
    OperationState.PENDING: operation_pb2.OPERATION_STATE_PENDING,
    OperationState.RUNNING: operation_pb2.OPERATION_STATE_RUNNING,
    OperationState.SUCCEEDED: operation_pb2.OPERATION_STATE_SUCCEEDED,
    OperationState.FAILED: operation_pb2.OPERATION_STATE_FAILED,
    OperationState.CANCELLED: operation_pb2.OPERATION_STATE_CANCELLED,
}


class OperationServicer(pb_grpc.OperationServiceServicer):
    def __init__(self, store: Store, pool: EnginePool) -> None:
        self._store = store
        self._pool = pool

    async def GetOperation(self, request: pb.GetOperationRequest, context: Any) -> pb.GetOperationResponse:
        name = f"operations/{read_name('name', request.name, 'operations')}"
        row = await self._pool.run(self._store.read, lambda tx: find_operation(tx, name))
        if row is None:
            raise NoSuchResource(name=name)
        return pb.GetOperationResponse(operation=write_operation(row))


def write_operation(row: OperationRow) -> operation_pb2.Operation:
    return operation_pb2.Operation(
        name=row.name,
        method=row.method,
        target=row.target,
        state=_STATES[row.state],
        done=row.state.is_final,
        progress=operation_pb2.OperationProgress(
            done_count=row.progress.done_count, deferred_count=row.progress.deferred_count
        ),
        create_time=timestamp(row.created_at_us),
        end_time=timestamp(row.finished_at_us),
        error_message=row.error or "",
    )
