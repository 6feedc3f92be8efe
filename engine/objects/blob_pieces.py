"""Which piece of a blob serves next: the best one not found wanting, then the next, then a second look at the rows.

Stores that are left alone by now come behind those that are asked, and before those that were late: they are tried all
the same, once a read, since one of them may be back.
"""

from collections.abc import Collection
from queue import SimpleQueue

from engine.backends.base import PieceReader
from engine.cache.blobs import CachedBlob, CacheFill
from engine.errors import (
    BackendError,
    BackendLate,
    BackendOverLimit,
    BackendShut,
    BackendsUnavailable,
    BackendUnavailable,
    CorruptEverywhere,
    EngineError,
    PieceCorrupt,
    PieceMissing,
    UsageLimitReached,
)
from engine.objects.degradations import Degradation
from engine.objects.hedged_reader import HedgedReader
from engine.objects.hedging import Question
from engine.objects.piece_choice import PieceChoice
from engine.objects.stored_parts import stored_part
from engine.records import Location, StoredSlice

ASK_PATIENCE_S = 10.0
"""How long a store is waited for that is asked for all of a blob."""


class BlobPieces:
    """The pieces of one blob: `current` serves until `failed` is told otherwise."""

    def __init__(self, choice: PieceChoice, stored: StoredSlice, *, unverified: Collection[int] = ()) -> None:
        """Blocks of a plain blob that lie on backends in `unverified` leave unchecked."""
        self._choice = choice
        self._blob = stored.blob
        self._unverified = () if stored.blob.is_sealed else unverified
        self._waiting = choice.in_order(stored.blob.blob_id, tuple(stored.locations))
        self._tried: set[str] = set()
        # Left for another copy, not given up: they come last, and are waited for then.
        self._late: set[str] = set()
        # Not asked yet, since their stores are left alone: they are when no other is left.
        self._shut: set[str] = set()
        self._errors: list[BackendError] = []
        self._is_told_unverified = False
        self._has_read_again = False
        self._open: tuple[Location, PieceReader] | None = None
        # Asked for by a thread of its own, which has the open reader until it ends.
        self._ahead: tuple[Question, SimpleQueue[Question]] | None = None
        self._is_left = False
        self._cache = choice.cache_for(tuple(stored.locations))
        self._cached: CachedBlob | None = None
        self._fill: CacheFill | None = None
        if self._cache is not None:
            self._cached = self._cache.open(self._blob.blob_id, self._blob.stored_bytes)

    @property
    def may_wait(self) -> bool:
        """Whether going on may take a look at the rows, or wait for an answer: nothing for a thread that must not."""
        return bool(self._errors or self._late or self._shut) or self._ahead is not None

    @property
    def is_verified(self) -> bool:
        """Whether what the current piece serves is checked before it leaves."""
        return self._open is None or self._open[0].backend_id not in self._unverified

    @property
    def is_far(self) -> bool:
        """Whether the current piece lies across a network."""
        return self._open is not None and self._choice.is_far(self._open[0].backend_id)

    def current(self) -> PieceReader:
        """The open piece, opened if need be.

        Raises BackendsUnavailable, CorruptEverywhere, UsageLimitReached, Overloaded.
        """
        if self._cached is not None:
            return self._cached
        if self._ahead is not None:
            self._take_answer()
        while self._open is None:
            location = self._next()
            self._tried.add(location.storage_key)
            is_trial = location.storage_key in self._shut
            try:
                backend = self._choice.backend_of(location)
                reader = backend.open_reader(
                    location.storage_key, self._blob.stored_bytes, is_last_choice=is_trial
                )
            except BackendError as error:
                self.blame(location, error)
                continue
            if is_trial:
                self._choice.tries_shut(location)
            # Who is the only one left is waited for, unless it is tried against all experience.
            may_be_left = is_trial or (bool(self._waiting) and location.storage_key not in self._late)
            if backend.needs_intents and may_be_left:
                reader = HedgedReader(self, self._choice.hedges, location, reader, backend=backend.name)
            self._open = (location, reader)
        return self._open[1]

    def failed(self, error: BackendError) -> None:
        """The current piece did not serve; the next call of `current` gives another one."""
        if self._cached is not None:
            self._leave_cache()
            return
        assert self._open is not None
        location, reader = self._open
        self._open = None
        reader.close()
        self.blame(location, error)

    def found_corrupt(self, what: str) -> None:
        """The current piece's bytes do not verify."""
        self.failed(PieceCorrupt(what, backend=self._where))

    def lost(self, error: OSError | None) -> None:
        """The current piece's file has not given bytes that it has: reading failed, or, with null, it ended."""
        if error is None:
            self.found_corrupt("the file ends within the piece")
        else:
            self.failed(BackendUnavailable(f"reading failed: {error.strerror}", backend=self._where))

    @property
    def _where(self) -> str:
        return "cache" if self._open is None else str(self._open[0].backend_id)

    def verified(self, offset: int, payload: memoryview) -> None:
        """Stored bytes from `offset` on were found good, which a cache may want."""
        if self._cache is None or self._cached is not None:
            return
        if offset == 0 and self._fill is None:
            self._fill = self._cache.begin(self._blob.blob_id, self._blob.stored_bytes)
        if self._fill is not None:
            self._fill.verified(offset, payload)

    def unverified(self) -> None:
        """Stored bytes go out that nothing is held against, or could be; told once a blob that is read."""
        if not self._is_told_unverified:
            self._is_told_unverified = True
            kind = Degradation.VERIFICATION_OFF if self._blob.has_checksums else Degradation.UNVERIFIED
            self._choice.degradations.note(kind, blob_id=self._blob.blob_id.hex())

    def ask_ahead(self, offset: int, length: int) -> None:
        """Ask a store across a network for what is read of the blob soon, and wait for nothing. Raises nothing."""
        if (
            self._cached is not None
            or not self._waiting
            or not self._choice.is_far(self._waiting[0].backend_id)
        ):
            return
        try:
            self.current()
        except EngineError:
            # Whoever reads will be told.
            return
        assert self._open is not None
        question = Question(*self._open, is_all=not self.is_verified)
        ended: SimpleQueue[Question] = SimpleQueue()
        start, stop = self._part(offset, length)
        if self._choice.hedges.put_ahead(question, start, stop - start, ended):
            self._ahead = (question, ended)

    def ask(self, offset: int, length: int) -> None:
        """Ask for all that will be read of the blob, from whichever piece serves. Raises what `current` raises."""
        while True:
            try:
                piece = self.current()
                start, stop = self._part(offset, length)
                piece.ask(start, stop - start, patience_s=ASK_PATIENCE_S, is_all=not self.is_verified)
                return
            except BackendError as error:
                self.failed(error)

    def _part(self, offset: int, length: int) -> tuple[int, int]:
        """Of the current piece: to check blocks takes all of them."""
        return stored_part(self._blob, offset, length) if self.is_verified else (offset, offset + length)

    def _take_answer(self) -> None:
        """Wait for what was asked ahead: it ends by its patience."""
        assert self._ahead is not None
        question = self._ahead[1].get()
        self._ahead = None
        if isinstance(question.error, BackendError):
            self.failed(question.error)
        elif question.error is not None:
            raise question.error

    def close(self) -> None:
        """Give the open piece back; a second call does nothing."""
        if self._ahead is not None:
            # Its thread closes the piece.
            self._ahead[0].give_up()
            self._ahead, self._is_left = None, True
        if self._cached is not None:
            self._cached.close()
        if self._fill is not None:
            self._fill.close()
        if self._open is not None and not self._is_left:
            self._open[1].close()
            self._open = None

    def _leave_cache(self) -> None:
        """What was kept is damaged: the backend is asked, as if nothing had been."""
        assert self._cache is not None
        assert self._cached is not None
        self._cached.close()
        self._cached = None
        self._cache.drop(self._blob.blob_id)

    # --- what a hedged reader asks (`engine.objects.hedged_reader.OtherCopies`) ---

    def has_rival(self) -> bool:
        return any(self._may_race(each) for each in self._waiting)

    def open_rival(self) -> tuple[Location, PieceReader] | None:
        for location in [each for each in self._waiting if self._may_race(each)]:
            self._waiting.remove(location)
            self._tried.add(location.storage_key)
            try:
                backend = self._choice.backend_of(location)
                return location, backend.open_reader(location.storage_key, self._blob.stored_bytes)
            except BackendError as error:
                self.blame(location, error)
        return None

    def return_rival(self, location: Location) -> None:
        self._tried.discard(location.storage_key)
        self._waiting.insert(0, location)

    def blame(self, location: Location, error: BackendError) -> None:
        if isinstance(error, BackendShut) and location.storage_key not in self._shut:
            self._put_behind_others(location)
        elif isinstance(error, BackendLate) and location.storage_key not in self._late | self._shut:
            self._leave_for_last(location)
        else:
            self._errors.append(error)
        self._choice.failed(location, error)

    def switch(self, location: Location, *, after: BackendError | None) -> None:
        assert self._open is not None
        before, reader = self._open
        if after is None:
            self._leave_for_last(before)
        else:
            self.blame(before, after)
        self._open = (location, reader)

    def _may_race(self, location: Location) -> bool:
        is_fresh = location.storage_key not in self._tried and location.storage_key not in self._late
        return is_fresh and self._choice.may_race(location)

    def _leave_for_last(self, location: Location) -> None:
        self._late.add(location.storage_key)
        self._tried.discard(location.storage_key)
        self._waiting.append(location)

    def _put_behind_others(self, location: Location) -> None:
        self._shut.add(location.storage_key)
        self._tried.discard(location.storage_key)
        asked_count = sum(each.storage_key not in self._late for each in self._waiting)
        self._waiting.insert(asked_count, location)

    def _next(self) -> Location:
        while True:
            while self._waiting:
                location = self._waiting.pop(0)
                if location.storage_key not in self._tried:
                    return location
            if self._has_read_again:
                raise self._verdict()
            # Compaction or a heal may have moved what was not found; freed pieces read as zeros.
            self._has_read_again = True
            now = self._choice.read_again(self._blob.blob_id)
            self._waiting = self._choice.in_order(self._blob.blob_id, now)

    def _verdict(self) -> BackendsUnavailable | CorruptEverywhere | UsageLimitReached:
        over = [error for error in self._errors if isinstance(error, BackendOverLimit)]
        if over and all(
            isinstance(error, BackendOverLimit | PieceCorrupt | PieceMissing) for error in self._errors
        ):
            return UsageLimitReached(
                f"every backend that serves blob {self._blob.blob_id.hex()} is over a limit of the month",
                resets_in_s=min(error.resets_in_s for error in over),
            )
        if not all(isinstance(error, PieceCorrupt | PieceMissing) for error in self._errors):
            return BackendsUnavailable(f"no backend serves blob {self._blob.blob_id.hex()} now")
        self._choice.degradations.note(Degradation.CORRUPT_EVERYWHERE, blob_id=self._blob.blob_id.hex())
        return CorruptEverywhere(f"no good piece of blob {self._blob.blob_id.hex()} is left")
