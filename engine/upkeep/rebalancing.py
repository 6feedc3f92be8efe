"""Evening out how full backends are, or packing them: pieces move from those with too much to those with too little.

What is to be moved is reckoned anew before every step, from the accounts: writes go on meanwhile. A piece that has no
other place to go, or is larger than what is to be moved, stays; so does one that was written after the beginning, or
clients that write faster than pieces move would keep it busy for ever.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial

from engine.backends.registry import volume_in
from engine.clock import made_at_us
from engine.errors import BackendError
from engine.metadata.moves import Movable, list_movable
from engine.metadata.store import Store
from engine.placement.evening import Fill, Move, fractions, level, plan_moves
from engine.placement.policy import Routing
from engine.records import BackendState
from engine.upkeep.long_work import Extent, Fence, Pace, Step
from engine.upkeep.move_parts import MoveParts
from engine.upkeep.moved_pieces import BackendRegistry, Why
from engine.upkeep.moving import UNIT_COUNT_MAX
from engine.upkeep.targets import SeenBackend, see_backends

NO_END_US = 2**63 - 1

PAGES_AT_ONCE_MAX = 40
"""Pages of which nothing is moved pass so many a step: faster than clients write new ones."""

REBALANCE_METHOD = "penstock.admin.v1.RebalanceService/RunRebalance"


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalanceOrder:
    """How it is to be. `threshold` is a part of a backend's room; `bytes_max` null moves whatever there is."""

    strategy: Routing
    threshold: float
    bytes_max: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalanceCursor:
    """The last storage key seen to on each backend that gave pieces, by its id, and what was moved.

    `began_at_us` is 0 in one that was written before it was kept: then all pieces count.
    """

    after: Mapping[str, str] = field(default_factory=dict)
    over: tuple[str, ...] = ()
    """Ids of those that have been gone through."""
    moved_count: int = 0
    moved_bytes: int = 0
    began_at_us: int = 0

    def write(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))


def read_rebalance_cursor(text: str | None) -> RebalanceCursor:
    if text is None:
        return RebalanceCursor()
    told = json.loads(text)
    return RebalanceCursor(**{**told, "over": tuple(told["over"])})


def read_fills(store: Store, backends: BackendRegistry) -> list[Fill]:
    """How full every active backend is, in the order in which they were made. Raises what a read raises."""
    return [
        Fill(
            backend_id=each.row.backend_id,
            used_bytes=0 if each.totals is None else each.totals.used_bytes,
            capacity_bytes=_capacity(each, backends),
        )
        for each in store.read(see_backends)
        if each.row.state is BackendState.ACTIVE and each.row.is_registered
    ]


