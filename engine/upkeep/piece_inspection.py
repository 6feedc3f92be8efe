"""Checking pieces and writing down what came of it: good ones verified, bad ones distrusted, some of them cured."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from engine.errors import BackendUnavailable
from engine.imported import loggable
from engine.metadata.locations import mark_location
from engine.metadata.pieces import StandingPiece, mark_verified
from engine.metadata.store import Store, Tx
from engine.records import LocationState
from engine.upkeep.long_work import Fence
from engine.upkeep.piece_check import Depth, PieceChecker, PieceFault, Verdict

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cure:
    """What became of a bad piece: stands anew elsewhere, needs nothing any more, or why not."""

    is_cured: bool
    what: str


class Healer(Protocol):
    """Makes pieces anew from other copies of their blobs; see `engine.upkeep.healing.PieceHealer`."""

    def heal(self, piece: StandingPiece, /, *, is_readable: bool) -> Cure:
        """`is_readable`: its own bytes are good. Repeating it is harmless. Raises LeaseLost and what a write raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BadPiece:
    """A piece that was found bad, and what was done about it; no cure when nobody was asked for one."""

    piece: StandingPiece
    verdict: Verdict
    cure: Cure | None

    def __str__(self) -> str:
        assert self.verdict.fault is not None
        location = self.piece.location
        detail = f" ({self.verdict.detail})" if self.verdict.detail else ""
        cure = "" if self.cure is None else f": {self.cure.what}"
        return (
            f"piece {location.piece_index} of blob {location.blob_id.hex()} at {location.storage_key}: "
            f"{self.verdict.fault.value}{detail}{cure}"
        )


@dataclass(slots=True, kw_only=True)
class Inspected:
    """What came of looking at some pieces. `is_away`: the last ones were not reached, because their backend is not."""

    seen_count: int = 0
    read_bytes: int = 0
    bad: list[BadPiece] = field(default_factory=list)
    is_away: bool = False

    @property
    def cured_count(self) -> int:
        return sum(each.cure is not None and each.cure.is_cured for each in self.bad)


class PieceInspector:
    """For one thread. Every write is under the fence, and repeating any of it is harmless."""

    def __init__(
        self, store: Store, checker: PieceChecker, *, fence: Fence, healer: Healer | None = None
    ) -> None:
        """Without `healer` bad pieces are only marked."""
        self._store = store
        self._checker = checker
        self._fence = fence
        self._healer = healer

    def inspect(
        self,
        pieces: Sequence[StandingPiece],
        depth: Depth,
        *,
        also: Callable[[Tx, Inspected], None] = lambda tx, inspected: None,
    ) -> Inspected:
        """`also` is part of the transaction that writes what was found. Raises LeaseLost and what a write raises."""
        inspected = Inspected()
        good: list[StandingPiece] = []
        for piece in pieces:
            try:
                verdict = self._checker.check_standing(piece, depth)
            except BackendUnavailable as error:
                _log.warning("piece.unreached", extra={"backend": error.backend, "error": str(error)})
                inspected.is_away = True
                break
            inspected.seen_count += 1
            if verdict is None:
                continue
            inspected.read_bytes += verdict.read_bytes
            if verdict.fault is not None:
                inspected.bad.append(BadPiece(piece=piece, verdict=verdict, cure=None))
            elif depth is Depth.FULL:
                good.append(piece)
        self._store.write(lambda tx: self._write(tx, good, inspected, also))
        for each in inspected.bad:
            _tell(each)
        if self._healer is not None:
            inspected.bad = [self._cured(self._healer, each) for each in inspected.bad]
        return inspected

    def _write(
        self,
        tx: Tx,
        good: Sequence[StandingPiece],
        inspected: Inspected,
        also: Callable[[Tx, Inspected], None],
    ) -> None:
        self._fence(tx)
        mark_verified(tx, [each.location for each in good])
        for each in inspected.bad:
            _distrust(tx, each)
        also(tx, inspected)

    def _cured(self, healer: Healer, bad: BadPiece) -> BadPiece:
        if bad.verdict.fault is PieceFault.SIZE and bad.verdict.is_readable:
            # Its bytes are where they belong: the row is for reconciling to put right.
            return bad
        cure = healer.heal(bad.piece, is_readable=bad.verdict.is_readable)
        if not cure.is_cured:
            # Its bytes were asked for once more, and whoever did takes what is not there for merely suspect.
            self._store.write(lambda tx: self._distrust_again(tx, bad))
        return BadPiece(piece=bad.piece, verdict=bad.verdict, cure=cure)

    def _distrust_again(self, tx: Tx, bad: BadPiece) -> None:
        self._fence(tx)
        _distrust(tx, bad)


def _distrust(tx: Tx, bad: BadPiece) -> None:
    # A bad size or card is no reason to distrust bytes that were read and are good.
    if not bad.verdict.is_readable:
        is_missing = bad.verdict.fault is PieceFault.MISSING
        mark_location(tx, bad.piece.location, LocationState.LOST if is_missing else LocationState.SUSPECT)


def _tell(bad: BadPiece) -> None:
    location, verdict = bad.piece.location, bad.verdict
    assert verdict.fault is not None
    _log.error(
        "piece.bad",
        extra={
            "backend_id": location.backend_id,
            "storage_key": loggable(location.storage_key),
            "blob_id": location.blob_id.hex(),
            "fault": verdict.fault.name.lower(),
            "detail": verdict.detail,
        },
    )
