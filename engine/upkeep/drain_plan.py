"""What emptying a backend would take: how much, where to, and what stands against it. Reads only."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

from engine.backends.registry import volume_in
from engine.errors import BackendError, RedundancyAtRisk
from engine.metadata.backends import list_backends
from engine.metadata.buckets import list_schemes
from engine.metadata.quota import backend_subject, read_quota
from engine.metadata.store import Store, Tx
from engine.placement.fitting import Fit, Load, Room, fit
from engine.placement.policy import Routing
from engine.records import BackendRow, BackendState, LocationState, Scheme
from engine.upkeep.moved_pieces import BackendRegistry
from engine.upkeep.targets import SeenBackend, see_backends

WALK_COUNT_MAX = 100_000
"""Pieces that a plan looks at one by one; of more it takes these for an example of all."""

PAGE_COUNT = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainPlan:
    """What would be moved, and why it cannot be when `lacks` says so.

    `sole_count` pieces have no other copy that is trusted. With `is_estimate` all of these are reckoned from a part.
    `active` are the backends that it was made for, by id with their domains.
    """

    backend: BackendRow
    piece_count: int
    size_bytes: int
    sole_count: int
    is_estimate: bool
    fit: Fit
    lacks: tuple[str, ...]
    active: Mapping[int, str]

    def check(self) -> None:
        """Raises RedundancyAtRisk unless all of it can be done."""
        if self.lacks:
            raise RedundancyAtRisk(backend=self.backend.name, lacks=self.lacks)


@dataclass(slots=True, kw_only=True)
class _Walked:
    """Pieces of a backend, put together by the domains they cannot go to."""

    loads: dict[frozenset[str], tuple[int, int]]
    piece_count: int = 0
    sole_count: int = 0
    is_whole: bool = True

    def scaled(self, piece_count: int, size_bytes: int) -> list[Load]:
        """Loads that stand for all the backend's pieces."""
        walked_bytes = sum(each for _, each in self.loads.values())
        by_count = piece_count / self.piece_count if not self.is_whole and self.piece_count else 1.0
        by_bytes = size_bytes / walked_bytes if not self.is_whole and walked_bytes else 1.0
        return [
            Load(
                taken_domains=domains, piece_count=round(count * by_count), size_bytes=round(each * by_bytes)
            )
            for domains, (count, each) in self.loads.items()
        ]


def active_domains(rows: Collection[BackendRow]) -> dict[int, str]:
    """Backends that take pieces, with their failure domains."""
    return {
        row.backend_id: row.failure_domain
        for row in rows
        if row.state is BackendState.ACTIVE and row.is_registered
    }


def plan_drain(
    store: Store,
    backends: BackendRegistry,
    row: BackendRow,
    *,
    default_scheme: Scheme,
    routing: Routing,
    walk_count_max: int = WALK_COUNT_MAX,
) -> DrainPlan:
    """Raises what a read raises."""
    seen, schemes = store.read(lambda tx: (see_backends(tx), list_schemes(tx)))
    domains = {each.row.backend_id: each.row.failure_domain for each in seen}
    walked = _walk(store, row.backend_id, domains, walk_count_max)
    piece_count, size_bytes = _extent(store, row.backend_id, walked)
    rooms = [_room(each, backends) for each in seen if _takes_pieces(each) and each.row != row]
    found = fit(walked.scaled(piece_count, size_bytes), rooms, routing=routing)
    sole_count = round(walked.sole_count * piece_count / walked.piece_count) if walked.piece_count else 0
    active = active_domains([each.row for each in seen])
    lacks = [
        *_lacking_domains(row, active, {default_scheme, *schemes}),
        *_lacking_source(row, backends, sole_count),
        *_lacking_room(found),
    ]
    return DrainPlan(
        backend=row,
        piece_count=piece_count,
        size_bytes=size_bytes,
        sole_count=sole_count,
        is_estimate=not walked.is_whole,
        fit=found,
        lacks=tuple(lacks),
        active=active,
    )


