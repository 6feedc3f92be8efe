"""Copies that a blob lacks, made from those it has: verified block by block, synced, read back, and only then named.

An interruption anywhere is harmless: copies that no row names are dead space or strays. Sealed bytes are copied as they
are.
"""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from engine.backends.base import Backend
from engine.errors import BackendError, BackendQuotaExceeded, IntentLost
from engine.metadata import repairs
from engine.metadata.moves import Movable, discard_copy
from engine.metadata.pieces import StandingPiece
from engine.metadata.quota import Changes
from engine.metadata.redundancy import Added, add_pieces, good_domains
from engine.metadata.repairs import Repair, RepairKind, RepairState
from engine.metadata.store import Store, Tx
from engine.placement.redundancy import missing_count
from engine.records import Location, LocationState
from engine.units import BLOCK_BYTES
from engine.upkeep.away import Presence
from engine.upkeep.long_work import Fence, Pace
from engine.upkeep.moved_pieces import Announcer, Chooser, PieceCopy, Unit
from engine.upkeep.piece_copier import PieceCopier
from engine.upkeep.read_back import payload_problem


@dataclass(slots=True, kw_only=True)
class AddedCopies:
    """What became of the repairs of one unit, by blob: `stuck` ones say why. The others need nothing any more."""

    added: dict[bytes, int] = field(default_factory=dict)
    stuck: dict[bytes, str] = field(default_factory=dict)


class CopyAdder:
    """Adds copies for units of repairs. For one thread; one unit at a time."""

    def __init__(
        self,
        store: Store,
        *,
        announcer: Announcer,
        copier: PieceCopier,
        fence: Fence,
        pace: Pace,
    ) -> None:
        self._store = store
        self._announcer = announcer
        self._copier = copier
        self._fence = fence
        self._pace = pace
        self._buffer = bytearray(BLOCK_BYTES)

    def add(
        self,
        wanted: Mapping[bytes, tuple[Repair, Sequence[StandingPiece]]],
        targets: Chooser,
        presence: Presence,
    ) -> AddedCopies:
        """Make what these blobs lack, and settle their repairs. Raises LeaseLost and what a write raises."""
        result, unit = AddedCopies(), Unit()
        try:
            for blob_id, (_, pieces) in wanted.items():
                problem = self._copy(pieces, targets, unit, presence)
                if problem is not None:
                    result.stuck[blob_id] = problem
            self._place(unit, targets, result)
            self._verify(unit, targets, result)
            self._name(
                {blob_id: repair for blob_id, (repair, _) in wanted.items()}, unit, targets, presence, result
            )
        finally:
            # What is neither fulfilled nor settled by now is left to recovery.
            self._announcer.end(unit.announced_ids)
        return result

    def _copy(
        self, pieces: Sequence[StandingPiece], targets: Chooser, unit: Unit, presence: Presence
    ) -> str | None:
        """Add copies of one blob to the unit, or say why some are missing still."""
        blob = pieces[0].blob
        standing = [each.location for each in pieces]
        counted = [each for each in standing if _counts(each, presence)]
        places = [(each.backend_id, each.state) for each in standing]
        wanted_count = missing_count(blob.scheme, good_domains(places, presence.domains, presence.away))
        sources = sorted(
            (_as_source(each, presence) for each in standing), key=lambda each: _RANKS[each.state]
        )
        for index in itertools.islice(_free_indexes(standing), wanted_count):
            # A piece to be, said to lie where the best one does; as such it is tried last.
            wished = replace(sources[0], piece_index=index, state=LocationState.LOST)
            movable = Movable(location=wished, blob=blob, others=tuple(sources))
            before_count = len(unit.copies)
            unmoved = self._copier.copy(movable, _Beside(targets, counted), unit)
            if unmoved is not None:
                return f"{unmoved.why.value}: {unmoved.detail}" if unmoved.detail else unmoved.why.value
            counted += [each.copied.new for each in unit.copies[before_count:]]
        return None

    def _place(self, unit: Unit, targets: Chooser, result: AddedCopies) -> None:
        """Have the copies synced, and tell that they stand."""
        while unit.copies:
            barriers = [copy.barrier for copy in unit.copies if copy.barrier is not None]
            try:
                self._store.write(lambda tx: self._tell(tx, unit, RepairState.PLACED), after=barriers)
                return
            except BackendError as error:
                # A barrier: what waited for it may be lost with the page cache, and is dead space.
                failed = [copy for copy in unit.copies if copy.backend.name == error.backend]
                if not failed:
                    raise
                targets.has_failed(failed[0].backend, error)
                unit.copies = [copy for copy in unit.copies if copy not in failed]
                _note(result, failed, str(error))

    def _verify(self, unit: Unit, targets: Chooser, result: AddedCopies) -> None:
        """Read every copy back; what does not verify is given up."""
        bad: list[PieceCopy] = []
        for copy in unit.copies:
            problem = payload_problem(copy, buffer=self._buffer, pace=self._pace)
            if problem is not None:
                targets.has_failed(copy.backend, problem)
                bad.append(copy)
                _note(result, [copy], str(problem))
        self._drop(unit, bad)
        if unit.copies:
            self._store.write(lambda tx: self._tell(tx, unit, RepairState.VERIFIED))

    def _name(
        self,
        wanted: Mapping[bytes, Repair],
        unit: Unit,
        targets: Chooser,
        presence: Presence,
        result: AddedCopies,
    ) -> None:
        """One transaction in which rows come to name the copies and repairs end, or are put off."""
        while True:
            try:
                outcomes = self._store.write(lambda tx: self._settle(tx, wanted, unit, presence, result))
                break
            except BackendQuotaExceeded as error:
                targets.is_full(error.backend_id)
                full = [copy for copy in unit.copies if copy.backend.backend_id == error.backend_id]
                self._drop(unit, full)
                _note(result, full, str(error))
            except IntentLost as error:
                self._announcer.distrust()
                lost = [copy for copy in unit.copies if copy.copied.intent_id is not None]
                self._drop(unit, lost)
                _note(result, lost, str(error))
        for copy, outcome in zip(unit.copies, outcomes, strict=True):
            blob_id = copy.copied.new.blob_id
            if outcome is Added.ADDED:
                result.added[blob_id] = result.added.get(blob_id, 0) + 1
            elif outcome is not Added.NEEDLESS:
                result.stuck.setdefault(blob_id, outcome.value)
        unit.settled()

    def _settle(
        self,
        tx: Tx,
        wanted: Mapping[bytes, Repair],
        unit: Unit,
        presence: Presence,
        result: AddedCopies,
    ) -> list[Added]:
        def settle(tx: Tx, outcomes: Sequence[Added]) -> None:
            stuck = dict(result.stuck)
            added: set[bytes] = set()
            for copy, outcome in zip(unit.copies, outcomes, strict=True):
                if outcome is Added.ADDED:
                    added.add(copy.copied.new.blob_id)
                elif outcome is not Added.NEEDLESS:
                    stuck.setdefault(copy.copied.new.blob_id, outcome.value)
            for blob_id in sorted(wanted):
                if blob_id in stuck:
                    repairs.postpone(tx, RepairKind.HEAL, wanted[blob_id], stuck[blob_id])
                elif blob_id in added:
                    repairs.end(tx, RepairKind.HEAL, blob_id)
                else:
                    repairs.drop(tx, RepairKind.HEAL, blob_id)

        self._fence(tx)
        return add_pieces(
            tx,
            [copy.copied for copy in unit.copies],
            away=presence.away,
            strays=unit.strays(),
            damaged=unit.damaged,
            also=settle,
        )

    def _tell(self, tx: Tx, unit: Unit, state: RepairState) -> None:
        self._fence(tx)
        repairs.set_state(tx, RepairKind.HEAL, list({copy.copied.new.blob_id for copy in unit.copies}), state)

    def _drop(self, unit: Unit, dropped: Sequence[PieceCopy]) -> None:
        """Take copies that no row may name out of the unit; their bytes go to cleanup."""
        if not dropped:
            return
        unit.copies = [copy for copy in unit.copies if copy not in dropped]

        def discard(tx: Tx) -> None:
            self._fence(tx)
            changes = Changes()
            for copy in dropped:
                # One that was announced is a stray of the unit from now on.
                if copy.copied.intent_id is None:
                    discard_copy(tx, copy.copied.new, changes, reason="healed lost")
            changes.apply(tx)

        self._store.write(discard)


