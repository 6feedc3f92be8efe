"""OperationService: how long-running actions get on, and their end."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any

from penstock.admin.v1 import (
    operation_service_pb2 as pb,
)
from penstock.admin.v1 import (
    operation_service_pb2_grpc as pb_grpc,
)

from controlplane.answering import UNARY_CALL_MAX_S, refuse
from controlplane.callers import calling
from controlplane.fields import read_name, read_page_size, read_page_token, write_page_token
from controlplane.pool import EnginePool
from controlplane.services.operation_messages import STATES, write_operation
from controlplane.status import draining_status
from controlplane.watching import watch
from controlplane.workers.ledger import cancel_run
from engine.errors import MalformedField, NoSuchResource
from engine.metadata.operations import (
    TRIGGER_METHOD,
    OperationFilter,
    OperationRow,
    delete_operation,
    find_operation,
    list_operations,
    request_cancel,
)
from engine.metadata.store import Store, Tx

WAIT_POLL_S = 0.1
"""How often a waiting call looks whether the operation has ended."""

ANSWER_S = 0.5
"""What is left of a call's time for its answer: a wait ends so long before."""

_STATES = {value: state for state, value in STATES.items()}


class OperationServicer(pb_grpc.OperationServiceServicer):
    def __init__(self, store: Store, pool: EnginePool, draining: asyncio.Event) -> None:
        self._store = store
        self._pool = pool
        self._draining = draining

    async def ListOperations(
        self, request: pb.ListOperationsRequest, context: Any
    ) -> pb.ListOperationsResponse:
        size = read_page_size(request.page_size)
        wanted = OperationFilter(
            state=_STATES.get(request.state), method=request.method or None, target=request.target or None
        )
        unit = partial(
            list_operations, wanted=wanted, before=_read_position(request.page_token), count_max=size + 1
        )
        rows = await self._pool.run(self._store.read, unit)
        has_more = len(rows) > size
        return pb.ListOperationsResponse(
            operations=[write_operation(replace(row, warnings=())) for row in rows[:size]],
            next_page_token=write_page_token(_position(rows[size - 1]) if has_more else None),
        )

    async def GetOperation(self, request: pb.GetOperationRequest, context: Any) -> pb.GetOperationResponse:
        return pb.GetOperationResponse(operation=write_operation(await self._find(_read_name(request.name))))

    async def WaitOperation(self, request: pb.WaitOperationRequest, context: Any) -> pb.WaitOperationResponse:
        name = _read_name(request.name)
        left_s = min(context.time_remaining() or UNARY_CALL_MAX_S, UNARY_CALL_MAX_S) - ANSWER_S
        if request.HasField("timeout"):
            left_s = min(left_s, _read_timeout_s(request))
        deadline_s = time.monotonic() + left_s
        operation = await self._find(name)
        while not operation.state.is_final and time.monotonic() < deadline_s:
            if self._draining.is_set():
                await refuse(context, draining_status())
            await asyncio.sleep(max(0.0, min(WAIT_POLL_S, deadline_s - time.monotonic())))
            operation = await self._find(name)
        return pb.WaitOperationResponse(operation=write_operation(operation))

    async def WatchOperation(
        self, request: pb.WatchOperationRequest, context: Any
    ) -> AsyncIterator[pb.WatchOperationResponse]:
        async with aclosing(watch(partial(self._find, _read_name(request.name)))) as answers:
            async for kind, operation in answers:
                yield pb.WatchOperationResponse(kind=kind, operation=write_operation(operation))
                if operation.state.is_final:
                    return

    async def CancelOperation(
        self, request: pb.CancelOperationRequest, context: Any
    ) -> pb.CancelOperationResponse:
        unit = partial(_cancel, name=_read_name(request.name), creator=calling().name)
        row = await self._pool.run(self._store.write, unit)
        return pb.CancelOperationResponse(operation=write_operation(row))

    async def DeleteOperation(
        self, request: pb.DeleteOperationRequest, context: Any
    ) -> pb.DeleteOperationResponse:
        await self._pool.run(self._store.write, partial(delete_operation, name=_read_name(request.name)))
        return pb.DeleteOperationResponse()

    async def _find(self, name: str) -> OperationRow:
        row = await self._pool.run(self._store.read, partial(find_operation, name=name))
        if row is None:
            raise NoSuchResource(name=name)
        return row


def _cancel(tx: Tx, *, name: str, creator: str | None) -> OperationRow:
    operation = request_cancel(tx, name, creator=creator)
    return cancel_run(tx, operation) if operation.method == TRIGGER_METHOD else operation


def _read_name(name: str) -> str:
    return f"operations/{read_name('name', name, 'operations')}"


def _read_timeout_s(request: pb.WaitOperationRequest) -> float:
    timeout_s = request.timeout.ToNanoseconds() / 1e9
    if timeout_s < 0:
        raise MalformedField("timeout", "a timeout is not negative")
    return timeout_s


def _position(row: OperationRow) -> str:
    return f"{row.created_at_us} {row.name}"


def _read_position(page_token: str) -> tuple[int, str] | None:
    position = read_page_token(page_token)
    if position is None:
        return None
    created_at_us, _, name = position.partition(" ")
    if not (created_at_us.isascii() and created_at_us.isdigit() and len(created_at_us) < 19 and name):
        raise MalformedField("page_token", "not a token of this server")
    return int(created_at_us), name