def _walk(store: Store, backend_id: int, domains: Mapping[int, str], count_max: int) -> _Walked:
    walked = _Walked(loads={})
    after = ""
    while True:
        page = store.read(partial(_page, backend_id=backend_id, after=after))
        for piece in page:
            taken = frozenset(domains[other] for other, _ in piece.others)
            count, size_bytes = walked.loads.get(taken, (0, 0))
            walked.loads[taken] = (count + 1, size_bytes + piece.stored_bytes)
            walked.sole_count += not any(is_live for _, is_live in piece.others)
        walked.piece_count += len(page)
        if len(page) < PAGE_COUNT:
            return walked
        if walked.piece_count >= count_max:
            walked.is_whole = False
            return walked
        after = page[-1].storage_key


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    storage_key: str
    stored_bytes: int
    others: Sequence[tuple[int, bool]]


def _page(tx: Tx, *, backend_id: int, after: str) -> list[_Piece]:
    rows = tx.rows(
        "list_pieces_with_others", {"backend_id": backend_id, "after": after, "count_max": PAGE_COUNT}
    )
    pieces: dict[str, _Piece] = {}
    for storage_key, stored_bytes, other_id, other_state in rows:
        key = cast(str, storage_key)
        others = pieces[key].others if key in pieces else ()
        if other_id is not None:
            others = (*others, (cast(int, other_id), other_state == LocationState.LIVE.value))
        pieces[key] = _Piece(storage_key=key, stored_bytes=cast(int, stored_bytes), others=others)
    return list(pieces.values())


def _extent(store: Store, backend_id: int, walked: _Walked) -> tuple[int, int]:
    """Pieces and bytes by the account when there are more than were walked: writes may change it under the walk."""
    if walked.is_whole:
        return walked.piece_count, sum(size_bytes for _, size_bytes in walked.loads.values())
    totals = store.read(partial(read_quota, subject=backend_subject(backend_id)))
    assert totals is not None
    return max(totals.object_count, walked.piece_count), totals.used_bytes


def _takes_pieces(seen: SeenBackend) -> bool:
    return seen.row.state is BackendState.ACTIVE and seen.row.is_registered


def _room(seen: SeenBackend, backends: BackendRegistry) -> Room:
    totals = seen.totals
    occupied = 0 if totals is None else totals.used_bytes + totals.orphan_bytes + totals.reserved_bytes
    limit = None if totals is None else totals.limit_bytes
    disk, disk_free_bytes = None, 0
    try:
        volume = volume_in(backends.get(seen.row.backend_id))
        if volume is not None:
            room = volume.disk_room()
            disk, disk_free_bytes = room.disk, room.free_bytes
    except BackendError:
        # What cannot be asked for its room has none now.
        disk = f"backend {seen.row.backend_id}"
    return Room(
        backend_id=seen.row.backend_id,
        failure_domain=seen.row.failure_domain,
        used_bytes=occupied,
        free_bytes=None if limit is None else max(0, limit - occupied),
        disk=disk,
        disk_free_bytes=disk_free_bytes,
        terms=seen.row.terms,
    )


def _lacking_domains(
    row: BackendRow, active: Mapping[int, str], schemes: Collection[Scheme]
) -> Iterator[str]:
    left = {backend_id: domain for backend_id, domain in active.items() if backend_id != row.backend_id}
    if not left:
        yield "no other active backend is left"
        return
    before, after = len(set(active.values())), len(set(left.values()))
    for scheme in sorted(schemes, key=str):
        # A scheme that could not be met before is no reason to stay.
        if after < scheme.count <= before:
            yield (
                f"new objects are stored as {scheme}, and {after} failure "
                f"{'domain' if after == 1 else 'domains'} would be left"
            )


def _lacking_source(row: BackendRow, backends: BackendRegistry, sole_count: int) -> Iterator[str]:
    try:
        backends.get(row.backend_id).check_identity()
    except BackendError as error:
        if sole_count:
            yield f"{sole_count} pieces have no other copy, and it is out of reach ({error})"


def _lacking_room(found: Fit) -> Iterator[str]:
    if found.homeless_count:
        yield (
            f"{found.homeless_count} pieces ({found.homeless_bytes} bytes) have no active backend to go to in a "
            "failure domain without another copy"
        )
    if found.unfit_count:
        yield f"{found.unfit_bytes} bytes have no room on the backends that they could go to"


def is_plan_current(tx: Tx, plan: DrainPlan) -> bool:
    """Whether the backends that the plan counts on are still the same; states are locked by the caller."""
    return active_domains(list_backends(tx)) == plan.active
