"""Emptying a backend: its pieces are moved to others one page after the other, until a recount finds none.

The state is the fence: a draining backend takes no pieces any more, so what lies on it only grows less. The last
recount and the state `drained` are one transaction, which waits for all that saw the backend take pieces.
"""

import itertools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

from engine.errors import BackendInState, BackendsUnavailable, DrainIncomplete
from engine.imported import is_imported
from engine.metadata import backends
from engine.metadata.moves import Movable, list_movable
from engine.metadata.quota import backend_subject, read_quota
from engine.metadata.store import Tx
from engine.names import BackendName
from engine.records import BackendState
from engine.upkeep.long_work import Extent, Fence, Pace, Step
from engine.upkeep.move_parts import MoveParts
from engine.upkeep.moved_pieces import Moved, Unmoved
from engine.upkeep.moving import UNIT_COUNT_MAX
from engine.upkeep.rewriting import Rewriting

PASS_COUNT_MAX = 5
"""Times the backend is gone through: what came before every process had seen its state is found by the second."""

WAIT_S = 1.0
WAIT_COUNT_MAX = 600
"""So many waits in a row for backends that are out of reach or full, then the drain has failed."""

SETTLE_S = 2.0
"""Processes look at states once a second. Sooner than this after the change a recount would wait for their writes."""

LEFT_COUNT_MAX = 1000
"""Pieces that are left are counted up to this."""

CANCELLED = "its drain was cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainCursor:
    """Where a drain stands: the last storage key seen to in this pass, and what came of it."""

    after: str = ""
    pass_number: int = 1
    failed_count: int = 0
    """Pieces that could not be moved in this pass."""
    wait_count: int = 0
    moved_count: int = 0
    moved_bytes: int = 0

    def write(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))


def read_drain_cursor(text: str | None) -> DrainCursor:
    return DrainCursor() if text is None else DrainCursor(**json.loads(text))


class Drain:
    """Implements `engine.upkeep.long_work.LongWork` for one backend."""

    def __init__(
        self,
        parts: MoveParts,
        *,
        backend_id: int,
        name: BackendName,
        fence: Fence,
        pace: Pace,
        rest: Callable[[float], None] = time.sleep,
    ) -> None:
        self._parts = parts
        self._store = parts.store
        self._backend_id = backend_id
        self._name = name
        self._fence = fence
        self._rest = rest
        self._mover = parts.mover(fence=fence, pace=pace, reason="drained")
        self._rewriting = Rewriting(parts.rewriter, grace_us=parts.grace_us, fence=fence, pace=pace)

    def measure(self) -> Extent:
        totals = self._store.read(partial(read_quota, subject=backend_subject(self._backend_id)))
        if totals is None:
            return Extent()
        return Extent(item_count=totals.object_count, size_bytes=totals.used_bytes)

    def step(self, cursor: str | None, /) -> Step:
        """Move the next pieces. Raises DrainIncomplete, BackendInState when somebody gave the backend another state."""
        position = read_drain_cursor(cursor)
        page = self._store.read(
            partial(list_movable, backend_id=self._backend_id, after=position.after, count_max=UNIT_COUNT_MAX)
        )
        if not page:
            return self._end_pass(position)
        known = list(itertools.takewhile(lambda each: not is_imported(each.location.storage_key), page))
        moved = self._move(known) if known else self._rewriting.move(page[0])
        waiting = next((each for each in moved.unmoved if each.why.may_pass), None)
        if waiting is not None:
            return self._wait(position, moved, waiting)
        failed_count = len(moved.unmoved)
        now = replace(
            position,
            after=page[moved.seen_count - 1].location.storage_key,
            failed_count=position.failed_count + failed_count,
            wait_count=0,
            moved_count=position.moved_count + moved.moved_count,
            moved_bytes=position.moved_bytes + moved.moved_bytes,
        )
        return self._step(now, moved, failed_count=failed_count, warnings=moved.unmoved)

    def _move(self, known: Sequence[Movable]) -> Moved:
        return self._mover.move(known, self._parts.targets(sources={self._backend_id}))

    def cancelled(self) -> None:
        """The backend takes pieces again, unless somebody has given it another state since."""

        def unit(tx: Tx) -> None:
            self._fence(tx)
            backends.lock_states(tx)
            if backends.find_standing(tx, self._backend_id).state is BackendState.DRAINING:
                backends.set_state(tx, self._backend_id, BackendState.ACTIVE, reason=CANCELLED)

        self._store.write(unit)

    def _wait(self, position: DrainCursor, moved: Moved, waiting: Unmoved) -> Step:
        """The same page once more, a moment later: what was moved is on it no longer."""
        if position.wait_count >= WAIT_COUNT_MAX:
            raise BackendsUnavailable(f"gave up after {WAIT_COUNT_MAX} waits: {waiting}")
        self._rest(WAIT_S)
        now = replace(
            position,
            wait_count=0 if moved.moved_count else position.wait_count + 1,
            moved_count=position.moved_count + moved.moved_count,
            moved_bytes=position.moved_bytes + moved.moved_bytes,
        )
        return self._step(now, moved, stage="waiting", warnings=[waiting] if position.wait_count == 0 else [])

    def _step(
        self,
        position: DrainCursor,
        moved: Moved,
        *,
        stage: str = "moving pieces",
        failed_count: int = 0,
        warnings: list[Unmoved],
    ) -> Step:
        return Step(
            cursor=position.write(),
            is_last=False,
            item_count=moved.moved_count,
            failed_count=failed_count,
            moved_bytes=moved.moved_bytes,
            stage=stage,
            warnings=tuple(map(str, warnings)),
        )

    def _end_pass(self, position: DrainCursor) -> Step:
        settles_s = self._store.write(self._settle)
        if settles_s > 0:
            self._rest(min(settles_s, WAIT_S))
            return Step(cursor=position.write(), is_last=False, stage="counting")
        left_count = self._store.write(self._finish)
        if left_count == 0:
            result = {"moved_count": position.moved_count, "moved_bytes": position.moved_bytes}
            return Step(cursor=position.write(), is_last=True, stage="drained", result=result)
        if position.failed_count >= left_count or position.pass_number >= PASS_COUNT_MAX:
            raise DrainIncomplete(
                backend=self._name,
                left_count=left_count,
                is_at_least=left_count == LEFT_COUNT_MAX,
                why="the operation's warnings say which and why",
            )
        now = replace(position, after="", failed_count=0, pass_number=position.pass_number + 1)
        return Step(cursor=now.write(), is_last=False, stage="looking again")

    def _settle(self, tx: Tx) -> float:
        """Seconds until every process has seen that the backend takes no pieces."""
        self._fence(tx)
        standing = self._standing(tx)
        return SETTLE_S - (tx.now_us() - standing.changed_at_us) / 1_000_000

    def _finish(self, tx: Tx) -> int:
        """`drained` when nothing is left; how much is."""
        self._fence(tx)
        backends.lock_states(tx)
        standing = self._standing(tx)
        backends.fence_backend(tx, self._backend_id)
        left_count = backends.count_pieces(tx, self._backend_id, count_max=LEFT_COUNT_MAX)
        if left_count == 0:
            backends.set_state(
                tx, self._backend_id, BackendState.DRAINED, reason=None, operation=standing.operation
            )
        return left_count

    def _standing(self, tx: Tx) -> backends.BackendStanding:
        standing = backends.find_standing(tx, self._backend_id)
        if standing.state is not BackendState.DRAINING:
            raise BackendInState(
                backend=self._name, state=standing.state.value, hint="it was given another state meanwhile"
            )
        return standing
