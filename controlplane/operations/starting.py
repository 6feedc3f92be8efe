"""Accepting long work for servicers: one of a kind on a resource at a time, and never another one in its place."""

from collections.abc import Collection, Mapping
from functools import partial

from controlplane.callers import calling
from controlplane.pool import EnginePool
from engine.clock import Ids, uuid7
from engine.errors import OperationOpen
from engine.metadata import operations
from engine.metadata.operations import OperationRow
from engine.metadata.store import Store
from engine.upkeep.long_work import Json


class OperationStarter:
    """Starts operations in the name of whoever makes the call at hand."""

    def __init__(self, store: Store, pool: EnginePool, ids: Ids = uuid7) -> None:
        self._store = store
        self._pool = pool
        self._ids = ids

    async def start(
        self, *, method: str, target: str, request: Mapping[str, Json], apart_from: Collection[str] = ()
    ) -> OperationRow:
        """The operation of that request; the one that is open already when it is of the very same.

        `apart_from` names fields in which it may differ: those that the server set itself. Raises OperationOpen when
        another request of that method on that resource has not ended.
        """
        unit = partial(
            operations.start,
            name=f"operations/{self._ids().hex()}",
            method=method,
            target=target,
            request=request,
            creator=calling().name,
        )
        row = await self._pool.run(self._store.write, unit)
        _require_same(row, request, apart_from)
        return row

    async def find_open(
        self, *, method: str, target: str, request: Mapping[str, Json], apart_from: Collection[str] = ()
    ) -> OperationRow | None:
        """What `start` would answer without starting anything. Raises OperationOpen as it does."""
        unit = partial(operations.find_open_operation, method=method, target=target)
        row = await self._pool.run(self._store.read, unit)
        if row is not None:
            _require_same(row, request, apart_from)
        return row


def _require_same(row: OperationRow, request: Mapping[str, Json], apart_from: Collection[str]) -> None:
    told, known = (
        {name: value for name, value in each.items() if name not in apart_from}
        for each in (request, row.request)
    )
    if told != known:
        raise OperationOpen(name=row.name)