class Rebalance:
    """Implements `engine.upkeep.long_work.LongWork`."""

    def __init__(self, parts: MoveParts, order: RebalanceOrder, *, fence: Fence, pace: Pace) -> None:
        self._parts = parts
        self._order = order
        self._mover = parts.mover(fence=fence, pace=pace, reason="rebalanced")

    def measure(self) -> Extent:
        wanted_bytes = sum(move.size_bytes for move in self._moves(RebalanceCursor()))
        bytes_max = self._order.bytes_max
        return Extent(size_bytes=wanted_bytes if bytes_max is None else min(wanted_bytes, bytes_max))

    def step(self, cursor: str | None, /) -> Step:
        """Move the next pieces of the first move that is left."""
        if cursor is None:
            position = RebalanceCursor(began_at_us=self._parts.clock.now_us())
        else:
            position = read_rebalance_cursor(cursor)
        moves = self._moves(position)
        bytes_max = self._order.bytes_max
        left_bytes = None if bytes_max is None else bytes_max - position.moved_bytes
        if not moves or (left_bytes is not None and left_bytes <= 0):
            result = {"moved_count": position.moved_count, "moved_bytes": position.moved_bytes}
            return Step(cursor=position.write(), is_last=True, stage="even", result=result)
        source_id = moves[0].source_id
        targets = {move.target_id: move.size_bytes for move in moves if move.source_id == source_id}
        wanted_bytes = sum(targets.values()) if left_bytes is None else min(sum(targets.values()), left_bytes)
        return self._move(position, source_id, targets, wanted_bytes)

    def cancelled(self) -> None:
        """Every piece that was moved is as well off where it is."""

    def _moves(self, position: RebalanceCursor) -> list[Move]:
        fills = read_fills(self._parts.store, self._parts.backends)
        moves = plan_moves(fills, strategy=self._order.strategy, threshold=self._order.threshold)
        return [move for move in moves if str(move.source_id) not in position.over]

    def _move(
        self, position: RebalanceCursor, source_id: int, targets: Mapping[int, int], wanted_bytes: int
    ) -> Step:
        source = str(source_id)
        after = position.after.get(source, "")
        taken: list[Movable] = []
        for _ in range(PAGES_AT_ONCE_MAX):
            page = self._parts.store.read(
                partial(list_movable, backend_id=source_id, after=after, count_max=UNIT_COUNT_MAX)
            )
            if not page:
                now = replace(position, over=(*position.over, source))
                return Step(cursor=now.write(), is_last=False, stage="moving pieces")
            taken, seen_count = _take(
                page,
                wanted_bytes,
                largest_bytes=max(targets.values()),
                newest_at_us=position.began_at_us or NO_END_US,
            )
            if seen_count:
                after = page[seen_count - 1].location.storage_key
            if taken or seen_count < len(page):
                break
        moved = self._mover.move(
            taken, self._parts.targets(sources={source_id}, allowed=targets.__contains__)
        )
        if moved.seen_count < len(taken):
            # The unit was over before the last of them: go on behind the last one that was seen to.
            after = taken[moved.seen_count - 1].location.storage_key
        bad = [each for each in moved.unmoved if each.why is Why.UNREADABLE]
        now = replace(
            position,
            after={**position.after, source: after},
            moved_count=position.moved_count + moved.moved_count,
            moved_bytes=position.moved_bytes + moved.moved_bytes,
        )
        return Step(
            cursor=now.write(),
            is_last=False,
            item_count=moved.moved_count,
            failed_count=len(bad),
            moved_bytes=moved.moved_bytes,
            stage="moving pieces",
            warnings=tuple(map(str, bad)),
        )


def imbalance(fills: list[Fill]) -> float:
    """How far the fill that is furthest from the level is from it."""
    target = level(fills)
    return max((abs(fraction - target) for fraction in fractions(fills).values()), default=0.0)


def _take(
    page: list[Movable], wanted_bytes: int, *, largest_bytes: int, newest_at_us: int
) -> tuple[list[Movable], int]:
    """The first pieces that make up what is wanted and do not go beyond it, and how many were looked at.

    One that is larger than all of it, or newer, is passed over; one that only has no room any more waits for the next
    step.
    """
    taken: list[Movable] = []
    left_bytes = wanted_bytes
    for index, movable in enumerate(page):
        size_bytes = movable.location.stored_bytes
        if size_bytes > min(wanted_bytes, largest_bytes) or made_at_us(movable.blob.blob_id) > newest_at_us:
            continue
        if size_bytes > left_bytes:
            return taken, index
        taken.append(movable)
        left_bytes -= size_bytes
    return taken, len(page)


def _capacity(seen: SeenBackend, backends: BackendRegistry) -> int | None:
    """The limit of its account, else what it holds and its disk still takes."""
    totals = seen.totals
    if totals is not None and totals.limit_bytes is not None:
        return totals.limit_bytes
    try:
        volume = volume_in(backends.get(seen.row.backend_id))
        if volume is not None:
            return (0 if totals is None else totals.used_bytes) + volume.disk_room().free_bytes
    except BackendError:
        pass
    return None
