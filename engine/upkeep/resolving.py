"""Settling what a comparison found: looked at once more, then put right in the rows, in the bytes, or left as it is."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial

from engine.errors import BackendError, BackendUnavailable
from engine.metadata import cleanup, discrepancies, facts, quota
from engine.metadata.discrepancies import Discrepancy, DiscrepancyKind, Mismatch
from engine.metadata.locations import mark_location
from engine.metadata.pieces import StandingPiece, correct_size, find_piece, mark_verified
from engine.metadata.store import Store, Tx
from engine.metadata.volumes import add_dead_bytes, forget_if_empty
from engine.records import LocationState
from engine.upkeep.compaction import CompactableBackend
from engine.upkeep.long_work import Extent, Fence, Step
from engine.upkeep.piece_check import Depth, PieceChecker, PieceFault, Verdict
from engine.upkeep.piece_inspection import Healer
from engine.upkeep.store_census import StoreCensus

STEP_COUNT_MAX = 20
"""Findings settled in one step: each may take the reading and writing of a piece."""


class Repair(Enum):
    """What may be changed to settle a finding."""

    NONE = "none"
    METADATA = "metadata"
    STORAGE = "storage"
    BOTH = "both"

    @property
    def of_metadata(self) -> bool:
        return self in (Repair.METADATA, Repair.BOTH)

    @property
    def of_storage(self) -> bool:
        return self in (Repair.STORAGE, Repair.BOTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What was done about a finding, for people; unsettled, it stands."""

    is_settled: bool
    what: str


class Resolver:
    """Settles one finding after the other. Every write is under the fence, and repeating any of it is harmless."""

    def __init__(
        self,
        store: Store,
        *,
        checker: PieceChecker,
        healer: Healer,
        volumes: Mapping[int, CompactableBackend],
        listings: Mapping[int, StoreCensus],
        fence: Fence,
    ) -> None:
        """`volumes` are those backends that lie in files, `listings` of those that can be listed, by their id."""
        self._store = store
        self._checker = checker
        self._healer = healer
        self._volumes = volumes
        self._listings = listings
        self._fence = fence

    def resolve(self, found: Discrepancy, repair: Repair) -> Settlement:
        """Raises LeaseLost and what a write raises."""
        if repair is Repair.NONE:
            return Settlement(is_settled=False, what="left: nothing may be changed")
        mismatch = found.mismatch
        try:
            if mismatch.kind is DiscrepancyKind.FOREIGN:
                settlement = Settlement(
                    is_settled=False, what="left: what is not understood is never touched"
                )
            elif mismatch.blob_id is not None:
                settlement = self._settle_piece(mismatch, repair)
            elif mismatch.kind is DiscrepancyKind.ORPHAN and mismatch.backend_id in self._listings:
                settlement = self._delete_orphan(found, repair)
            elif mismatch.kind is DiscrepancyKind.ORPHAN:
                settlement = self._count_dead(found, repair)
            else:
                settlement = self._forget_volume(found, repair)
        except BackendError as error:
            settlement = Settlement(is_settled=False, what=f"left: {error}")
        self._write(lambda tx: _note(tx, found, settlement))
        return settlement

    def _settle_piece(self, mismatch: Mismatch, repair: Repair) -> Settlement:
        piece = self._store.read(
            partial(find_piece, backend_id=mismatch.backend_id, storage_key=mismatch.subject)
        )
        verdict = None if piece is None else self._checker.check_standing(piece, Depth.FULL)
        if piece is None or verdict is None:
            return Settlement(is_settled=True, what="moved or freed meanwhile")
        listing = self._listings.get(mismatch.backend_id)
        if listing is not None and verdict.fault is None:
            verdict = listing.compare_size(piece, verdict)
        if verdict.fault is None:
            return self._trust(piece, repair)
        if verdict.fault is PieceFault.SIZE and verdict.is_readable:
            return self._correct_size(piece, verdict, repair)
        return self._mend(piece, verdict, repair)

    def _trust(self, piece: StandingPiece, repair: Repair) -> Settlement:
        if piece.location.state is LocationState.LIVE:
            return Settlement(is_settled=True, what="it is good now")
        if not repair.of_metadata:
            return Settlement(is_settled=False, what="left: its row has to be changed")
        self._write(partial(mark_verified, locations=[piece.location]))
        return Settlement(is_settled=True, what="trusted again: all its bytes are good")

    def _correct_size(self, piece: StandingPiece, verdict: Verdict, repair: Repair) -> Settlement:
        if not repair.of_metadata:
            return Settlement(is_settled=False, what="left: its row has to be changed")
        assert verdict.occupied_bytes is not None
        occupied_bytes = verdict.occupied_bytes

        def unit(tx: Tx) -> None:
            changes = quota.Changes()
            correct_size(tx, piece.location, occupied_bytes, changes)
            changes.apply(tx)

        self._write(unit)
        return Settlement(is_settled=True, what=f"its row says {occupied_bytes} bytes now")

    def _mend(self, piece: StandingPiece, verdict: Verdict, repair: Repair) -> Settlement:
        what = "left: its bytes have to be made anew"
        if repair.of_storage:
            cure = self._healer.heal(piece, is_readable=verdict.is_readable)
            if cure.is_cured:
                return Settlement(is_settled=True, what=cure.what)
            what = cure.what
        if not repair.of_metadata or verdict.is_readable:
            return Settlement(is_settled=False, what=what)
        state = LocationState.LOST if verdict.fault is PieceFault.MISSING else LocationState.SUSPECT

        def unit(tx: Tx) -> None:
            mark_location(tx, piece.location, state)

        self._write(unit)
        told = f"marked {state.value}"
        return Settlement(is_settled=True, what=f"{what}; {told}" if repair.of_storage else told)

    def _count_dead(self, found: Discrepancy, repair: Repair) -> Settlement:
        if not repair.of_metadata:
            return Settlement(
                is_settled=False, what="left: compaction gives the space back once it is counted"
            )
        mismatch = found.mismatch
        settlement = Settlement(is_settled=True, what=f"{mismatch.size_bytes} bytes counted as dead")

        def unit(tx: Tx) -> None:
            # In the transaction that settles the finding, so that nothing is counted twice.
            add_dead_bytes(tx, _volume_id(mismatch), mismatch.size_bytes)
            _note(tx, found, settlement)

        self._write(unit)
        return settlement

    def _delete_orphan(self, found: Discrepancy, repair: Repair) -> Settlement:
        if not repair.of_storage:
            return Settlement(is_settled=False, what="left: its bytes have to be deleted")
        mismatch, listing = found.mismatch, self._listings[found.mismatch.backend_id]
        orphan = listing.look_at_orphan(mismatch.subject)
        if orphan.is_gone:
            return Settlement(is_settled=True, what="gone meanwhile")
        if orphan.kept_because is not None:
            return Settlement(is_settled=False, what=f"left: {orphan.kept_because}")

        def unit(tx: Tx) -> bool:
            if not facts.unaccounted_keys(tx, backend_id=mismatch.backend_id, keys=[mismatch.subject]):
                return False
            cleanup.enqueue(
                tx,
                backend_id=mismatch.backend_id,
                storage_key=mismatch.subject,
                size_bytes=orphan.size_bytes,
                reason="orphan",
                not_before_us=tx.now_us() + listing.grace_us,
            )
            changes = quota.Changes()
            changes.find(quota.backend_subject(mismatch.backend_id), orphan_bytes=orphan.size_bytes)
            changes.apply(tx)
            return True

        if not self._write(unit):
            return Settlement(is_settled=True, what="accounted for meanwhile")
        return Settlement(is_settled=True, what=f"{orphan.size_bytes} bytes wait for their deletion")

    def _forget_volume(self, found: Discrepancy, repair: Repair) -> Settlement:
        if not repair.of_metadata:
            return Settlement(is_settled=False, what="left: its row has to be changed")
        mismatch = found.mismatch
        backend = self._volumes.get(mismatch.backend_id)
        if backend is None:
            raise BackendUnavailable("it is not here", backend=str(mismatch.backend_id))
        backend.check_identity()
        volume_id = _volume_id(mismatch)
        if backend.shelf.exists(volume_id):
            return Settlement(is_settled=True, what="its file is there")
        is_gone = self._write(partial(forget_if_empty, backend_id=mismatch.backend_id, volume_id=volume_id))
        if not is_gone:
            return Settlement(is_settled=False, what="left: pieces lie in it")
        return Settlement(is_settled=True, what="its row was forgotten")

    def _write(self, unit: Callable[[Tx], bool | None]) -> bool | None:
        def fenced(tx: Tx) -> bool | None:
            self._fence(tx)
            return unit(tx)

        return self._store.write(fenced)


