"""Imported blobs moved by being rewritten, one at a time: what becomes of each is told as moving tells it."""

from engine.backends.copying import SourceFailed
from engine.errors import (
    BackendsUnavailable,
    BelowWriteQuorum,
    NoSpaceAnywhere,
    NotEnoughDomains,
    PieceCorrupt,
    PieceMissing,
)
from engine.metadata.moves import Movable
from engine.upkeep.long_work import Fence, Pace
from engine.upkeep.moved_pieces import Moved, Rewriter, Unmoved, Why


class Rewriting:
    """For one thread. Repeating it is harmless: a blob that was rewritten is gone."""

    def __init__(self, rewriter: Rewriter | None, *, grace_us: int, fence: Fence, pace: Pace) -> None:
        """Without `rewriter` they stay. `grace_us` is how long readers of old pieces may still come."""
        self._rewriter = rewriter
        self._grace_us = grace_us
        self._fence = fence
        self._pace = pace

    def move(self, movable: Movable) -> Moved:
        """Its bytes lie on other backends afterwards, as many times as its bucket asks for. Raises LeaseLost."""
        moved = Moved(seen_count=1)
        unmoved = self._rewrite(movable)
        if unmoved is None:
            moved.moved_count, moved.moved_bytes = 1, movable.blob.size_bytes
        else:
            moved.unmoved.append(unmoved)
        return moved

    def _rewrite(self, movable: Movable) -> Unmoved | None:
        if self._rewriter is None:
            return Unmoved(movable=movable, why=Why.IMPORTED)
        try:
            is_done = self._rewriter.rewrite(
                movable.blob,
                movable.location,
                fence=self._fence,
                before_bytes=self._pace.take,
                grace_us=self._grace_us,
            )
        except SourceFailed as failure:
            is_gone = isinstance(failure.error, PieceCorrupt | PieceMissing)
            why = Why.UNREADABLE if is_gone else Why.AWAY
            return Unmoved(movable=movable, why=why, detail=str(failure))
        except NotEnoughDomains as error:
            return Unmoved(movable=movable, why=Why.NO_DOMAIN, detail=str(error))
        except NoSpaceAnywhere as error:
            return Unmoved(movable=movable, why=Why.NO_ROOM, detail=str(error))
        except (BackendsUnavailable, BelowWriteQuorum) as error:
            return Unmoved(movable=movable, why=Why.AWAY, detail=str(error))
        return None if is_done else Unmoved(movable=movable, why=Why.LEAVING)
