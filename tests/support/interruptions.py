"""Workers interrupted: a store or a backend that fails at one call, and a second leader that takes over."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from engine.clock import uuid7
from engine.errors import DatabaseUnavailable, OutcomeUnknown
from engine.metadata import leases
from engine.metadata.store import WRITE_TIMEOUT_S, Barrier, Params, Row, Store, Tx
from engine.records import Lease
from engine.upkeep.cleanup import BackendRegistry, DeletingBackend
from engine.upkeep.compaction import Fence
from tests.support.deployments import TestClock

T = TypeVar("T")

LEASE_TTL_S = 30.0


class Killed(BaseException):
    """The process died here."""


class InterruptedStore:
    """A store whose write of one number, from 1, fails before it happens or after it was committed.

    `at` may be set anew at any time, `write_count` tells how many there were.
    """

    def __init__(self, store: Store, *, at: int, is_committed: bool) -> None:
        self._store = store
        self.at = at
        self._is_committed = is_committed
        self.write_count = 0

    @property
    def waits_for_network(self) -> bool:
        return self._store.waits_for_network

    def read(self, unit: Callable[[Tx], T], /) -> T:
        return self._store.read(unit)

    def look(self, statement: str, params: Params, /) -> list[Row]:
        return self._store.look(statement, params)

    def write(
        self,
        unit: Callable[[Tx], T],
        /,
        *,
        after: Sequence[Barrier] = (),
        timeout_s: float = WRITE_TIMEOUT_S,
        holds_locks: bool = False,
    ) -> T:
        self.write_count += 1
        if self.write_count != self.at:
            return self._store.write(unit, after=after, timeout_s=timeout_s)
        if self._is_committed:
            self._store.write(unit, after=after, timeout_s=timeout_s)
            raise OutcomeUnknown("interrupted after the commit")
        raise DatabaseUnavailable("interrupted before the commit")

    def close(self) -> None:
        self._store.close()


class WatchedBackends:
    """Backends whose every deletion is told to `deleting` first, which may raise."""

    def __init__(self, backends: BackendRegistry, deleting: Callable[[str], None]) -> None:
        self._backends = backends
        self._deleting = deleting

    def get(self, backend_id: int, /) -> DeletingBackend:
        return _Watched(self._backends.get(backend_id), self._deleting)


class _Watched:
    def __init__(self, backend: DeletingBackend, deleting: Callable[[str], None]) -> None:
        self._backend = backend
        self._deleting = deleting

    def check_identity(self) -> None:
        self._backend.check_identity()

    def delete(self, storage_key: str, stored_bytes: int, /) -> None:
        self._deleting(storage_key)
        self._backend.delete(storage_key, stored_bytes)


def die_at(number: int) -> Callable[[str], None]:
    """Dies at the deletion of that number, from 1, before it happens."""
    seen = 0

    def deleting(storage_key: str) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            raise Killed

    return deleting


def lead(store: Store, worker: str) -> Lease:
    """The lease of a fresh holder; nobody else holds one."""
    lease = store.write(lambda tx: leases.acquire(tx, worker=worker, holder=uuid7(), ttl_s=LEASE_TTL_S))
    assert lease is not None
    return lease


def take_over(store: Store, worker: str, clock: TestClock) -> Lease:
    """Somebody else leads once the lease of whoever does has run out."""
    clock.ahead_us += int(LEASE_TTL_S * 1_000_000) + 1
    return lead(store, worker)


def fence_of(lease: Lease) -> Fence:
    """Checks the lease in every write."""
    return lambda tx: leases.check(tx, lease)