class Resolution:
    """Long work: settles the findings that stand, of one backend and of some kinds, as far as `repair` allows it.

    The cursor is the last finding looked at, with how many were settled and how many were left.
    """

    def __init__(
        self,
        store: Store,
        resolver: Resolver,
        *,
        repair: Repair,
        backend_id: int | None = None,
        kind: DiscrepancyKind | None = None,
        is_dry_run: bool = False,
    ) -> None:
        """A dry run only counts what there is to settle, kind by kind."""
        self._store = store
        self._resolver = resolver
        self._repair = repair
        self._backend_id = backend_id
        self._kind = kind
        self._is_dry_run = is_dry_run

    def measure(self) -> Extent:
        counts = self._store.read(discrepancies.count_discrepancies)
        return Extent(
            item_count=sum(
                each.count
                for each in counts
                if not each.is_settled
                and self._backend_id in (None, each.backend_id)
                and self._kind in (None, each.kind)
            )
        )

    def step(self, cursor: str | None, /) -> Step:
        after, counted = json.loads(cursor) if cursor is not None else (0, {})
        counts = Counter(counted)
        page = self._store.read(
            partial(
                discrepancies.list_discrepancies,
                after=after,
                count_max=STEP_COUNT_MAX,
                backend_id=self._backend_id,
                kind=self._kind,
                only_open=True,
            )
        )
        warnings: list[str] = []
        settled_count = 0
        for found in page:
            after = found.discrepancy_id
            if self._is_dry_run:
                counts[found.mismatch.kind.value] += 1
                continue
            settlement = self._resolver.resolve(found, self._repair)
            settled_count += settlement.is_settled
            counts["settled" if settlement.is_settled else "left"] += 1
            if not settlement.is_settled:
                warnings.append(f"{found.mismatch.kind.value} {found.mismatch.subject}: {settlement.what}")
        return Step(
            cursor=json.dumps([after, counts]),
            is_last=len(page) < STEP_COUNT_MAX,
            item_count=len(page) if self._is_dry_run else settled_count,
            failed_count=0 if self._is_dry_run else len(page) - settled_count,
            stage="counting" if self._is_dry_run else "settling",
            warnings=tuple(warnings),
            result={f"{name}_count": count for name, count in sorted(counts.items())},
        )

    def cancelled(self) -> None:
        """What was settled stays so."""


def _note(tx: Tx, found: Discrepancy, settlement: Settlement) -> None:
    discrepancies.note_resolution(tx, found.discrepancy_id, settlement.what, is_settled=settlement.is_settled)


def _volume_id(mismatch: Mismatch) -> bytes:
    return bytes.fromhex(mismatch.subject.removeprefix("volume "))
