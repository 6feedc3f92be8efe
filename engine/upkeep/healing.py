"""Making a bad piece anew from whichever piece of its blob can still be read whole."""

import logging
from dataclasses import replace
from functools import partial

from engine.clock import Clock
from engine.metadata.moves import Movable
from engine.metadata.pieces import StandingPiece
from engine.metadata.store import Store
from engine.metadata.versions import read_locations
from engine.placement.health import HealthBoard
from engine.placement.policy import Routing
from engine.records import LocationState
from engine.upkeep.long_work import Fence, Pace
from engine.upkeep.moved_cards import MovedCards
from engine.upkeep.moved_pieces import Announcer, BackendRegistry
from engine.upkeep.moving import PieceMover
from engine.upkeep.piece_inspection import Cure
from engine.upkeep.targets import Targets

_log = logging.getLogger(__name__)


class PieceHealer:
    """Heals pieces one at a time. For one thread.

    The fresh copy gets a key of its own, on the same backend or on another that is apart from the blob's other pieces;
    the old bytes go to cleanup once the row names the fresh ones. Whatever is interrupted leaves the row as it was.
    """

    def __init__(
        self,
        store: Store,
        backends: BackendRegistry,
        health: HealthBoard,
        *,
        routing: Routing,
        announcer: Announcer,
        cards: MovedCards,
        fence: Fence,
        pace: Pace,
        clock: Clock,
        grace_us: int,
    ) -> None:
        self._store = store
        self._backends = backends
        self._health = health
        self._routing = routing
        self._mover = PieceMover(
            store,
            backends,
            announcer=announcer,
            cards=cards,
            fence=fence,
            pace=pace,
            clock=clock,
            grace_us=grace_us,
            reason="healed",
            reads_back=True,
        )

    def heal(self, piece: StandingPiece, /, *, is_readable: bool) -> Cure:
        """`is_readable`: its own bytes are good, and only what stands beside them is not.

        Raises LeaseLost and what a write raises.
        """
        location = piece.location
        now = self._store.read(partial(read_locations, blob_id=location.blob_id))
        # Bytes that were found bad are tried last of all: they may have been a hiccup of the disk.
        state = LocationState.LIVE if is_readable else LocationState.LOST
        movable = Movable(
            location=replace(location, state=state),
            blob=piece.blob,
            others=tuple(each for each in now if each.piece_index != location.piece_index),
        )
        targets = Targets(self._store, self._backends, self._health, routing=self._routing, sources=())
        moved = self._mover.move([movable], targets)
        if moved.moved_count:
            _log.warning(
                "piece.healed",
                extra={"storage_key": location.storage_key, "blob_id": location.blob_id.hex()},
            )
            return Cure(is_cured=True, what="made anew from a good copy")
        if not moved.unmoved:
            return Cure(is_cured=True, what="moved or freed meanwhile")
        (unmoved,) = moved.unmoved
        detail = f": {unmoved.detail}" if unmoved.detail else ""
        return Cure(is_cured=False, what=f"not healed, {unmoved.why.value}{detail}")
