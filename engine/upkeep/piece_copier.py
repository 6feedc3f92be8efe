"""One piece copied from whichever piece of its blob can be read to wherever it may go."""

import logging
from dataclasses import replace

from engine.backends.base import Backend, PieceTail, StoredPiece
from engine.backends.copying import SourceFailed, copy_held_piece, copy_piece
from engine.errors import (
    BackendError,
    BackendFull,
    BackendOverLimit,
    BackendsUnavailable,
    NoSpaceAnywhere,
    NotEnoughDomains,
    PieceCorrupt,
    PieceMissing,
)
from engine.imported import loggable
from engine.metadata.intents import Intent
from engine.metadata.moves import Copied, Movable
from engine.records import Location, LocationState
from engine.units import BLOCK_BYTES, MIB
from engine.upkeep.long_work import Pace
from engine.upkeep.moved_cards import MovedCards
from engine.upkeep.moved_pieces import Announcer, BackendRegistry, Chooser, PieceCopy, Unit, Unmoved, Why

HELD_BYTES_MAX = MIB
"""Pieces up to this size are copied in memory and share a sync, as small PUTs do."""

TARGET_COUNT_MAX = 4
"""Backends tried for one copy."""

_RANKS = {LocationState.LIVE: 0, LocationState.SUSPECT: 1, LocationState.LOST: 2}

_log = logging.getLogger(__name__)


class PieceCopier:
    """Copies pieces for units of moving. For one thread."""

    def __init__(
        self, backends: BackendRegistry, *, announcer: Announcer, cards: MovedCards, pace: Pace
    ) -> None:
        self._backends = backends
        self._announcer = announcer
        self._cards = cards
        self._pace = pace
        self._buffer = bytearray(BLOCK_BYTES)

    def copy(self, movable: Movable, targets: Chooser, unit: Unit) -> Unmoved | None:
        """Add a copy to the unit, or say why there is none. Raises what a write raises."""
        if not movable.blob.has_checksums:
            # A copy would bear checksums that nothing vouches for.
            return Unmoved(movable=movable, why=Why.IMPORTED)
        tail = self._tail(movable)
        detail = ""
        for _ in range(TARGET_COUNT_MAX):
            try:
                target = targets.choose(movable, card_bytes=len(tail.card))
            except (NotEnoughDomains, NoSpaceAnywhere, BackendsUnavailable) as error:
                return Unmoved(movable=movable, why=_why(error), detail=detail)
            try:
                unit.copies.append(self._copy_to(movable, target, tail, unit))
            except SourceFailed as failure:
                is_gone = isinstance(failure.error, PieceCorrupt | PieceMissing)
                why = Why.UNREADABLE if is_gone else Why.AWAY
                return Unmoved(movable=movable, why=why, detail=str(failure))
            except (BackendFull, BackendOverLimit) as error:
                targets.is_full(target.backend_id)
                detail = str(error)
            except BackendError as error:
                targets.has_failed(target, error)
                detail = str(error)
            else:
                return None
        return Unmoved(movable=movable, why=Why.AWAY, detail=detail)

    def _copy_to(self, movable: Movable, target: Backend, tail: PieceTail, unit: Unit) -> PieceCopy:
        """A copy of the first piece that reads whole; raises SourceFailed when none does, and as the target."""
        failed: SourceFailed | None = None
        for source in in_order(movable):
            intent = self._announcer.take(target)
            unit.announce(intent, target.occupied_bytes(movable.blob.stored_bytes, len(tail.card)))
            try:
                piece = self._write(source, movable, target, tail, intent)
            except SourceFailed as failure:
                self._blame(source, failure.error, unit)
                # What is out of reach may come back, so of all reasons it is that one which counts.
                if failed is None or isinstance(failed.error, PieceCorrupt | PieceMissing):
                    failed = failure
                continue
            new = replace(
                movable.location,
                backend_id=target.backend_id,
                storage_key=piece.storage_key,
                stored_bytes=piece.stored_bytes,
                card_key_id=self._cards.key_id,
                state=LocationState.LIVE,
            )
            intent_id = None if intent is None else intent.intent_id
            return PieceCopy(
                movable=movable,
                copied=Copied(old=movable.location, new=new, intent_id=intent_id),
                barrier=piece.barrier,
                backend=target,
            )
        assert failed is not None
        raise failed

    def _write(
        self, source: Location, movable: Movable, target: Backend, tail: PieceTail, intent: Intent | None
    ) -> StoredPiece:
        try:
            backend = self._backends.get(source.backend_id)
        except BackendError as error:
            raise SourceFailed(error) from error
        blob = movable.blob
        copy = copy_held_piece if blob.stored_bytes <= HELD_BYTES_MAX else copy_piece
        return copy(
            backend,
            source.storage_key,
            target,
            target_key=None if intent is None else intent.storage_key,
            payload_bytes=blob.stored_bytes,
            tail=tail,
            buffer=self._buffer,
            before_block=self._pace.take,
        )

    def _tail(self, movable: Movable) -> PieceTail:
        """Block checksums as the metadata knows them, and a card with the hint of one that can be read."""
        blob, index = movable.blob, movable.location.piece_index
        for source in in_order(movable):
            try:
                raw = self._backends.get(source.backend_id).read_tail(source.storage_key, blob.stored_bytes)
            except BackendError:
                continue
            card = self._cards.again(raw.card, blob, index)
            if card is not None:
                return PieceTail(block_crcs=blob.block_crcs, card=card)
        return PieceTail(block_crcs=blob.block_crcs, card=self._cards.without_hint(blob, index))

    def _blame(self, source: Location, error: BackendError, unit: Unit) -> None:
        if not isinstance(error, PieceCorrupt | PieceMissing):
            return
        unit.damaged.append(source)
        _log.error(
            "piece.unreadable",
            extra={
                "backend": error.backend,
                "storage_key": loggable(source.storage_key),
                "blob_id": source.blob_id.hex(),
                "error": str(error),
            },
        )


def in_order(movable: Movable) -> list[Location]:
    """The piece itself first while nothing speaks against it, then others; what was found lost comes last."""
    return sorted((movable.location, *movable.others), key=lambda each: _RANKS[each.state])


def _why(error: NotEnoughDomains | NoSpaceAnywhere | BackendsUnavailable) -> Why:
    if isinstance(error, NotEnoughDomains):
        return Why.NO_DOMAIN
    return Why.NO_ROOM if isinstance(error, NoSpaceAnywhere) else Why.AWAY
