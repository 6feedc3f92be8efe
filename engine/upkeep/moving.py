"""Moving pieces between backends: copied block by verified block under a fresh key and card, synced, seen, switched.

An interruption anywhere is harmless: copies that no location was switched to are dead space or strays, and a switch is
compare and set. Sealed bytes are copied as they are.
"""

import logging
from collections.abc import Sequence
from functools import partial

from engine.clock import Clock
from engine.errors import BackendError, BackendQuotaExceeded, IntentLost
from engine.metadata.moves import Movable, Switched, discard_copy, read_again, switch_pieces
from engine.metadata.quota import Changes
from engine.metadata.store import Store, Tx
from engine.units import BLOCK_BYTES, MIB
from engine.upkeep.long_work import Fence, Pace
from engine.upkeep.moved_cards import MovedCards
from engine.upkeep.moved_pieces import (
    Announcer,
    BackendRegistry,
    Chooser,
    Moved,
    PieceCopy,
    Unit,
    Unmoved,
    Why,
)
from engine.upkeep.piece_copier import PieceCopier
from engine.upkeep.read_back import payload_problem, tail_problem

UNIT_COUNT_MAX = 25
"""Pieces moved in one unit. On SQLite who writes waits until all are switched."""

UNIT_BYTES_MAX = 8 * MIB
"""Payload moved in one unit, the piece that reaches it the last. It is synced at once, and writers to the disk wait."""

UNIT_S_MAX = 1.0
"""A unit begins no further piece after this."""

PASSING_COUNT_MAX = 3
"""A unit begins no further piece after so many that stay for a reason which may pass: each may have cost a timeout."""

ROUND_COUNT_MAX = 4
"""Times a piece is copied in one unit; each after the first has learned from the one before."""

_log = logging.getLogger(__name__)


