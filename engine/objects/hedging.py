"""When a second copy is asked for the same bytes: how long each store is waited for first, and how often it is done."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

from engine.backends.base import PieceReader
from engine.clock import Clock
from engine.errors import BackendError, BackendLate
from engine.objects.degradations import Degradation, Degradations
from engine.placement.health import HealthBoard
from engine.records import Location

AFTER_MIN_S = 0.02
"""A store is waited for as long as 95 of its last 100 answers took, never less than this,"""

AFTER_MAX_S = 1.0
"""nor more than this,"""

AFTER_FIRST_S = 0.5
"""and for so long while too few answers were seen."""

PATIENCE_S = 1.5
"""A store that begins no answer for so long, while another copy stands, is left for that one, and asked after it."""

SAMPLE_COUNT = 128
SAMPLE_COUNT_MIN = 16

HEDGED_PART = 0.1
"""Part of the questions that may be put to a second store as well: a slow day does not double the load."""

HEDGED_AT_ONCE_MAX = 16
"""So many at a time, after a quiet time."""

ASKING_COUNT_MAX = 64
"""Questions of one process that threads of their own wait for; further ones are not hedged."""


@dataclass(slots=True, kw_only=True)
class HedgeCounts:
    """Of one process since its start; threads that count at the same moment may lose one.

    `won`: the second copy answered first; `lost`: it did not; `refused`: too many had been asked already.
    """

    won_count: int = 0
    lost_count: int = 0
    refused_count: int = 0


class AnswerTimes:
    """How long one store took to begin its answers lately. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._took_s: deque[float] = deque(maxlen=SAMPLE_COUNT)
        self._fresh_count = 0
        self.is_known = False
        self.hedge_after_s = 0.0

    def note(self, took_s: float) -> None:
        with self._lock:
            self._took_s.append(took_s)
            self._fresh_count += 1
            if self._fresh_count >= SAMPLE_COUNT_MIN:
                self._fresh_count = 0
                ordered = sorted(self._took_s)
                p95_s = ordered[len(ordered) * 95 // 100]
                self.hedge_after_s = min(max(p95_s, AFTER_MIN_S), AFTER_MAX_S)
                self.is_known = True


class HedgeBudget:
    """What questions pay in and second ones take out. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = float(HEDGED_AT_ONCE_MAX)

    def asked(self) -> None:
        with self._lock:
            self._left = min(self._left + HEDGED_PART, float(HEDGED_AT_ONCE_MAX))

    def take(self) -> bool:
        """Whether one more may be put."""
        with self._lock:
            if self._left < 1.0:
                return False
            self._left -= 1.0
            return True

    def give_back(self) -> None:
        """One that was taken is not put after all."""
        with self._lock:
            self._left += 1.0


class Question:
    """Bytes of one piece that a thread of its own asks for. Its owner takes the reader back at the end, or gives up."""

    def __init__(self, location: Location, reader: PieceReader, *, is_all: bool = False) -> None:
        """`is_all`: nothing behind the bytes that are asked for will be read."""
        self.location = location
        self.reader = reader
        self._is_all = is_all
        self.error: BaseException | None = None
        self._lock = threading.Lock()
        self._is_over = False
        self._is_given_up = False

    def give_up(self) -> None:
        """Nobody wants the answer: its bytes are not read. The reader is closed, now or when its thread is done."""
        with self._lock:
            self._is_given_up = True
            is_over = self._is_over
        if is_over:
            self.reader.close()

    def put(self, offset: int, size_bytes: int, patience_s: float) -> None:
        try:
            self.reader.ask(offset, size_bytes, patience_s=patience_s, is_all=self._is_all)
        except BaseException as error:  # told to the one who waits
            self.error = error

    def ended(self) -> bool:
        """Whether somebody waits for it."""
        with self._lock:
            self._is_over = True
            is_given_up = self._is_given_up
        if is_given_up:
            self.reader.close()
        return not is_given_up


class Hedges:
    """What one process knows of its stores' answers, and its threads that wait for them. Safe for many threads."""

    def __init__(
        self,
        *,
        health: HealthBoard,
        degradations: Degradations,
        clock: Clock,
        after_first_s: float = AFTER_FIRST_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.patience_s = patience_s
        self._after_first_s = after_first_s
        self.counts = HedgeCounts()
        self.budget = HedgeBudget()
        self._health = health
        self._degradations = degradations
        self._clock = clock
        self._times: dict[int, AnswerTimes] = {}
        self._free = threading.BoundedSemaphore(ASKING_COUNT_MAX)
        self._threads = ThreadPoolExecutor(ASKING_COUNT_MAX, thread_name_prefix="ask")

    def after_s(self, backend_id: int) -> float:
        """How long that store is waited for before another is asked as well."""
        times = self._times.get(backend_id)
        return times.hedge_after_s if times is not None and times.is_known else self._after_first_s

    def put(
        self, question: Question, offset: int, size_bytes: int, ended: "SimpleQueue[Question]", /
    ) -> bool:
        """Put a question from another thread, which tells `ended` at its end; false: none is free."""
        self.budget.asked()

        def run() -> None:
            began_s = self._clock.monotonic_s()
            question.put(offset, size_bytes, self.patience_s)
            self._learn(question, self._clock.monotonic_s() - began_s)
            if question.ended():
                ended.put(question)
            else:
                self._blame(question)

        return self._begin(run)

    def put_ahead(
        self, question: Question, offset: int, size_bytes: int, ended: "SimpleQueue[Question]", /
    ) -> bool:
        """As `put`, for bytes that nobody waits for yet: how long it takes says little."""

        def run() -> None:
            question.put(offset, size_bytes, self.patience_s)
            if question.ended():
                ended.put(question)

        return self._begin(run)

    def late(self, location: Location) -> None:
        """The store is the last choice for a while: whoever reads next need not find out as well."""
        self._degradations.note(
            Degradation.BACKEND_LATE, blob_id=location.blob_id.hex(), backend_id=location.backend_id
        )
        self._health.late(location.backend_id)

    def close(self) -> None:
        """Wait for the questions under way: they end by their patience."""
        self._threads.shutdown()

    def _begin(self, task: Callable[[], None]) -> bool:
        if not self._free.acquire(blocking=False):
            return False

        def run() -> None:
            try:
                task()
            finally:
                self._free.release()

        try:
            self._threads.submit(run)
        except RuntimeError:
            # The process is about to end.
            self._free.release()
            return False
        return True

    def _learn(self, question: Question, took_s: float) -> None:
        backend_id = question.location.backend_id
        if question.error is None:
            self._health.succeeded(backend_id)
        elif not isinstance(question.error, BackendLate):
            return
        self._times.setdefault(backend_id, AnswerTimes()).note(took_s)

    def _blame(self, question: Question) -> None:
        """Of one that was given up: nobody else says what came of it."""
        if isinstance(question.error, BackendLate):
            self.late(question.location)
        elif isinstance(question.error, BackendError):
            self._health.failed(question.location.backend_id)
