"""Where pieces may be moved to: active backends by the deployment's routing, away from other pieces of the blob."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from engine.backends.base import Backend
from engine.errors import BackendError, ForeignBackend
from engine.metadata.backends import list_backends
from engine.metadata.moves import Movable
from engine.metadata.quota import QuotaTotals, backend_subject, read_quota
from engine.metadata.store import Store, Tx
from engine.placement.health import HealthBoard
from engine.placement.policy import Candidate, Routing, candidate_of, choose
from engine.records import BackendRow
from engine.upkeep.moved_pieces import BackendRegistry

Shared = Callable[[Tx], Collection[str] | None]
"""Names of the backends that every process can read, as one transaction shows it; null: all of them."""


def all_shared(tx: Tx) -> Collection[str] | None:
    """Where no process is behind."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenBackend:
    """A backend's row and its account."""

    row: BackendRow
    totals: QuotaTotals | None


def see_backends(tx: Tx) -> list[SeenBackend]:
    """All backends, in the order in which they were made."""
    seen = [
        SeenBackend(row=row, totals=read_quota(tx, backend_subject(row.backend_id)))
        for row in list_backends(tx)
    ]
    return sorted(seen, key=lambda each: each.row.backend_id)


class Targets:
    """Chooses for one unit of moving; what it learns of a backend holds until the next one is made."""

    def __init__(
        self,
        store: Store,
        backends: BackendRegistry,
        health: HealthBoard,
        *,
        routing: Routing,
        sources: Collection[int],
        allowed: Callable[[int], bool] = lambda backend_id: True,
        shared: Shared = all_shared,
    ) -> None:
        """`sources` are emptied and take nothing; of the others those take pieces whose id is `allowed`.

        `shared` names the backends that every process can read; null: all of them.
        """
        self._store = store
        self._backends = backends
        self._health = health
        self._routing = routing
        self._sources = sources
        self._allowed = allowed
        self._full: set[int] = set()
        self._failed: set[int] = set()
        # Bytes chosen for since the accounts were read.
        self._chosen_bytes: dict[int, int] = {}
        self._shared = shared
        self._seen: list[SeenBackend] = []
        self._readable: Collection[str] | None = None
        self.refresh()

    def choose(self, movable: Movable, *, card_bytes: int) -> Backend:
        """Raises NotEnoughDomains, NoSpaceAnywhere, BackendsUnavailable."""
        reachable = {each.backend_id: each for each in self._reachable()}
        size_bytes = max(
            (each.occupied_bytes(movable.blob.stored_bytes, card_bytes) for each in reachable.values()),
            default=0,
        )
        domains = {each.row.backend_id: each.row.failure_domain for each in self._seen}
        (chosen,) = choose(
            [self._candidate(each) for each in self._seen if each.row.backend_id in reachable],
            count=1,
            size_bytes=size_bytes,
            routing=self._routing,
            key=movable.blob.blob_id,
            failed=self._failed,
            full=self._full,
            taken_domains={domains[each.backend_id] for each in movable.others},
        )
        self._chosen_bytes[chosen.backend_id] = self._chosen_bytes.get(chosen.backend_id, 0) + size_bytes
        return reachable[chosen.backend_id]

    def refresh(self) -> None:
        """Read rows and accounts again: a commit has said that they are others by now."""
        self._chosen_bytes.clear()
        self._seen, self._readable = self._store.read(lambda tx: (see_backends(tx), self._shared(tx)))

    def is_full(self, backend_id: int, /) -> None:
        self._full.add(backend_id)

    def has_failed(self, backend: Backend, error: BackendError, /) -> None:
        """It is not asked again in this unit."""
        self._failed.add(backend.backend_id)
        if isinstance(error, ForeignBackend):
            self._health.condemn(backend.backend_id, str(error))
        else:
            self._health.failed(backend.backend_id)

    def _reachable(self) -> Iterable[Backend]:
        for each in self._seen:
            backend_id = each.row.backend_id
            if backend_id in self._sources or not self._allowed(backend_id):
                continue
            if self._readable is not None and each.row.name not in self._readable:
                continue
            try:
                yield self._backends.get(backend_id)
            except BackendError:
                continue

    def _candidate(self, seen: SeenBackend) -> Candidate:
        totals, backend_id = seen.totals, seen.row.backend_id
        return candidate_of(
            seen.row,
            limit_bytes=None if totals is None else totals.limit_bytes,
            occupied_bytes=self._chosen_bytes.get(backend_id, 0)
            + (0 if totals is None else totals.used_bytes + totals.orphan_bytes + totals.reserved_bytes),
            health=self._health.health_of(backend_id),
        )
