"""A far piece while other copies stand: one that does not answer as soon as it mostly does is raced by another."""

from queue import Empty, SimpleQueue
from typing import Protocol

from engine.backends.base import PieceReader
from engine.errors import BackendError, BackendLate
from engine.objects.hedging import Hedges, Question
from engine.pipes import Pipe
from engine.records import Location
from engine.streams import FileRegion, Region


class OtherCopies(Protocol):
    """The copies of the blob that is read; see `engine.objects.piece_choice.BlobPieces`."""

    def has_rival(self) -> bool:
        """Whether another copy may be asked for the same bytes."""

    def open_rival(self) -> tuple[Location, PieceReader] | None:
        """Open it; null when none can be opened."""

    def return_rival(self, location: Location, /) -> None:
        """It was not needed."""

    def blame(self, location: Location, error: BackendError, /) -> None:
        """That copy, which is not the current one, did not serve."""

    def switch(self, location: Location, /, *, after: BackendError | None) -> None:
        """A rival is the current copy from now on; `after` is what the one before failed with, null: it is late."""


class HedgedReader:
    """Implements `engine.backends.base.PieceReader` over one copy, then maybe another. For one thread at a time."""

    def __init__(
        self, copies: OtherCopies, hedges: Hedges, location: Location, reader: PieceReader, *, backend: str
    ) -> None:
        self._copies = copies
        self._hedges = hedges
        self._location = location
        # Null while a thread of its own asks, and when that is left to itself.
        self._reader: PieceReader | None = reader
        self._backend = backend

    def read_into(self, offset: int, buffer: memoryview, /, *, nowait: bool = False) -> None:
        """Also raises BackendLate, of the copy that is current then."""
        if not nowait and not self._open().is_under_way(offset, len(buffer)):
            self.ask(offset, len(buffer), patience_s=self._hedges.patience_s)
        self._open().read_into(offset, buffer, nowait=nowait)

    def is_under_way(self, offset: int, size_bytes: int, /) -> bool:
        return self._open().is_under_way(offset, size_bytes)

    def take(
        self, offset: int, length: int, /, *, pipe: Pipe | None = None, nowait: bool = False
    ) -> Region | None:
        """Also null when another copy is the current one by now: who asks says whether its bytes may leave as they are.

        Also raises BackendLate, of the copy that is current then.
        """
        before = self._location
        if not nowait and not self._open().is_under_way(offset, length):
            self.ask(offset, length, patience_s=self._hedges.patience_s, is_all=True)
            if self._location is not before:
                return None
        return self._open().take(offset, length, pipe=pipe, nowait=nowait)

    def ask(self, offset: int, size_bytes: int, /, *, patience_s: float, is_all: bool = False) -> None:
        """Ask for the bytes; whoever answers first is read from now on."""
        ended: SimpleQueue[Question] = SimpleQueue()
        first = Question(self._location, self._open(), is_all=is_all)
        if not self._copies.has_rival() or not self._hedges.put(first, offset, size_bytes, ended):
            self._open().ask(offset, size_bytes, patience_s=patience_s, is_all=is_all)
            return
        self._reader = None
        after_s = self._hedges.after_s(self._location.backend_id)
        if _next_of(ended, after_s) is None:
            rival = self._rival(is_all=is_all)
            if rival is not None:
                self._race(first, rival, offset, size_bytes, ended)
                return
            if _next_of(ended, patience_s - after_s) is None:
                first.give_up()
                raise self._late()
        self._take(first)

    def region(self, offset: int, length: int, /) -> FileRegion | None:
        return self._open().region(offset, length)

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()

    def _open(self) -> PieceReader:
        assert self._reader is not None, "a copy that was left is not read again"
        return self._reader

    def _rival(self, *, is_all: bool) -> Question | None:
        hedges = self._hedges
        if not hedges.budget.take():
            hedges.counts.refused_count += 1
            return None
        opened = self._copies.open_rival()
        if opened is None:
            hedges.budget.give_back()
            return None
        return Question(*opened, is_all=is_all)

    def _race(
        self,
        first: Question,
        rival: Question,
        offset: int,
        size_bytes: int,
        ended: "SimpleQueue[Question]",
    ) -> None:
        """Take whichever is ready first. Raises what the first one failed with when both do."""
        if rival.reader.is_under_way(offset, size_bytes):
            # It lies on a disk of this machine.
            first.give_up()
            self._switch(rival, after=None)
            return
        waiting = [first]
        if self._hedges.put(rival, offset, size_bytes, ended):
            waiting.append(rival)
        else:
            rival.reader.close()
            self._copies.return_rival(rival.location)
        while waiting:
            question = _next_of(ended, self._hedges.patience_s)
            if question is None:
                break
            waiting.remove(question)
            if question.error is None:
                self._won(question, first, rival, waiting)
                return
            if question is rival:
                self._blame(rival)
        for question in waiting:
            question.give_up()
        if rival in waiting:
            self._copies.blame(rival.location, self._late())
        if first in waiting:
            raise self._late()
        self._take(first)

    def _won(self, winner: Question, first: Question, rival: Question, waiting: list[Question]) -> None:
        for question in waiting:
            question.give_up()
        if winner is rival:
            self._switch(rival, after=_backend_error(first))
            return
        self._hedges.counts.lost_count += 1
        if rival in waiting:
            self._copies.return_rival(rival.location)
        self._take(first)

    def _take(self, question: Question) -> None:
        """Go on with its reader. Raises what it failed with."""
        self._reader = question.reader
        if question.error is not None:
            raise question.error

    def _switch(self, rival: Question, *, after: BackendError | None) -> None:
        self._hedges.counts.won_count += 1
        self._copies.switch(rival.location, after=after)
        self._location, self._reader = rival.location, rival.reader

    def _blame(self, rival: Question) -> None:
        rival.reader.close()
        error = _backend_error(rival)
        assert error is not None
        self._copies.blame(rival.location, error)

    def _late(self) -> BackendLate:
        return BackendLate(f"no answer began within {self._hedges.patience_s} s", backend=self._backend)


def _next_of(ended: "SimpleQueue[Question]", wait_s: float) -> Question | None:
    """A question that has ended; null when none does in time."""
    try:
        return ended.get(timeout=max(0.0, wait_s))
    except Empty:
        return None


def _backend_error(question: Question) -> BackendError | None:
    """What it failed with; anything but a backend's error is raised."""
    if question.error is None or isinstance(question.error, BackendError):
        return question.error
    raise question.error
