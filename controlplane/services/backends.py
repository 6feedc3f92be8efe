"""BackendService: the stores behind the endpoint, as the metadata knows them."""

from dataclasses import dataclass
from typing import Any

from penstock.admin.v1 import backend_pb2
from penstock.admin.v1 import backend_service_pb2 as pb
from penstock.admin.v1 import backend_service_pb2_grpc as pb_grpc

from controlplane.fields import read_name, read_page, read_page_token, write_page_token
from controlplane.pool import EnginePool
from engine.errors import NoSuchResource
from engine.metadata.backends import list_backends, list_problems
from engine.metadata.quota import QuotaTotals, backend_subject, read_quota
from engine.metadata.store import Store, Tx
from engine.records import BackendRow, BackendState

VIEW_AGE_MAX_S = 30
"""A view of a backend that is older than this says nothing any more: whoever had it is gone, or hangs."""

_STATES = {
    BackendState.ACTIVE: backend_pb2.BACKEND_STATE_ACTIVE,
    BackendState.READ_ONLY: backend_pb2.BACKEND_STATE_READ_ONLY,
    BackendState.DRAINING: backend_pb2.BACKEND_STATE_DRAINING,
    BackendState.DRAINED: backend_pb2.BACKEND_STATE_DRAINED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenBackend:
    """A backend's row, its account, and what instances say is wrong with it."""

    row: BackendRow
    totals: QuotaTotals | None
    problems: list[str]


class BackendServicer(pb_grpc.BackendServiceServicer):
    def __init__(self, store: Store, pool: EnginePool) -> None:
        self._store = store
        self._pool = pool

    async def ListBackends(self, request: pb.ListBackendsRequest, context: Any) -> pb.ListBackendsResponse:
        page = read_page(request.page_size, read_page_token(request.page_token))
        seen = await self._pool.run(self._store.read, see_backends)
        shown, position = page.of(seen, lambda each: each.row.name)
        return pb.ListBackendsResponse(
            backends=[write_backend(each) for each in shown], next_page_token=write_page_token(position)
        )

    async def GetBackend(self, request: pb.GetBackendRequest, context: Any) -> pb.GetBackendResponse:
        name = read_name("name", request.name, "backends")
        seen = await self._pool.run(self._store.read, see_backends)
        for each in seen:
            if each.row.name == name:
                return pb.GetBackendResponse(backend=write_backend(each))
        raise NoSuchResource(name=f"backends/{name}")


def see_backends(tx: Tx) -> list[SeenBackend]:
    """All backends that were not removed, by name."""
    since_us = tx.now_us() - VIEW_AGE_MAX_S * 1_000_000
    return [
        SeenBackend(
            row=row,
            totals=read_quota(tx, backend_subject(row.backend_id)),
            problems=list_problems(tx, row.backend_id, since_us=since_us),
        )
        for row in list_backends(tx)
        if row.state is not BackendState.REMOVED
    ]


def write_backend(seen: SeenBackend) -> backend_pb2.Backend:
    row = seen.row
    return backend_pb2.Backend(
        name=f"backends/{row.name}",
        kind=row.kind,
        node=row.node or "",
        failure_domain=row.failure_domain,
        state=_STATES[row.state],
        capacity=None if seen.totals is None else _write_capacity(seen.totals),
        identity_ok=row.is_registered and not seen.problems,
        problem="; ".join(seen.problems),
    )


def _write_capacity(totals: QuotaTotals) -> backend_pb2.BackendCapacity:
    return backend_pb2.BackendCapacity(
        limit_bytes=totals.limit_bytes,
        used_bytes=totals.used_bytes,
        orphan_bytes=totals.orphan_bytes,
        reserved_bytes=totals.reserved_bytes,
        piece_count=totals.object_count,
    )
