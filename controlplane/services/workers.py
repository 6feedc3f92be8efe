"""WorkerService: background jobs, runs of them on demand, their rest, how they run, and what became of runs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any

from penstock.admin.v1 import watch_pb2, worker_pb2
from penstock.admin.v1 import worker_service_pb2 as pb
from penstock.admin.v1 import worker_service_pb2_grpc as pb_grpc

from controlplane.callers import calling
from controlplane.fields import (
    Page,
    read_mask,
    read_name,
    read_page,
    read_page_size,
    read_page_token,
    write_page_token,
)
from controlplane.guard import refuse
from controlplane.pool import EnginePool
from controlplane.services.operation_messages import write_operation
from controlplane.services.worker_fields import MASKS, read_overrides, read_reason, read_run_name
from controlplane.services.worker_messages import write_run, write_worker
from controlplane.status import draining_status
from controlplane.times import read_timestamp
from controlplane.watching import watch
from controlplane.workers.ledger import trigger_target
from controlplane.workers.runner import Job
from engine.clock import Ids
from engine.errors import MalformedField, NoSuchResource, WorkerDisabled
from engine.metadata import workers
from engine.metadata.operations import TRIGGER_METHOD, OperationRow, accept_operation, find_operation
from engine.metadata.store import Store, Tx
from engine.metadata.worker_runs import RunRow, find_run, list_runs
from engine.metadata.workers import Overrides, WorkerRow, find_worker, list_workers, trigger

WAIT_POLL_S = 0.1
"""How often a waiting call looks whether the run has ended."""

WATCHED_COUNT = 50
"""Runs that a watch looks at, the newest ones: between two looks fewer begin."""

Backlog = Callable[[str], int | None]
"""Things that wait for a worker; null when it does not count them."""


class WorkerServicer(pb_grpc.WorkerServiceServicer):
    """`jobs` are the workers of this process's roster."""

    def __init__(
        self,
        store: Store,
        *,
        jobs: Sequence[Job],
        backlog: Backlog,
        ids: Ids,
        pool: EnginePool,
        draining: asyncio.Event,
    ) -> None:
        self._store = store
        self._jobs = {job.name: job for job in jobs}
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
        operation = await self._pool.run(self._trigger, name, calling().name)
        while request.wait and not operation.state.is_final:
            if self._draining.is_set():
                await refuse(context, draining_status())
            await asyncio.sleep(WAIT_POLL_S)
            operation = await self._pool.run(self._look_at, operation.name)
        return pb.TriggerWorkerResponse(operation=write_operation(operation))

    async def PauseWorker(self, request: pb.PauseWorkerRequest, context: Any) -> pb.PauseWorkerResponse:
        name = read_name("name", request.name, "workers")
        unit = partial(
            _pause,
            name=name,
            creator=calling().name,
            why=read_reason(request.reason),
            until_us=read_timestamp("expire_time", request.expire_time)
            if request.HasField("expire_time")
            else None,
        )
        await self._pool.run(self._store.write, unit)
        return pb.PauseWorkerResponse(worker=await self._pool.run(self._find, name))

    async def ResumeWorker(self, request: pb.ResumeWorkerRequest, context: Any) -> pb.ResumeWorkerResponse:
        name = read_name("name", request.name, "workers")
        await self._pool.run(self._store.write, partial(workers.resume, name=name))
        return pb.ResumeWorkerResponse(worker=await self._pool.run(self._find, name))

    async def UpdateWorker(self, request: pb.UpdateWorkerRequest, context: Any) -> pb.UpdateWorkerResponse:
        name = read_name("worker.name", request.worker.name, "workers")
        mask = read_mask("update_mask", request.update_mask, MASKS)
        job = self._jobs.get(name)
        wanted = read_overrides(
            request.worker.overrides, mask, moves_bytes=job is not None and job.moves_bytes
        )
        unit = partial(_override, name=name, creator=calling().name, wanted=wanted)
        await self._pool.run(self._store.write, unit)
        return pb.UpdateWorkerResponse(worker=await self._pool.run(self._find, name))

    async def ListWorkerRuns(
        self, request: pb.ListWorkerRunsRequest, context: Any
    ) -> pb.ListWorkerRunsResponse:
        worker, size = _read_parent(request.parent), read_page_size(request.page_size)
        unit = partial(
            list_runs, worker=worker, before_id=_read_position(request.page_token), count_max=size + 1
        )
        rows = await self._pool.run(self._store.read, unit)
        position = str(rows[size - 1].run_id) if len(rows) > size else None
        return pb.ListWorkerRunsResponse(
            runs=[write_run(row) for row in rows[:size]], next_page_token=write_page_token(position)
        )

    async def GetWorkerRun(self, request: pb.GetWorkerRunRequest, context: Any) -> pb.GetWorkerRunResponse:
        worker, run_id = read_run_name(request.name)
        row = await self._pool.run(self._store.read, partial(find_run, worker=worker, run_id=run_id))
        if row is None:
            raise NoSuchResource(name=request.name)
        return pb.GetWorkerRunResponse(run=write_run(row))

    async def WatchWorkerRuns(
        self, request: pb.WatchWorkerRunsRequest, context: Any
    ) -> AsyncIterator[pb.WatchWorkerRunsResponse]:
        unit = partial(list_runs, worker=_read_parent(request.parent), count_max=WATCHED_COUNT)

        async def look() -> Sequence[RunRow]:
            return await self._pool.run(self._store.read, unit)

        known: set[RunRow] = set()
        async with aclosing(watch(look)) as answers:
            async for kind, rows in answers:
                told = [] if kind == watch_pb2.WATCH_KIND_HEARTBEAT else [r for r in rows if r not in known]
                yield pb.WatchWorkerRunsResponse(kind=kind, runs=[write_run(row) for row in reversed(told)])
                known = set(rows)

    def _page(self, page: Page) -> tuple[list[worker_pb2.Worker], str | None]:
        rows, now_us = self._store.read(lambda tx: (list_workers(tx), tx.now_us()))
        shown, position = page.of(rows, lambda row: row.worker)
        return [self._write(row, now_us) for row in shown], position

    def _find(self, name: str) -> worker_pb2.Worker:
        row, now_us = self._store.read(lambda tx: (find_worker(tx, name), tx.now_us()))
        return self._write(row, now_us)

    def _write(self, row: WorkerRow, now_us: int) -> worker_pb2.Worker:
        backlog_count = self._backlog(row.worker)
        return write_worker(row, self._jobs.get(row.worker), backlog_count=backlog_count, now_us=now_us)

    def _trigger(self, name: str, creator: str | None) -> OperationRow:
        fresh_name = f"operations/{self._ids().hex()}"

        def unit(tx: Tx) -> OperationRow:
            if not find_worker(tx, name).standing.may_run:
                raise WorkerDisabled(worker=name)
            trigger(tx, name)
            return accept_operation(
                tx, name=fresh_name, method=TRIGGER_METHOD, target=trigger_target(name), creator=creator
            )

        return self._store.write(unit)

    def _look_at(self, operation_name: str) -> OperationRow:
        found = self._store.read(lambda tx: find_operation(tx, operation_name))
        if found is None:
            raise NoSuchResource(name=operation_name)
        return found


def _pause(tx: Tx, *, name: str, creator: str, why: str | None, until_us: int | None) -> None:
    if until_us is not None and until_us <= tx.now_us():
        raise MalformedField("expire_time", "the time has passed")
    workers.pause(tx, name, creator=creator, why=why, until_us=until_us)


def _override(tx: Tx, *, name: str, creator: str, wanted: Callable[[Overrides], Overrides]) -> None:
    before = find_worker(tx, name).standing.overrides
    workers.override(tx, name, replace(wanted(before), creator=creator))


def _read_parent(parent: str) -> str | None:
    """The worker's name; null for all."""
    worker = read_name("parent", parent, "workers")
    return None if worker == "-" else worker


def _read_position(page_token: str) -> int | None:
    position = read_page_token(page_token)
    if position is None:
        return None
    if not (position.isascii() and position.isdigit() and len(position) < 19):
        raise MalformedField("page_token", "not a token of this server")
    return int(position)
