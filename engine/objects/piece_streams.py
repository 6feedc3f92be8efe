"""The pieces of one blob being written side by side: one that fails is left behind, the others go on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from engine.backends.base import PieceWriter
from engine.errors import BackendError, BackendsUnavailable, NoSpaceAnywhere
from engine.metadata.intents import Intent
from engine.objects.attempts import Attempts
from engine.objects.blob_draft import BlobDraft, Standing
from engine.objects.placing import Place
from engine.objects.side_by_side import SideBySide

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stream:
    place: Place
    intent: Intent | None
    writer: PieceWriter


class PieceStreams:
    """Writers of one blob's pieces, by index. For one thread.

    Pieces on volumes are written one after the other: a write there is a copy into the page cache (40 us for 256 KiB)
    and the disk works in the background, so threads would cost more than they save. Those on remote stores are written
    side by side, and no block is handed out before all have the one before: memory stays what one block takes.
    """

    def __init__(
        self, attempts: Attempts, *, payload_bytes: int, card_bytes: int, count: int, quorum_count: int
    ) -> None:
        """Opens the writers; raises what `Attempts.first` and `Attempts.another` raise when none can be opened."""
        self._attempts = attempts
        self._payload_bytes = payload_bytes
        self._card_bytes = card_bytes
        self._streams: dict[int, _Stream] = {}
        self._side_by_side = SideBySide()
        try:
            places = attempts.first(count, quorum_count)
            # All chosen places first: a piece that gives way to another backend must not take one of theirs.
            for index in self._open_all(dict(enumerate(places))):
                self._open_elsewhere(index)
        except BaseException:
            self.abort()
            raise

    def write(self, payload: memoryview) -> None:
        """Append to every piece that still goes well; raises BackendsUnavailable when none does."""
        for index, outcome in self._each(lambda index, stream: stream.writer.write(payload)):
            if isinstance(outcome, BackendError):
                self._leave_behind(index, outcome)
        if not self._streams:
            raise BackendsUnavailable("every backend failed while the body was being written")

    def finish(self, draft: BlobDraft) -> None:
        """Make the pieces durable and put those that stand into `draft`; raises BackendsUnavailable when none does."""
        tails = {index: draft.tail(index) for index in self._streams}
        for index, outcome in self._each(lambda index, stream: stream.writer.finish(tails[index])):
            if isinstance(outcome, BackendError):
                self._leave_behind(index, outcome)
                continue
            stream = self._streams.pop(index)
            self._attempts.went_well(stream.place.backend)
            draft.put(index, Standing(place=stream.place, piece=outcome, intent=stream.intent))
        if not draft.standing():
            raise BackendsUnavailable("every backend failed at the end of the body")

    def abort(self) -> None:
        """Give up what has not been finished."""
        for stream in self._streams.values():
            stream.writer.abort()
        self._streams.clear()
        self._side_by_side.close()

    def _each(self, call: Callable[[int, _Stream], T]) -> list[tuple[int, T | BackendError]]:
        """What the call gave for each piece, or the error it raised."""
        streams = list(self._streams.items())
        calls = [(stream.place.backend, partial(call, index, stream)) for index, stream in streams]
        return list(zip(self._streams, self._side_by_side.run(calls), strict=True))

    def _open_elsewhere(self, index: int) -> None:
        while True:
            taken = {each.place.failure_domain for each in self._streams.values()}
            try:
                place = self._attempts.another(taken)
            except (BackendsUnavailable, NoSpaceAnywhere):
                # What is missing is made up for after the body, or refused then; the body must go somewhere now.
                if not self._streams:
                    raise
                return
            if not self._open_all({index: place}):
                return

    def _open_all(self, places: Mapping[int, Place]) -> list[int]:
        """Open a writer at each place; the indexes of those that refused."""
        intents = {index: self._attempts.announce(place.backend) for index, place in places.items()}
        patience_s = self._patience_s(places)
        calls = [
            (place.backend, partial(self._open, place, intents[index], patience_s))
            for index, place in places.items()
        ]
        refused = []
        for (index, place), outcome in zip(places.items(), self._side_by_side.run(calls), strict=True):
            if isinstance(outcome, BackendError):
                self._attempts.refused(place.backend, outcome)
                refused.append(index)
            else:
                self._streams[index] = _Stream(place=place, intent=intents[index], writer=outcome)
        return refused

    def _patience_s(self, places: Mapping[int, Place]) -> float | None:
        """A stream that is the only one of its blob is never left: the body cannot be read a second time."""
        standing = [each.place for each in self._streams.values()]
        if len(standing) + len(places) < 2 or not any(each.backend.needs_intents for each in places.values()):
            return None
        return self._attempts.patience_s({each.failure_domain for each in (*standing, *places.values())})

    def _open(self, place: Place, intent: Intent | None, patience_s: float | None) -> PieceWriter:
        return place.backend.open_writer(
            self._payload_bytes,
            self._card_bytes,
            storage_key=None if intent is None else intent.storage_key,
            patience_s=patience_s,
        )

    def _leave_behind(self, index: int, error: BackendError) -> None:
        stream = self._streams.pop(index)
        self._attempts.refused(stream.place.backend, error)
        stream.writer.abort()
