"""Where pieces go now: a view of the backends that is read from the database at most once a second."""

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from engine.backends.base import Backend
from engine.backends.registry import Backends
from engine.clock import Clock
from engine.errors import BackendsUnavailable, DatabaseUnavailable, NoSpaceAnywhere, NotEnoughDomains
from engine.metadata.backends import list_backends
from engine.metadata.quota import QuotaTotals, backend_subject, read_quota
from engine.metadata.store import Store, Tx
from engine.placement.health import Health, HealthBoard
from engine.placement.policy import Candidate, Routing, candidate_of, choose
from engine.records import BackendRow

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
    # Those that not every process can read yet.
    unshared: Collection[int]
    read_at_s: float
    # Bytes placed since the view was read, so that a burst does not all go to the backend that was emptiest then.
    placed_bytes: dict[int, int]


class Placer:
    """Chooses backends by the deployment's routing among those this process has. Safe for many threads."""

    def __init__(
        self,
        *,
        store: Store,
        backends: Backends,
        health: HealthBoard,
        routing: Routing,
        clock: Clock,
        shared: Callable[[Tx], Collection[str] | None] = lambda _: None,
        allows_write: Callable[[int, int], bool] = lambda backend_id, size_bytes: True,
    ) -> None:
        """`shared` names the backends that every process can read; null: all of them.

        `allows_write` says whether what may be used of a backend this month suffices for a piece of that size.
        """
        self._store = store
        self._backends = backends
        self._health = health
        self._routing = routing
        self._clock = clock
        self._shared = shared
        self._allows_write = allows_write
        self._reading = threading.Lock()
        self._view: _View | None = None

    def choose(
        self,
        *,
        count: int,
        payload_bytes: int,
        card_bytes: int,
        blob_id: bytes,
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
        chosen = self._chosen(
            view,
            count=count,
            size_bytes=size_bytes,
            key=blob_id,
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
        self._chosen(self._fresh_view(), count=count, size_bytes=size_bytes)

    def has_place(
        self,
        *,
        payload_bytes: int,
        card_bytes: int,
        failed: Collection[int],
        full: Collection[int],
        taken_domains: Collection[str],
    ) -> bool:
        """Whether `choose` would find one for a piece beside those, with a backend that nothing speaks against."""
        view = self._fresh_view()
        size_bytes = max(
            (backend.occupied_bytes(payload_bytes, card_bytes) for backend in self._backends), default=0
        )
        return any(
            each.is_active
            and each.health is Health.HEALTHY
            and each.has_room(size_bytes)
            and each.failure_domain not in taken_domains
            and each.backend_id not in failed
            and each.backend_id not in full
            for each in self._candidates(view, size_bytes)
        )

    def _chosen(
        self,
        view: _View,
        *,
        count: int,
        size_bytes: int,
        key: bytes = b"",
        failed: Collection[int] = (),
        full: Collection[int] = (),
        taken_domains: Collection[str] = (),
    ) -> list[Candidate]:
        """Backends that every process can read, if they suffice: a piece on another one is out of reach for some."""
        candidates = self._candidates(view, size_bytes)
        chosen_among = partial(
            choose,
            count=count,
            size_bytes=size_bytes,
            routing=self._routing,
            key=key,
            failed=failed,
            full=full,
            taken_domains=taken_domains,
        )
        if view.unshared:
            known = [each for each in candidates if each.backend_id not in view.unshared]
            try:
                return chosen_among(known)
            except (NotEnoughDomains, NoSpaceAnywhere, BackendsUnavailable):
                pass
        return chosen_among(candidates)

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
        rows, shared = self._store.read(lambda tx: (_read_rows(tx), self._shared(tx)))
        unshared = (
            () if shared is None else frozenset(row.backend_id for row, _ in rows if row.name not in shared)
        )
        return _View(rows=rows, unshared=unshared, read_at_s=self._clock.monotonic_s(), placed_bytes={})

    def _candidates(self, view: _View, size_bytes: int) -> list[Candidate]:
        return [
            _candidate(
                row,
                totals,
                view.placed_bytes.get(row.backend_id, 0),
                self._health,
                is_over_limit=not self._allows_write(row.backend_id, size_bytes),
            )
            for row, totals in view.rows
            if self._backends.find(row.name) is not None
        ]


def _read_rows(tx: Tx) -> list[tuple[BackendRow, QuotaTotals | None]]:
    return [(row, read_quota(tx, backend_subject(row.backend_id))) for row in list_backends(tx)]


def _candidate(
    row: BackendRow,
    totals: QuotaTotals | None,
    placed_bytes: int,
    health: HealthBoard,
    *,
    is_over_limit: bool,
) -> Candidate:
    limit_bytes = totals.limit_bytes if totals is not None else None
    occupied_bytes = (
        totals.used_bytes + totals.orphan_bytes + totals.reserved_bytes if totals is not None else 0
    ) + placed_bytes
    return candidate_of(
        row,
        limit_bytes=limit_bytes,
        occupied_bytes=occupied_bytes,
        health=health.health_of(row.backend_id),
        is_over_limit=is_over_limit,
    )