class _Beside:
    """Targets in failure domains without a piece that counts, wherever else pieces to copy from lie."""

    def __init__(self, targets: Chooser, counted: Sequence[Location]) -> None:
        self._targets = targets
        self._counted = tuple(counted)

    def choose(self, movable: Movable, *, card_bytes: int) -> Backend:
        return self._targets.choose(replace(movable, others=self._counted), card_bytes=card_bytes)

    def refresh(self) -> None:
        self._targets.refresh()

    def is_full(self, backend_id: int, /) -> None:
        self._targets.is_full(backend_id)

    def has_failed(self, backend: Backend, error: BackendError, /) -> None:
        self._targets.has_failed(backend, error)


_RANKS = {LocationState.LIVE: 0, LocationState.SUSPECT: 1, LocationState.LOST: 2}


def _counts(location: Location, presence: Presence) -> bool:
    return location.state is LocationState.LIVE and location.backend_id not in presence.away


def _as_source(location: Location, presence: Presence) -> Location:
    """What lies on a backend that is away is tried last."""
    return (
        location if location.backend_id not in presence.away else replace(location, state=LocationState.LOST)
    )


def _free_indexes(standing: Sequence[Location]) -> Iterator[int]:
    taken = {each.piece_index for each in standing}
    return (index for index in itertools.count() if index not in taken)


def _note(result: AddedCopies, copies: Collection[PieceCopy], problem: str) -> None:
    for copy in copies:
        result.stuck[copy.copied.new.blob_id] = problem
