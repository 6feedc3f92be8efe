"""The pieces of one blob being written side by side: one that fails is left behind, the others go on."""

from dataclasses import dataclass

from engine.backends.base import PieceWriter
from engine.errors import BackendError, BackendsUnavailable, NoSpaceAnywhere
from engine.metadata.intents import Intent
from engine.objects.attempts import Attempts
from engine.objects.blob_draft import BlobDraft, Standing
from engine.objects.placing import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stream:
    place: Place
    intent: Intent | None
    writer: PieceWriter


class PieceStreams:
    """Writers of one blob's pieces, by index. For one thread.

    Pieces are written one after the other: to a local volume a write is a copy into the page cache (40 us for 256 KiB)
    and its disk works in the background, so threads would cost more than they save.
    """

    def __init__(
        self, attempts: Attempts, *, payload_bytes: int, card_bytes: int, count: int, quorum_count: int
    ) -> None:
        """Opens the writers; raises what `Attempts.first` and `Attempts.another` raise when none can be opened."""
        self._attempts = attempts
        self._payload_bytes = payload_bytes
        self._card_bytes = card_bytes
        self._streams: dict[int, _Stream] = {}
        try:
            places = attempts.first(count, quorum_count)
            # All chosen places first: a piece that gives way to another backend must not take one of theirs.
            refused = [index for index, place in enumerate(places) if not self._try_open(index, place)]
            for index in refused:
                self._open_elsewhere(index)
        except BaseException:
            self.abort()
            raise

    def write(self, payload: memoryview) -> None:
        """Append to every piece that still goes well; raises BackendsUnavailable when none does."""
        for index, stream in list(self._streams.items()):
            try:
                stream.writer.write(payload)
            except BackendError as error:
                self._leave_behind(index, error)
        if not self._streams:
            raise BackendsUnavailable("every backend failed while the body was being written")

    def finish(self, draft: BlobDraft) -> None:
        """Make the pieces durable and put those that stand into `draft`; raises BackendsUnavailable when none does."""
        for index, stream in list(self._streams.items()):
            try:
                piece = stream.writer.finish(draft.tail(index))
            except BackendError as error:
                self._leave_behind(index, error)
                continue
            del self._streams[index]
            self._attempts.went_well(stream.place.backend)
            draft.put(index, Standing(place=stream.place, piece=piece, intent=stream.intent))
        if not draft.standing():
            raise BackendsUnavailable("every backend failed at the end of the body")

    def abort(self) -> None:
        """Give up what has not been finished."""
        for stream in self._streams.values():
            stream.writer.abort()
        self._streams.clear()

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
            if self._try_open(index, place):
                return

    def _try_open(self, index: int, place: Place) -> bool:
        backend = place.backend
        intent = self._attempts.announce(backend)
        try:
            writer = backend.open_writer(
                self._payload_bytes,
                self._card_bytes,
                storage_key=None if intent is None else intent.storage_key,
            )
        except BackendError as error:
            self._attempts.refused(backend, error)
            return False
        self._streams[index] = _Stream(place=place, intent=intent, writer=writer)
        return True

    def _leave_behind(self, index: int, error: BackendError) -> None:
        stream = self._streams.pop(index)
        self._attempts.refused(stream.place.backend, error)
        stream.writer.abort()