class PieceMover:
    """Moves pieces for one work at a time. For one thread."""

    def __init__(
        self,
        store: Store,
        backends: BackendRegistry,
        *,
        announcer: Announcer,
        cards: MovedCards,
        fence: Fence,
        pace: Pace,
        clock: Clock,
        grace_us: int,
        reason: str,
        reads_back: bool = False,
    ) -> None:
        """`grace_us` is how long readers of the old pieces may still come; `reason` stands in the cleanup queue.

        With `reads_back` every byte of a copy is read before it counts; without, what a remote store must have is
        looked up there.
        """
        self._store = store
        self._announcer = announcer
        self._copier = PieceCopier(backends, announcer=announcer, cards=cards, pace=pace)
        self._fence = fence
        self._pace = pace
        self._clock = clock
        self._grace_us = grace_us
        self._reason = reason
        self._buffer = bytearray(BLOCK_BYTES) if reads_back else None

    def move(self, movables: Sequence[Movable], targets: Chooser) -> Moved:
        """Move the first of these, as many as make up a unit. Raises LeaseLost and what a write raises."""
        moved, unit = Moved(), Unit()
        deadline_s = self._clock.monotonic_s() + UNIT_S_MAX
        taken_bytes = 0
        try:
            for movable in movables[:UNIT_COUNT_MAX]:
                is_late = self._pace.is_over or self._clock.monotonic_s() > deadline_s
                if (
                    (is_late and moved.seen_count)
                    or taken_bytes >= UNIT_BYTES_MAX
                    or moved.passing_count >= PASSING_COUNT_MAX
                ):
                    break
                moved.seen_count += 1
                taken_bytes += movable.blob.stored_bytes
                self._copy(movable, targets, unit, moved)
            again = self._settle(unit, targets, moved)
            for _ in range(ROUND_COUNT_MAX - 1):
                if not again:
                    break
                for movable in self._store.read(partial(read_again, movables=again)):
                    self._copy(movable, targets, unit, moved)
                again = self._settle(unit, targets, moved)
            for movable in again:
                moved.unmoved.append(Unmoved(movable=movable, why=Why.AWAY, detail="others are quicker"))
        finally:
            # What is neither fulfilled nor settled by now is left to recovery.
            self._announcer.end(unit.announced_ids)
        return moved

    def _copy(self, movable: Movable, targets: Chooser, unit: Unit, moved: Moved) -> None:
        unmoved = self._copier.copy(movable, targets, unit)
        if unmoved is not None:
            moved.unmoved.append(unmoved)

    def _settle(self, unit: Unit, targets: Chooser, moved: Moved) -> list[Movable]:
        """Switch the unit's copies and empty it; the pieces that have to be copied once more."""
        again = self._look_at(unit, targets)
        while not unit.is_empty:
            try:
                outcomes = self._commit(unit)
            except BackendQuotaExceeded as error:
                targets.is_full(error.backend_id)
                again += self._drop(
                    unit, [copy for copy in unit.copies if copy.backend.backend_id == error.backend_id]
                )
            except IntentLost:
                self._announcer.distrust()
                again += self._drop(unit, [copy for copy in unit.copies if copy.copied.intent_id is not None])
            except BackendError as error:
                # A barrier: what waited for it may be lost with the page cache, and is dead space.
                failed = [copy for copy in unit.copies if copy.backend.name == error.backend]
                if not failed:
                    raise
                targets.has_failed(failed[0].backend, error)
                unit.copies = [copy for copy in unit.copies if copy not in failed]
                again += [copy.movable for copy in failed]
            else:
                again += _count(unit.copies, outcomes, moved)
                unit.settled()
        if again:
            targets.refresh()
        return again

    def _look_at(self, unit: Unit, targets: Chooser) -> list[Movable]:
        """Give up copies that are not what they should be; their pieces, which have to be copied once more."""
        bad: list[PieceCopy] = []
        for copy in unit.copies:
            problem = self._problem_of(copy)
            if problem is not None:
                _log.error(
                    "copy.bad",
                    extra={
                        "backend": copy.backend.name,
                        "storage_key": copy.copied.new.storage_key,
                        "error": str(problem),
                    },
                )
                targets.has_failed(copy.backend, problem)
                bad.append(copy)
        return self._drop(unit, bad) if bad else []

    def _problem_of(self, copy: PieceCopy) -> BackendError | None:
        if self._buffer is not None:
            return payload_problem(copy, buffer=self._buffer, pace=self._pace)
        return tail_problem(copy) if copy.backend.needs_intents else None

    def _commit(self, unit: Unit) -> list[Switched]:
        """One transaction behind the barriers of the unit's copies, in which its strays and damages are told too."""

        def run(tx: Tx) -> list[Switched]:
            self._fence(tx)
            return switch_pieces(
                tx,
                [copy.copied for copy in unit.copies],
                reason=self._reason,
                grace_us=self._grace_us,
                strays=unit.strays(),
                damaged=unit.damaged,
            )

        barriers = [copy.barrier for copy in unit.copies if copy.barrier is not None]
        return self._store.write(run, after=barriers)

    def _drop(self, unit: Unit, dropped: Sequence[PieceCopy]) -> list[Movable]:
        """Take copies that no row may name out of the unit; their bytes go to cleanup."""
        unit.copies = [copy for copy in unit.copies if copy not in dropped]

        def discard(tx: Tx) -> None:
            self._fence(tx)
            changes = Changes()
            for copy in dropped:
                # One that was announced is a stray of the unit from now on.
                if copy.copied.intent_id is None:
                    discard_copy(tx, copy.copied.new, changes, reason=f"{self._reason} lost")
            changes.apply(tx)

        self._store.write(discard)
        return [copy.movable for copy in dropped]


def _count(copies: Sequence[PieceCopy], outcomes: Sequence[Switched], moved: Moved) -> list[Movable]:
    """Add up what went well; the pieces that have to be copied once more. One that is gone needs nothing."""
    again = []
    for copy, outcome in zip(copies, outcomes, strict=True):
        if outcome is Switched.MOVED:
            moved.moved_count += 1
            moved.moved_bytes += copy.movable.blob.stored_bytes
        elif outcome is not Switched.GONE:
            again.append(copy.movable)
    return again
