"""BackendService: the stores behind the endpoint, emptied and taken out of use by operators."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any

from penstock.admin.v1 import backend_pb2
from penstock.admin.v1 import backend_service_pb2 as pb
from penstock.admin.v1 import backend_service_pb2_grpc as pb_grpc

from controlplane.callers import calling
from controlplane.fields import read_mask, read_name, read_page, read_page_token, write_page_token
from controlplane.operations.starting import OperationStarter
from controlplane.pool import EnginePool
from controlplane.services.backend_messages import (
    STATES,
    see_all_backends,
    write_backend,
    write_drain_plan,
    write_probe_step,
    write_removal_plan,
)
from controlplane.services.operation_messages import write_operation
from controlplane.watching import watch
from engine.backends.base import Backend
from engine.deployment.opening import OpenDeployment
from engine.errors import BackendError, BackendInState, MalformedField, NoSuchResource
from engine.metadata import backend_resets
from engine.metadata.buckets import find_bucket
from engine.metadata.store import Tx
from engine.names import BucketName, bucket_name
from engine.records import BackendState, Sealing
from engine.upkeep.backend_states import BackendStates, find_backend
from engine.upkeep.bucket_sync import SYNC_METHOD
from engine.upkeep.long_work import Json
from engine.upkeep.probing import Probe, ProbeStep, probe_missing

LOOK_EVERY_S = 1.0
"""How often a watch reads all backends."""

_RATE_MAX = 1 << 60


class BackendServicer(pb_grpc.BackendServiceServicer):
    def __init__(
        self, deployment: OpenDeployment, states: BackendStates, starter: OperationStarter, pool: EnginePool
    ) -> None:
        self._deployment = deployment
        self._states = states
        self._starter = starter
        self._pool = pool

    async def ListBackends(self, request: pb.ListBackendsRequest, context: Any) -> pb.ListBackendsResponse:
        page = read_page(request.page_size, read_page_token(request.page_token))
        wanted = read_state_filter(request.filter)
        found = [each for each in await self._look() if wanted is None or each.state == STATES[wanted]]
        shown, position = page.of(found, lambda each: each.name)
        return pb.ListBackendsResponse(backends=shown, next_page_token=write_page_token(position))

    async def GetBackend(self, request: pb.GetBackendRequest, context: Any) -> pb.GetBackendResponse:
        return pb.GetBackendResponse(backend=await self._get(_read_name(request.name)))

    async def WatchBackends(
        self, request: pb.WatchBackendsRequest, context: Any
    ) -> AsyncIterator[pb.WatchBackendsResponse]:
        async with aclosing(watch(self._look, every_s=LOOK_EVERY_S)) as answers:
            async for kind, backends in answers:
                yield pb.WatchBackendsResponse(kind=kind, backends=backends)

    async def UpdateBackend(self, request: pb.UpdateBackendRequest, context: Any) -> pb.UpdateBackendResponse:
        read_mask("update_mask", request.update_mask, {"read_only"})
        name = read_name("backend.name", request.backend.name, "backends")
        await self._pool.run(
            partial(
                self._states.set_read_only,
                name,
                is_read_only=request.backend.read_only,
                creator=calling().name,
                validate_only=request.validate_only,
            )
        )
        return pb.UpdateBackendResponse(backend=await self._get(name))

    async def DrainBackend(self, request: pb.DrainBackendRequest, context: Any) -> pb.DrainBackendResponse:
        name, rate = _read_name(request.name), _read_rate(request.max_bytes_per_second)
        if request.dry_run:
            plan = await self._pool.run(self._states.plan_drain, name)
            seen = await self._pool.run(self._deployment.store.read, see_all_backends)
            names = {each.row.backend_id: str(each.row.name) for each in seen}
            return pb.DrainBackendResponse(plan=write_drain_plan(plan, names))
        operation = await self._pool.run(
            partial(self._states.drain, name, max_bytes_per_second=rate, creator=calling().name)
        )
        return pb.DrainBackendResponse(operation=write_operation(operation))

    async def UndrainBackend(
        self, request: pb.UndrainBackendRequest, context: Any
    ) -> pb.UndrainBackendResponse:
        name = _read_name(request.name)
        await self._pool.run(partial(self._states.undrain, name, creator=calling().name))
        return pb.UndrainBackendResponse(backend=await self._get(name))

    async def RemoveBackend(self, request: pb.RemoveBackendRequest, context: Any) -> pb.RemoveBackendResponse:
        name = _read_name(request.name)
        if request.dry_run:
            plan = await self._pool.run(self._states.plan_removal, name)
            return pb.RemoveBackendResponse(plan=write_removal_plan(plan))
        operation = await self._pool.run(
            partial(
                self._states.remove,
                name,
                purges_data=request.purge_data,
                confirm_name=request.confirm_name,
                creator=calling().name,
            )
        )
        return pb.RemoveBackendResponse(operation=write_operation(operation))

    async def SyncBackend(self, request: pb.SyncBackendRequest, context: Any) -> pb.SyncBackendResponse:
        name, bucket = _read_name(request.name), bucket_name(read_name("bucket", request.bucket, "buckets"))
        rate = _read_rate(request.max_bytes_per_second)
        resolved = await self._pool.run(self._resolve_sync, name, bucket, request.copy)
        row = await self._starter.start(
            method=SYNC_METHOD,
            target=request.name,
            request={
                "name": request.name,
                "bucket": bucket,
                "prefix": request.prefix,
                "dry_run": request.dry_run,
                "copy": request.copy,
                "max_bytes_per_second": rate,
                **resolved,
            },
        )
        return pb.SyncBackendResponse(operation=write_operation(row))

    async def ResetBackendBreaker(
        self, request: pb.ResetBackendBreakerRequest, context: Any
    ) -> pb.ResetBackendBreakerResponse:
        name = _read_name(request.name)
        await self._pool.run(self._deployment.store.write, partial(_reset, name=name))
        return pb.ResetBackendBreakerResponse(backend=await self._get(name))

    async def ProbeBackend(self, request: pb.ProbeBackendRequest, context: Any) -> pb.ProbeBackendResponse:
        steps = await self._pool.run(self._probe, _read_name(request.name), request.put_get_delete)
        return pb.ProbeBackendResponse(steps=[write_probe_step(each) for each in steps])

    def _resolve_sync(self, name: str, bucket: BucketName, copies: bool) -> dict[str, Json]:
        row, found = self._deployment.store.read(lambda tx: (find_backend(tx, name), find_bucket(tx, bucket)))
        if row.kind != "s3":
            raise MalformedField("name", f"backend {name!r} is of kind {row.kind}, expected one of kind s3")
        resolved: dict[str, Json] = {"backend_id": row.backend_id, "bucket_id": found.bucket_id}
        if copies:
            return resolved
        if row.state is not BackendState.ACTIVE:
            hint = "what it holds is taken over while it takes pieces"
            raise BackendInState(backend=name, state=row.state.value, hint=hint)
        if (found.seal or self._deployment.settings.live.storage.seal) is Sealing.ALL:
            raise MalformedField(
                "bucket",
                "it is sealed, and what is taken over in place would not be: copy it, or use another",
            )
        return resolved

    def _probe(self, name: str, puts: bool) -> list[ProbeStep]:
        deployment = self._deployment
        row = deployment.store.read(partial(find_backend, name=name))
        try:
            backend = deployment.backends.get(row.backend_id)
        except BackendError as error:
            return probe_missing(error)
        probe = Probe(deployment.store, backend, deployment.use.holder, deployment.clock, deployment.ring)
        return probe.run(puts=puts)

    async def _get(self, name: str) -> backend_pb2.Backend:
        return await self._pool.run(self._get_now, name)

    def _get_now(self, name: str) -> backend_pb2.Backend:
        """With its disk's room, for which only this one is asked."""
        for each in self._deployment.store.read(see_all_backends):
            if each.row.name == name:
                return write_backend(each, self._open_backend)
        raise NoSuchResource(name=f"backends/{name}")

    async def _look(self) -> list[backend_pb2.Backend]:
        """All by name, without what is another at every look and says little: for that one is asked for by name."""
        seen = await self._pool.run(self._deployment.store.read, see_all_backends)
        backends = [write_backend(each, lambda backend_id: None) for each in seen]
        for backend in backends:
            backend.ClearField("last_probe_time")
            backend.ClearField("views")
        return backends

    def _open_backend(self, backend_id: int) -> Backend | None:
        try:
            return self._deployment.backends.get(backend_id)
        except BackendError:
            return None


def read_state_filter(text: str) -> BackendState | None:
    """`state=DRAINING`; null for no filter."""
    if not text:
        return None
    field, _, value = text.partition("=")
    for state, number in STATES.items():
        word = backend_pb2.BackendState.Name(number).removeprefix("BACKEND_STATE_")
        if field.strip() == "state" and value.strip().upper() in (word, f"BACKEND_STATE_{word}"):
            return state
    raise MalformedField("filter", f"expected `state=` and a state, got {text[:80]!r}")


def _read_rate(rate: int) -> int:
    if not 0 <= rate <= _RATE_MAX:
        raise MalformedField("max_bytes_per_second", "a rate lies between 0 and 2^60 bytes a second")
    return rate


def _reset(tx: Tx, name: str) -> None:
    backend_resets.ask_reset(tx, find_backend(tx, name).backend_id)


def _read_name(name: str) -> str:
    return read_name("name", name, "backends")
