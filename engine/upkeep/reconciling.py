"""Comparing rows and bytes, both ways, as long work: findings are kept, and settled on the way where one asked for it.

On a running deployment everything is looked at once more before it is told: a piece may have moved, a write may be on
its way.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from functools import partial
from typing import Any

from engine.backends.base import Backend
from engine.clock import Clock, Ids
from engine.errors import BackendError
from engine.metadata import discrepancies, quota
from engine.metadata.discrepancies import KEPT_COUNT_MAX, Direction, DiscrepancyKind, Mismatch
from engine.metadata.pieces import StandingPiece, list_pieces
from engine.metadata.store import Store, Tx
from engine.records import LocationState
from engine.units import MIB
from engine.upkeep.long_work import Extent, Fence, Step
from engine.upkeep.piece_check import Depth, PieceChecker, PieceFault, Verdict
from engine.upkeep.resolving import Repair, Resolver
from engine.upkeep.store_census import ListingPosition, StoreCensus
from engine.upkeep.volume_census import Position, VolumeCensus

PAGE_COUNT_MAX = 200
PAGE_BYTES_MAX = 64 * MIB
STEP_S_MAX = 1.0

_KINDS = {
    PieceFault.MISSING: DiscrepancyKind.MISSING,
    PieceFault.SIZE: DiscrepancyKind.SIZE,
    PieceFault.CHECKSUM: DiscrepancyKind.CHECKSUM,
    PieceFault.CARD: DiscrepancyKind.STATE,
}


class Ways(Enum):
    """Which ways are looked."""

    ROWS = "rows"
    BYTES = "bytes"
    BOTH = "both"

    @property
    def directions(self) -> tuple[Direction, ...]:
        if self is Ways.BOTH:
            return (Direction.ROWS, Direction.BYTES)
        return (Direction(self.value),)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """How far a comparison is: the task it is at, where in it, and what it has found so far.

    `token` is how a store that keeps no order goes on with its listing.
    """

    run_id: str
    task: int = 0
    after: str = ""
    token: str | None = None
    offset: int = 0
    dead_bytes: int = 0
    dead_count: int = 0
    kept_count: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)

    def next_task(self) -> "_Place":
        return _Place(run_id=self.run_id, task=self.task + 1, counts=self.counts)


@dataclass(slots=True, kw_only=True)
class _Seen:
    """What one step saw. `after` null: its task is done."""

    place: _Place
    is_done: bool
    seen_count: int = 0
    read_bytes: int = 0
    mismatches: Sequence[Mismatch] = ()


class Reconciliation:
    """Long work. Its cursor is a place; a step that is repeated finds the same again, and notes it once."""

    def __init__(
        self,
        store: Store,
        backends: Sequence[Backend],
        *,
        checker: PieceChecker,
        censuses: Mapping[int, VolumeCensus],
        listings: Mapping[int, StoreCensus],
        resolver: Resolver,
        fence: Fence,
        clock: Clock,
        ids: Ids,
        ways: Ways = Ways.BOTH,
        depth: Depth = Depth.FULL,
        repair: Repair = Repair.NONE,
    ) -> None:
        """`backends` are looked at in this order, those with a census or a listing from bytes to rows as well."""
        self._store = store
        self._checker = checker
        self._censuses = censuses
        self._listings = listings
        self._resolver = resolver
        self._fence = fence
        self._clock = clock
        self._ids = ids
        self._depth = depth
        self._repair = repair
        self._backends = backends
        self._tasks = [
            (backend, direction)
            for backend in backends
            for direction in ways.directions
            if direction is Direction.ROWS or backend.backend_id in {*censuses, *listings}
        ]

    def measure(self) -> Extent:
        by_rows = {backend.backend_id for backend, way in self._tasks if way is Direction.ROWS}
        totals = [
            self._store.read(partial(quota.read_quota, subject=quota.backend_subject(backend_id)))
            for backend_id in by_rows
        ]
        return Extent(item_count=sum(each.object_count for each in totals if each is not None))

    def step(self, cursor: str | None, /) -> Step:
        place = _Place(run_id=self._ids().hex()) if cursor is None else _Place(**json.loads(cursor))
        if place.task >= len(self._tasks):
            return self._told(place, _Seen(place=place, is_done=True), (), is_last=True)
        backend, direction = self._tasks[place.task]
        try:
            if direction is Direction.ROWS:
                seen = self._look_at_rows(backend, place)
            elif backend.backend_id in self._listings:
                seen = self._look_at_listing(self._listings[backend.backend_id], place)
            else:
                seen = self._look_at_bytes(self._censuses[backend.backend_id], place)
        except BackendError as error:
            # What was found there before stands: nobody can say that it does no more.
            counts = Counter(place.counts) + Counter({"unreached_backend": 1})
            gone_on = replace(place.next_task(), counts=dict(counts))
            warning = f"backend {backend.name} could not be looked at to the end: {error}"
            return self._told(gone_on, _Seen(place=gone_on, is_done=False), (warning,))
        warnings = self._note(seen)
        next_place = seen.place
        if seen.is_done:
            self._write(
                partial(
                    discrepancies.forget_unseen,
                    backend_id=backend.backend_id,
                    direction=direction,
                    run_id=bytes.fromhex(place.run_id),
                )
            )
            next_place = seen.place.next_task()
        return self._told(next_place, seen, warnings)

    def cancelled(self) -> None:
        """What was found stays listed, beside what earlier comparisons found."""

    def _told(self, place: _Place, seen: _Seen, warnings: Collection[str], *, is_last: bool = False) -> Step:
        backend, direction = (
            self._tasks[min(place.task, len(self._tasks) - 1)] if self._tasks else (None, None)
        )
        result: dict[str, Any] | None = None
        if is_last:
            result = {f"{name}_count": count for name, count in sorted(place.counts.items())}
        stage = (
            "done"
            if direction is None or is_last
            else f"{direction.value} of {backend.name if backend else ''}"
        )
        return Step(
            cursor=json.dumps(asdict(place)),
            is_last=is_last,
            item_count=seen.seen_count,
            moved_bytes=seen.read_bytes,
            stage=stage,
            current_item=place.after,
            warnings=tuple(warnings),
            result=result,
        )

    def _look_at_rows(self, backend: Backend, place: _Place) -> _Seen:
        backend.check_identity()
        page = self._store.read(
            partial(list_pieces, backend_id=backend.backend_id, after=place.after, count_max=PAGE_COUNT_MAX)
        )
        listing = self._listings.get(backend.backend_id)
        sizes: Mapping[str, int] = {}
        if listing is not None and page:
            sizes = listing.sizes([each.location.storage_key for each in page], after=place.after)
        mismatches: list[Mismatch] = []
        seen_count = read_bytes = 0
        deadline_s = self._clock.monotonic_s() + STEP_S_MAX
        after = place.after
        for piece in page:
            if read_bytes >= PAGE_BYTES_MAX or (seen_count and self._clock.monotonic_s() > deadline_s):
                break
            verdict = self._check(piece, listing, sizes)
            seen_count += 1
            after = piece.location.storage_key
            if verdict is not None:
                read_bytes += verdict.read_bytes
                mismatches += self._judge(piece, verdict)
        # Pieces looked at; those of bytes to rows are others, and no part of what was measured.
        return _Seen(
            place=replace(place, after=after),
            is_done=not page,
            seen_count=seen_count,
            read_bytes=read_bytes,
            mismatches=mismatches,
        )

    def _check(
        self, piece: StandingPiece, listing: StoreCensus | None, sizes: Mapping[str, int]
    ) -> Verdict | None:
        """What a listing says is enough where sizes are; what it does not say, or says otherwise, is looked at."""
        location = piece.location
        listed_bytes = sizes.get(location.storage_key)
        is_as_told = listed_bytes == location.stored_bytes
        if is_as_told and self._depth is Depth.SIZE:
            return Verdict()
        verdict = self._checker.check_standing(piece, self._depth)
        is_good = verdict is not None and verdict.fault is None
        if listing is None or verdict is None or not is_good or listed_bytes is None or is_as_told:
            return verdict
        compared = listing.compare_size(piece, verdict)
        return compared if compared.fault is None or self._checker.still_stands(location) else None

    def _judge(self, piece: StandingPiece, verdict: Verdict) -> list[Mismatch]:
        location = piece.location
        if verdict.fault is not None:
            kind, detail = _KINDS[verdict.fault], verdict.detail or verdict.fault.value
        elif location.state is not LocationState.LIVE and verdict.is_readable:
            kind, detail = (
                DiscrepancyKind.STATE,
                f"its row says {location.state.value}, and its bytes are good",
            )
        else:
            return []
        return [
            Mismatch(
                backend_id=location.backend_id,
                direction=Direction.ROWS,
                kind=kind,
                subject=location.storage_key,
                size_bytes=location.stored_bytes,
                detail=detail,
                blob_id=location.blob_id,
                piece_index=location.piece_index,
            )
        ]

    def _look_at_bytes(self, census: VolumeCensus, place: _Place) -> _Seen:
        looked = census.step(
            Position(
                volume_id=bytes.fromhex(place.after),
                offset=place.offset,
                dead_bytes=place.dead_bytes,
                dead_count=place.dead_count,
            )
        )
        position = looked.position or Position()
        return _Seen(
            place=replace(
                place,
                after=position.volume_id.hex(),
                offset=position.offset,
                dead_bytes=position.dead_bytes,
                dead_count=position.dead_count,
            ),
            is_done=looked.position is None,
            mismatches=looked.mismatches,
        )

    def _look_at_listing(self, listing: StoreCensus, place: _Place) -> _Seen:
        looked = listing.step(ListingPosition(after=place.after, token=place.token))
        position = looked.position or ListingPosition()
        return _Seen(
            place=replace(place, after=position.after, token=position.token),
            is_done=looked.position is None,
            mismatches=looked.mismatches,
        )

    def _note(self, seen: _Seen) -> list[str]:
        """Keep what was found, settle it if that was asked for, and count it in the place."""
        counts = Counter(seen.place.counts)
        kept_count = seen.place.kept_count
        warnings: list[str] = []
        for mismatch in seen.mismatches:
            counts[mismatch.kind.value] += 1
            warnings.append(f"{mismatch.kind.value} {mismatch.subject}: {mismatch.detail}")
            if kept_count >= KEPT_COUNT_MAX:
                counts["not_kept"] += 1
                continue
            kept_count += 1
            note = partial(discrepancies.note, mismatch=mismatch, run_id=bytes.fromhex(seen.place.run_id))
            self._write(note)
            if self._repair is not Repair.NONE:
                counts["settled" if self._settle(mismatch) else "left"] += 1
        seen.place = replace(seen.place, counts=dict(counts), kept_count=kept_count)
        return warnings

    def _settle(self, mismatch: Mismatch) -> bool:
        found = self._store.read(partial(discrepancies.find_discrepancy, mismatch=mismatch))
        return found is None or self._resolver.resolve(found, self._repair).is_settled

    def _write(self, unit: partial[Any]) -> None:
        def fenced(tx: Tx) -> None:
            self._fence(tx)
            unit(tx)

        self._store.write(fenced)
