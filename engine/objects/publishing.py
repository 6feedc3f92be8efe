"""The commit that names blobs, run again with pieces placed elsewhere when the database refuses where they stand."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from engine.errors import (
    BackendError,
    BackendQuotaExceeded,
    EngineError,
    IntentLost,
    OutcomeUnknown,
    PlacementRefused,
)
from engine.metadata.store import Store, Tx
from engine.metadata.strays import Stray
from engine.objects.attempts import Announcements
from engine.objects.blob_draft import BlobDraft, Standing
from engine.objects.blob_writer import BlobWriter
from engine.objects.degradations import Degradation, Degradations
from engine.objects.intents import IntentHolder
from engine.objects.placing import Placer
from engine.records import NewBlob

T = TypeVar("T")

COMMIT_ATTEMPT_COUNT_MAX = 4
"""Commits tried for one request; each after the first follows on pieces that were placed anew."""

MakeUnit = Callable[[Sequence[NewBlob]], Callable[[Tx], T]]
"""Makes the unit of a commit from the blobs as they stand by then."""


class Publisher:
    """Commits drafts, or gives them up. Safe for many threads."""

    def __init__(
        self,
        *,
        store: Store,
        writer: BlobWriter,
        placer: Placer,
        holder: IntentHolder,
        degradations: Degradations,
    ) -> None:
        self._store = store
        self._writer = writer
        self._placer = placer
        self._holder = holder
        self._degradations = degradations

    def commit(self, drafts: Sequence[BlobDraft], announcements: Announcements, make_unit: MakeUnit[T]) -> T:
        """Run the unit made of the drafts as new blobs, after their barriers; strays go to cleanup behind it.

        Raises what the unit raises, OutcomeUnknown, DatabaseUnavailable, and what placing again raises.
        """
        for _ in range(COMMIT_ATTEMPT_COUNT_MAX - 1):
            try:
                return self._commit(drafts, announcements, make_unit)
            except (PlacementRefused, BackendQuotaExceeded, BackendError) as error:
                self._place_again(drafts, error)
        return self._commit(drafts, announcements, make_unit)

    def forget(self, announcements: Announcements) -> None:
        """The request is over: its intents are fulfilled, settled, or recovery's."""
        intent_ids = announcements.intent_ids()
        if intent_ids:
            self._holder.end(intent_ids)

    def abandon(self, announcements: Announcements, error: BaseException) -> None:
        """After a failure before or at the commit: what was announced goes to cleanup now, or is left to recovery.

        After an unknown outcome nothing is touched: if the commit happened, its rows name the pieces.
        """
        if isinstance(error, OutcomeUnknown):
            return
        if isinstance(error, IntentLost):
            self._holder.distrust()
        self._settle(announcements.strays(set()))

    def _commit(self, drafts: Sequence[BlobDraft], announcements: Announcements, make_unit: MakeUnit[T]) -> T:
        blobs = [draft.new_blob() for draft in drafts]
        strays = announcements.strays({each for blob in blobs for each in blob.intent_ids})
        barriers = [barrier for draft in drafts for barrier in draft.barriers()]
        result = self._store.write(make_unit(blobs), after=barriers)
        # Not in the same transaction: its unit has locked accounts, and others may not be locked behind those.
        self._settle(strays)
        return result

    def _settle(self, strays: Sequence[Stray]) -> None:
        """Hand them to cleanup; what fails of it is recovery's."""
        if not strays:
            return
        try:
            self._holder.settle(strays)
        except EngineError:
            # Their intents stand, and once the request is over nobody renews them.
            self._degradations.note(Degradation.PIECES_ABANDONED, count=len(strays))

    def _place_again(
        self, drafts: Sequence[BlobDraft], error: PlacementRefused | BackendQuotaExceeded | BackendError
    ) -> None:
        self._degradations.note(Degradation.PLACEMENT_REPEATED, reason=type(error).__name__)
        self._placer.refresh()
        for draft in drafts:
            readable: list[Standing] = []
            if isinstance(error, PlacementRefused):
                # The bytes are good where they are; only a row may not name them there.
                readable = [draft.drop(index) for index in draft.indexes_at(error.storage_keys)]
            elif isinstance(error, BackendQuotaExceeded):
                readable = [draft.drop(index) for index in draft.indexes_on(error.backend_id)]
                draft.attempts.has_no_room(error.backend_id)
            else:
                self._drop_unsynced(draft, error)
            self._writer.restore(draft, readable)

    def _drop_unsynced(self, draft: BlobDraft, error: BackendError) -> None:
        """A barrier failed: pieces of that backend that waited for it may be lost with the page cache."""
        for index, standing in draft.standing():
            backend = standing.place.backend
            if backend.name == error.backend and standing.piece.barrier is not None:
                draft.drop(index)
                draft.attempts.refused(backend, error)
