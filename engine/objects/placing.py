"""Where pieces go now: a view of the backends that is read from the database at most once a second."""

import threading
from collections.abc import Collection
from dataclasses import dataclass

from engine.backends.base import Backend
from engine.backends.registry import Backends
from engine.clock import Clock
from engine.errors import DatabaseUnavailable
from engine.metadata.backends import list_backends
from engine.metadata.quota import QuotaTotals, backend_subject, read_quota
from engine.metadata.store import Store, Tx
from engine.placement.health import HealthBoard
from engine.placement.policy import Candidate, Routing, choose
from engine.records import BackendRow, BackendState

VIEW_AGE_MAX_S = 1.0
"""A view older than this is read anew by whoever needs it next. `publish` decides on rows, never on the view."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A backend chosen for a piece."""

    backend: Backend
    failure_domain: str


@dataclass(slots=True, kw_only=True)
class _View:
    rows: list[tuple[BackendRow, QuotaTotals | None]]
    read_at_s: float
    # Bytes placed since the view was read, so that a burst does not all go to the backend that was emptiest then.
    placed_bytes: dict[int, int]


class Placer:
    """Chooses backends by the deployment's routing among those this process has. Safe for many threads."""

    def __init__(
        self, *, store: Store, backends: Backends, health: HealthBoard, routing: Routing, clock: Clock
    ) -> None:
        self._store = store
        self._backends = backends
        self._health = health
        self._routing = routing
        self._clock = clock
        self._reading = threading.Lock()
        self._view: _View | None = None

    def choose(
        self,
        *,
        count: int,
        payload_bytes: int,
        card_bytes: int,
        failed: Collection[int] = (),
        full: Collection[int] = (),
        taken_domains: Collection[str] = (),
    ) -> list[Place]:
        """Places for `count` pieces; raises NotEnoughDomains, BackendsUnavailable, NoSpaceAnywhere.

        `failed` and `full` name backends that refused these bytes, `taken_domains` those with a piece already.
        """
        view = self._fresh_view()
        size_bytes = max(
            (backend.occupied_bytes(payload_bytes, card_bytes) for backend in self._backends), default=0
        )
        chosen = choose(
            self._candidates(view),
            count=count,
            size_bytes=size_bytes,
            routing=self._routing,
            failed=failed,
            full=full,
            taken_domains=taken_domains,
        )
        for each in chosen:
            view.placed_bytes[each.backend_id] = view.placed_bytes.get(each.backend_id, 0) + size_bytes
        return [
            Place(backend=self._backends.get(each.backend_id), failure_domain=each.failure_domain)
            for each in chosen
        ]

    def check_room(self, *, count: int, payload_bytes: int, card_bytes: int) -> None:
        """Raise what `choose` would, and choose nothing."""
        size_bytes = max(
            (backend.occupied_bytes(payload_bytes, card_bytes) for backend in self._backends), default=0
        )
        choose(
            self._candidates(self._fresh_view()), count=count, size_bytes=size_bytes, routing=self._routing
        )

    def refresh(self) -> None:
        """Read the view anew before the next choice: a commit has just said that it is wrong."""
        self._view = self._read()

    def failure_domain_of(self, backend_id: int) -> str | None:
        """The domain of a backend; null for one no row names."""
        for row, _ in self._fresh_view().rows:
            if row.backend_id == backend_id:
                return row.failure_domain
        return None

    def _fresh_view(self) -> _View:
        view = self._view
        if view is not None and self._clock.monotonic_s() - view.read_at_s < VIEW_AGE_MAX_S:
            return view
        if view is None:
            # The first of all. Nobody waits for another's: they may share a thread, and it would never go on.
            self._view = view = self._read()
            return view
        # One reads, the others go on with what they have.
        if self._reading.acquire(blocking=False):
            try:
                self._view = view = self._read()
            except DatabaseUnavailable:
                pass
            finally:
                self._reading.release()
        return view

    def _read(self) -> _View:
        return _View(rows=self._store.read(_read_rows), read_at_s=self._clock.monotonic_s(), placed_bytes={})

    def _candidates(self, view: _View) -> list[Candidate]:
        return [
            _candidate(row, totals, view.placed_bytes.get(row.backend_id, 0), self._health)
            for row, totals in view.rows
            if self._backends.find(row.name) is not None
        ]


def _read_rows(tx: Tx) -> list[tuple[BackendRow, QuotaTotals | None]]:
    return [(row, read_quota(tx, backend_subject(row.backend_id))) for row in list_backends(tx)]


def _candidate(
    row: BackendRow, totals: QuotaTotals | None, placed_bytes: int, health: HealthBoard
) -> Candidate:
    limit_bytes = totals.limit_bytes if totals is not None else None
    occupied_bytes = (
        totals.used_bytes + totals.orphan_bytes + totals.reserved_bytes if totals is not None else 0
    ) + placed_bytes
    return Candidate(
        backend_id=row.backend_id,
        failure_domain=row.failure_domain,
        is_active=row.state is BackendState.ACTIVE and row.is_registered,
        health=health.health_of(row.backend_id),
        used_bytes=occupied_bytes,
        free_bytes=None if limit_bytes is None else limit_bytes - occupied_bytes,
        capacity_bytes=limit_bytes,
    )
