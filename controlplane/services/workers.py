"""WorkerService: background jobs, and runs of them on demand."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from penstock.admin.v1 import worker_pb2
from penstock.admin.v1 import worker_service_pb2 as pb
from penstock.admin.v1 import worker_service_pb2_grpc as pb_grpc

from controlplane.fields import Page, read_name, read_page, read_page_token, write_page_token
from controlplane.guard import refuse
from controlplane.pool import EnginePool
from controlplane.services.operations import write_operation
from controlplane.status import draining_status
from controlplane.times import duration, timestamp
from controlplane.workers.ledger import TRIGGER_METHOD, trigger_target
from engine.clock import Ids
from engine.errors import NoSuchResource, WorkerDisabled
from engine.metadata.operations import OperationRow, accept_operation, find_operation
from engine.metadata.store import Store, Tx
from engine.metadata.workers import WorkerRow, list_workers, trigger

WAIT_POLL_S = 0.1
"""How often a waiting call looks whether the run has ended."""

Backlog = Callable[[str], int | None]
"""Things that wait for a worker; null when it does not count them."""


class WorkerServicer(pb_grpc.WorkerServiceServicer):
    """`descriptions` is what each worker of the roster does, for people."""

    def __init__(
        self,
        store: Store,
        *,
        descriptions: Mapping[str, str],
        backlog: Backlog,
        ids: Ids,
        pool: EnginePool,
        draining: asyncio.Event,
    ) -> None:
        self._store = store
        self._descriptions = descriptions
        self._backlog = backlog
        self._ids = ids
        self._pool = pool
        self._draining = draining

    async def ListWorkers(self, request: pb.ListWorkersRequest, context: Any) -> pb.ListWorkersResponse:
        page = read_page(request.page_size, read_page_token(request.page_token))
        workers, position = await self._pool.run(self._page, page)
        return pb.ListWorkersResponse(workers=workers, next_page_token=write_page_token(position))

    async def GetWorker(self, request: pb.GetWorkerRequest, context: Any) -> pb.GetWorkerResponse:
        name = read_name("name", request.name, "workers")
        return pb.GetWorkerResponse(worker=await self._pool.run(self._find, name))

    async def TriggerWorker(self, request: pb.TriggerWorkerRequest, context: Any) -> pb.TriggerWorkerResponse:
        name = read_name("name", request.name, "workers")
        operation = await self._pool.run(self._trigger, name)
        while request.wait and not operation.state.is_final:
            if self._draining.is_set():
                await refuse(context, draining_status())
            await asyncio.sleep(WAIT_POLL_S)
            operation = await self._pool.run(self._look_at, operation.name)
        return pb.TriggerWorkerResponse(operation=write_operation(operation))

    def _page(self, page: Page) -> tuple[list[worker_pb2.Worker], str | None]:
        rows, now_us = self._store.read(lambda tx: (list_workers(tx), tx.now_us()))
        shown, position = page.of(rows, lambda row: row.worker)
        return [self._write(row, now_us) for row in shown], position

    def _find(self, name: str) -> worker_pb2.Worker:
        rows, now_us = self._store.read(lambda tx: (list_workers(tx, name), tx.now_us()))
        if not rows:
            raise NoSuchResource(name=f"workers/{name}")
        return self._write(rows[0], now_us)

    def _write(self, row: WorkerRow, now_us: int) -> worker_pb2.Worker:
        is_led = row.lease_expires_at_us is not None and row.lease_expires_at_us > now_us
        return worker_pb2.Worker(
            name=f"workers/{row.worker}",
            description=self._descriptions.get(row.worker, ""),
            enabled=row.is_enabled and not row.is_paused,
            interval=duration(row.interval_s),
            leader=row.leader.hex() if is_led and row.leader is not None else "",
            lease_expire_time=timestamp(row.lease_expires_at_us) if is_led else None,
            last_success_time=timestamp(row.last_success_us),
            last_failure_time=timestamp(row.last_failure_us),
            last_error=row.last_error or "",
            consecutive_failure_count=row.consecutive_failure_count,
            backlog_count=self._backlog(row.worker),
            triggered=row.triggered_at_us is not None,
        )

    def _trigger(self, name: str) -> OperationRow:
        fresh_name = f"operations/{self._ids().hex()}"

        def unit(tx: Tx) -> OperationRow:
            rows = list_workers(tx, name)
            if not rows:
                raise NoSuchResource(name=f"workers/{name}")
            if not rows[0].is_enabled or rows[0].is_paused:
                raise WorkerDisabled(worker=name)
            trigger(tx, name)
            return accept_operation(tx, name=fresh_name, method=TRIGGER_METHOD, target=trigger_target(name))

        return self._store.write(unit)

    def _look_at(self, operation_name: str) -> OperationRow:
        found = self._store.read(lambda tx: find_operation(tx, operation_name))
        if found is None:
            raise NoSuchResource(name=operation_name)
        return found
