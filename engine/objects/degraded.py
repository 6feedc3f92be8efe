"""Reads that go on while the database is away: what it said of a key not long before it went."""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol

from engine.clock import Clock
from engine.errors import DatabaseUnavailable
from engine.metadata.remembered import Remembered, RememberedFile, RememberedRows
from engine.metadata.store import Row, Store
from engine.metadata.versions import gather_rows, holds_version, is_whole, read_remembered
from engine.names import BucketName, ObjectKey
from engine.objects.degradations import Degradation, Degradations
from engine.records import StoredVersion

REFRESH_S = 60.0
"""A key is written down at most so often, however often it is read."""

BATCH_COUNT = 500
WAITING_COUNT_MAX = 5_000
NOTED_COUNT_MAX = 100_000
SLICE_COUNT_MAX = 128
"""A version of more blobs is not remembered: 8 GiB of an ordinary object."""

REACHED_EVERY_S = 5.0


class Memory(Protocol):
    """What a reader leaves, and where it looks when the database is away."""

    def note(self, bucket: BucketName, key: ObjectKey, rows: tuple[Row, ...], /) -> None:
        """The database has just said this of a key. Costs next to nothing, and never raises."""

    def find(self, bucket: BucketName, key: ObjectKey, error: DatabaseUnavailable, /) -> StoredVersion:
        """What is known of a key; raises the error where nothing is."""


class NoMemory:
    """For a database that does not go away by itself."""

    def note(self, bucket: BucketName, key: ObjectKey, rows: tuple[Row, ...], /) -> None:
        """Nothing is kept."""

    def find(self, bucket: BucketName, key: ObjectKey, error: DatabaseUnavailable, /) -> StoredVersion:
        raise error


class DegradedReads:
    """Implements `Memory`. Requests only leave what they saw; `tick`, called by the process itself, writes it down.

    An entry serves when the database confirmed it within `age_max_s` before the outage began, and then until it ends.
    """

    def __init__(
        self,
        file: RememberedFile,
        store: Store,
        clock: Clock,
        degradations: Degradations,
        *,
        age_max_s: float,
        is_reached: Callable[[], bool],
    ) -> None:
        """`is_reached` tells whether the database answers, as far as the process knows."""
        self._file = file
        self._store = store
        self._clock = clock
        self._degradations = degradations
        self._age_max_us = int(age_max_s * 1_000_000)
        self._is_reached = is_reached
        self._due_s: dict[tuple[str, bytes], float] = {}
        # Each with the time at which the database said so: it is written down later, and may be old by then.
        self._waiting: deque[tuple[BucketName, ObjectKey, tuple[Row, ...], int]] = deque(
            maxlen=WAITING_COUNT_MAX
        )
        self._reached_due_s = 0.0

    def limit_age(self, age_max_s: float) -> None:
        """From now on that is how long before an outage the database must have confirmed what is served."""
        self._age_max_us = int(age_max_s * 1_000_000)

    def note(self, bucket: BucketName, key: ObjectKey, rows: tuple[Row, ...], /) -> None:
        named = (bucket, key)
        now_s = self._clock.monotonic_s()
        if self._due_s.get(named, 0.0) > now_s:
            return
        if len(self._due_s) >= NOTED_COUNT_MAX:
            self._due_s.clear()
        self._due_s[named] = now_s + REFRESH_S
        self._waiting.append((bucket, key, rows, self._clock.now_us()))

    def find(self, bucket: BucketName, key: ObjectKey, error: DatabaseUnavailable, /) -> StoredVersion:
        if self._is_reached():
            # It is there and could not, for want of a connection or for a lock: it has not fallen behind.
            raise error
        found = self._file.find(bucket, key)
        reached_us = self._file.reached_us()
        if found is None or reached_us is None or found.confirmed_us < reached_us - self._age_max_us:
            raise error
        age_s = max(0.0, (self._clock.now_us() - found.confirmed_us) / 1_000_000)
        self._degradations.note(Degradation.SERVED_WITHOUT_DATABASE, age_s=round(age_s, 1))
        return read_remembered(found.rows, bucket, key, age_s=age_s)

    def tick(self) -> None:
        """Write down what was left. Raises what a read raises; what was not written comes with the next read of it."""
        if not self._is_reached():
            # What waits was true before; the outage is counted from what the file says.
            return
        now_us, now_s = self._clock.now_us(), self._clock.monotonic_s()
        if now_s >= self._reached_due_s:
            self._reached_due_s = now_s + REACHED_EVERY_S
            self._file.note_reached(now_us)
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH_COUNT))]
        if not batch:
            return
        gone = [(bucket, key, said_us) for bucket, key, rows, said_us in batch if not holds_version(rows)]
        kept: list[tuple[str, bytes, Remembered]] = []
        for bucket, key, rows, said_us in batch:
            if holds_version(rows):
                whole = self._whole(bucket, key, rows)
                if whole is not None:
                    kept.append((bucket, key, Remembered(rows=whole, confirmed_us=said_us)))
        self._file.put(kept)
        self._file.forget(gone)

    @property
    def entry_count(self) -> int:
        """Keys that would serve."""
        return self._file.count()

    def _whole(self, bucket: BucketName, key: ObjectKey, rows: tuple[Row, ...]) -> RememberedRows | None:
        if is_whole(rows):
            return RememberedRows(version=rows)
        return self._store.read(partial(gather_rows, bucket=bucket, key=key, slice_count_max=SLICE_COUNT_MAX))
