"""The scrubber: every stored byte is read and verified once a period, a little at a time and backend by backend."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from engine.backends.base import Backend
from engine.clock import Clock
from engine.metadata import quota, scrub_passes
from engine.metadata.pieces import StandingPiece, list_bad, list_pieces
from engine.metadata.scrub_passes import ScrubPass
from engine.metadata.store import Store, Tx
from engine.records import Progress
from engine.units import DAY_S, MIB, MINUTE_S
from engine.upkeep.long_work import Fence
from engine.upkeep.piece_check import Depth
from engine.upkeep.piece_inspection import Inspected, PieceInspector

UNIT_COUNT_MAX = 100
"""Pieces passed in one unit."""

UNIT_BYTES_MAX = 16 * MIB
"""Bytes read in one unit; the piece that reaches it is the last."""

READY_FRACTION = 0.9
"""A pass means to be at its end after this part of the period, so that what delays it does not make it late."""

LOOK_AGAIN_FIRST_S = 10 * MINUTE_S
LOOK_AGAIN_MAX_S = DAY_S
"""Pauses between two looks at a piece that stays bad, doubled from one to the next."""

REMEMBERED_COUNT_MAX = 10_000
"""Bad pieces whose next look is remembered; of others every run thinks that it is the first to see them."""


class Agenda:
    """When bad pieces are looked at again, over the runs of one process. A new process looks at all of them at once."""

    def __init__(self) -> None:
        self._looks: dict[tuple[int, str], tuple[float, float]] = {}

    def is_due(self, piece: StandingPiece, now_s: float) -> bool:
        due_s, _ = self._looks.get(_place(piece), (now_s, 0.0))
        return due_s <= now_s

    def looked(self, piece: StandingPiece, now_s: float, *, is_bad: bool) -> None:
        """It was looked at; what stays bad waits longer the next time."""
        _, pause_s = self._looks.pop(_place(piece), (now_s, 0.0))
        if is_bad and len(self._looks) < REMEMBERED_COUNT_MAX:
            pause_s = min(LOOK_AGAIN_MAX_S, pause_s * 2) or LOOK_AGAIN_FIRST_S
            self._looks[_place(piece)] = (now_s + pause_s, pause_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """The backend whose pass is due to go on, and what stands behind where it has come to."""

    backend: Backend
    pieces: Sequence[StandingPiece]
    scrub_pass: ScrubPass


class Scrubber:
    """A worker unit (`work`): looks at pieces that reads found bad, then goes on with passes that are behind.

    How far a pass has come stands in the database, in the transaction that tells what was found; an interruption
    repeats a unit at most. One scrubber serves one run.
    """

    name = "scrubber"

    def __init__(
        self,
        store: Store,
        backends: Iterable[Backend],
        inspector: PieceInspector,
        *,
        agenda: Agenda,
        fence: Fence,
        clock: Clock,
        period_s: float,
    ) -> None:
        self._store = store
        self._backends = list(backends)
        self._inspector = inspector
        self._agenda = agenda
        self._fence = fence
        self._clock = clock
        self._period_us = int(period_s * 1_000_000)
        # Backends that did not answer in this run, and where the look at bad pieces has come to on each.
        self._away: set[int] = set()
        self._looked_to: dict[int, str] = {each.backend_id: "" for each in self._backends}

    def work(self) -> Progress:
        """Deferred: pieces that stay bad, and backends that did not answer."""
        for backend in self._backends:
            if backend.backend_id in self._looked_to and backend.backend_id not in self._away:
                return self._look_at_bad(backend)
        turn = self._next_turn()
        return Progress() if turn is None else self._go_on(turn)

    def _look_at_bad(self, backend: Backend) -> Progress:
        after = self._looked_to[backend.backend_id]
        page = self._store.read(
            partial(list_bad, backend_id=backend.backend_id, after=after, count_max=UNIT_COUNT_MAX)
        )
        if not page:
            del self._looked_to[backend.backend_id]
            return Progress(has_more=True)
        now_s = self._clock.monotonic_s()
        due = _unit([each for each in page if self._agenda.is_due(each, now_s)])
        inspected = self._inspector.inspect(due, Depth.FULL)
        self._note_away(backend, inspected)
        still_bad = {
            _place(each.piece) for each in inspected.bad if each.cure is None or not each.cure.is_cured
        }
        for piece in due[: inspected.seen_count]:
            self._agenda.looked(piece, now_s, is_bad=_place(piece) in still_bad)
        # Behind the last that was due and looked at; with none due, behind the page.
        last = due[-1] if due else page[-1]
        self._looked_to[backend.backend_id] = last.location.storage_key
        return Progress(
            done_count=inspected.seen_count - len(still_bad),
            deferred_count=len(still_bad) + inspected.is_away,
            has_more=True,
        )

    def _next_turn(self) -> _Turn | None:
        passes = self._store.read(scrub_passes.list_passes)
        for backend in self._backends:
            if backend.backend_id in self._away:
                continue
            scrub_pass = passes.get(backend.backend_id)
            if scrub_pass is None or self._is_over(scrub_pass):
                self._store.write(partial(self._begin, backend_id=backend.backend_id))
                scrub_pass = self._store.read(scrub_passes.list_passes)[backend.backend_id]
            if scrub_pass.ended_at_us is not None or not self._is_behind(scrub_pass):
                continue
            pieces = self._store.read(
                partial(
                    list_pieces,
                    backend_id=backend.backend_id,
                    after=scrub_pass.cursor,
                    count_max=UNIT_COUNT_MAX,
                )
            )
            return _Turn(backend=backend, pieces=pieces, scrub_pass=scrub_pass)
        return None

    def _is_over(self, scrub_pass: ScrubPass) -> bool:
        has_ended = scrub_pass.ended_at_us is not None
        return has_ended and self._clock.now_us() - scrub_pass.begun_at_us >= self._period_us

    def _is_behind(self, scrub_pass: ScrubPass) -> bool:
        """Whether less has passed than the time since the pass began asks for."""
        elapsed_us = self._clock.now_us() - scrub_pass.begun_at_us
        part = elapsed_us / (READY_FRACTION * self._period_us) if self._period_us else 1.0
        if part >= 1.0:
            return True
        totals = self._store.read(
            partial(quota.read_quota, subject=quota.backend_subject(scrub_pass.backend_id))
        )
        return scrub_pass.passed_bytes < part * (0 if totals is None else totals.used_bytes)

    def _begin(self, tx: Tx, *, backend_id: int) -> None:
        self._fence(tx)
        scrub_passes.begin_pass(tx, backend_id)

    def _end(self, tx: Tx, *, backend_id: int) -> None:
        self._fence(tx)
        scrub_passes.end_pass(tx, backend_id)

    def _go_on(self, turn: _Turn) -> Progress:
        backend_id = turn.backend.backend_id
        if not turn.pieces:
            self._store.write(partial(self._end, backend_id=backend_id))
            return Progress(has_more=True)
        # What others wrote, moved or verified since the pass began needs no second look.
        unit = _unit(turn.pieces, since_us=turn.scrub_pass.begun_at_us)
        to_read = [each for each in unit if each.verified_at_us < turn.scrub_pass.begun_at_us]

        def advance(tx: Tx, inspected: Inspected) -> None:
            passed = unit
            if inspected.is_away:
                passed = unit[: unit.index(to_read[inspected.seen_count])]
            if passed:
                scrub_passes.advance_pass(
                    tx,
                    backend_id,
                    cursor=passed[-1].location.storage_key,
                    piece_count=len(passed),
                    passed_bytes=sum(each.location.stored_bytes for each in passed),
                    bad_count=len(inspected.bad),
                )

        inspected = self._inspector.inspect(to_read, Depth.FULL, also=advance)
        self._note_away(turn.backend, inspected)
        return Progress(
            done_count=inspected.seen_count - len(inspected.bad) + inspected.cured_count,
            deferred_count=len(inspected.bad) - inspected.cured_count + inspected.is_away,
            has_more=True,
        )

    def _note_away(self, backend: Backend, inspected: Inspected) -> None:
        if inspected.is_away:
            self._away.add(backend.backend_id)


def _unit(pieces: Sequence[StandingPiece], *, since_us: int = 2**62) -> list[StandingPiece]:
    """The first pieces, as many as may be read at once; those verified since then are not read."""
    unit: list[StandingPiece] = []
    read_bytes = 0
    for each in pieces:
        if read_bytes >= UNIT_BYTES_MAX:
            break
        unit.append(each)
        read_bytes += each.blob.stored_bytes if each.verified_at_us < since_us else 0
    return unit


def _place(piece: StandingPiece) -> tuple[int, str]:
    return piece.location.backend_id, piece.location.storage_key
