"""Resources as their own List methods tell them, for those who put several kinds together."""

import asyncio
from dataclasses import dataclass
from typing import Any

from penstock.admin.v1 import (
    backend_pb2,
    backend_service_pb2,
    operation_pb2,
    operation_service_pb2,
    system_pb2,
    system_service_pb2,
    worker_pb2,
    worker_service_pb2,
)

PAGE_SIZE = 1000
OPERATION_COUNT_MAX = 100
INSTANCE_COUNT_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Over the servicers, which are asked like by any caller. Raises what they raise."""

    backend: Any
    worker: Any
    operation: Any
    system: Any

    async def backends(self) -> list[backend_pb2.Backend]:
        request = backend_service_pb2.ListBackendsRequest(page_size=PAGE_SIZE)
        return list((await self.backend.ListBackends(request, None)).backends)

    async def workers(self) -> list[worker_pb2.Worker]:
        request = worker_service_pb2.ListWorkersRequest(page_size=PAGE_SIZE)
        return list((await self.worker.ListWorkers(request, None)).workers)

    async def operations(self) -> list[operation_pb2.Operation]:
        """The newest first, not more than a hundred."""
        request = operation_service_pb2.ListOperationsRequest(page_size=OPERATION_COUNT_MAX)
        return list((await self.operation.ListOperations(request, None)).operations)

    async def open_operations(self) -> list[operation_pb2.Operation]:
        """Those that have not ended, the newest first, not more than a hundred of either kind."""
        kinds = (operation_pb2.OPERATION_STATE_RUNNING, operation_pb2.OPERATION_STATE_PENDING)
        answers = await asyncio.gather(
            *(
                self.operation.ListOperations(
                    operation_service_pb2.ListOperationsRequest(page_size=OPERATION_COUNT_MAX, state=state),
                    None,
                )
                for state in kinds
            )
        )
        return [each for answer in answers for each in answer.operations]

    async def instances(self) -> list[system_pb2.Instance]:
        """The one started last first."""
        request = system_service_pb2.ListInstancesRequest(page_size=INSTANCE_COUNT_MAX)
        return list((await self.system.ListInstances(request, None)).instances)
