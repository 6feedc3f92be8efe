"""Attempts to place one blob's pieces: who was tried, who refused, and what the refused may have left behind."""

from collections import Counter

from engine.backends.base import Backend
from engine.errors import (
    BackendError,
    BackendFull,
    BackendLate,
    BackendOverLimit,
    BackendsUnavailable,
    ForeignBackend,
    NoSpaceAnywhere,
)
from engine.metadata.intents import Intent
from engine.metadata.strays import Stray
from engine.objects.degradations import Degradation, Degradations
from engine.objects.intents import IntentHolder
from engine.objects.placing import Place, Placer
from engine.placement.health import HealthBoard

WRITE_PATIENCE_S = 3.0
"""A store that is silent for so long while a piece could go elsewhere as well is left for that place.

Twice as long as a read waits: an answer to a write comes once the bytes are durable there, one that is left costs its
bytes once more, and a deletion an hour later. Stores that are well answer within a second.
"""

TRY_COUNT_MAX = 2
"""Times a backend is tried for one blob. A second try helps: a poisoned volume gives way to another file."""


class Announcements:
    """Intents one request has taken, over all its blobs: those no blob names in the end are strays."""

    def __init__(self) -> None:
        self._taken: dict[bytes, Stray] = {}

    def add(self, intent: Intent, size_bytes: int) -> None:
        self._taken[intent.intent_id] = Stray(intent=intent, size_bytes=size_bytes)

    def intent_ids(self) -> list[bytes]:
        return list(self._taken)

    def strays(self, fulfilled: set[bytes]) -> list[Stray]:
        """All but those whose intents `fulfilled` names."""
        return [stray for intent_id, stray in self._taken.items() if intent_id not in fulfilled]


class Attempts:
    """Picks backends for the pieces of one blob, never one that refused them twice. For one thread."""

    def __init__(
        self,
        *,
        placer: Placer,
        holder: IntentHolder,
        health: HealthBoard,
        degradations: Degradations,
        announcements: Announcements,
        blob_id: bytes,
        payload_bytes: int,
        card_bytes: int,
    ) -> None:
        self._placer = placer
        self._holder = holder
        self._health = health
        self._degradations = degradations
        self._announcements = announcements
        self._blob_id = blob_id
        self._payload_bytes = payload_bytes
        self._card_bytes = card_bytes
        self._tried: Counter[int] = Counter()
        self._full: set[int] = set()

    def first(self, count: int, quorum_count: int) -> list[Place]:
        """Places for all pieces, or for as many as can be had, never fewer than the quorum.

        Raises NotEnoughDomains, BackendsUnavailable, NoSpaceAnywhere.
        """
        for wanted_count in range(count, quorum_count, -1):
            try:
                return self._choose(wanted_count)
            except (BackendsUnavailable, NoSpaceAnywhere):
                continue
        return self._choose(quorum_count)

    def _choose(self, count: int) -> list[Place]:
        return self._placer.choose(
            count=count,
            payload_bytes=self._payload_bytes,
            card_bytes=self._card_bytes,
            blob_id=self._blob_id,
        )

    def another(self, taken_domains: set[str]) -> Place:
        """A place for one piece beside those that stand; raises as `first` does.

        A backend that failed once comes last, and comes at all only when no other is left.
        """
        for failed in (set(self._tried), self._given_up()):
            try:
                (place,) = self._placer.choose(
                    count=1,
                    payload_bytes=self._payload_bytes,
                    card_bytes=self._card_bytes,
                    blob_id=self._blob_id,
                    failed=failed,
                    full=self._full,
                    taken_domains=taken_domains,
                )
            except BackendsUnavailable:
                if failed == self._given_up():
                    raise
                continue
            self._degradations.note(Degradation.BACKEND_REPLACED, backend=place.backend.name)
            return place
        raise AssertionError("the second round either returns or raises")

    def patience_s(self, taken_domains: set[str]) -> float | None:
        """How long stores are waited for whose pieces could go elsewhere as well; null: as long as it takes.

        `taken_domains` are those of all pieces, the ones about to be written as well.
        """
        has_others = self._placer.has_place(
            payload_bytes=self._payload_bytes,
            card_bytes=self._card_bytes,
            failed=set(self._tried),
            full=self._full,
            taken_domains=taken_domains,
        )
        return WRITE_PATIENCE_S if has_others else None

    def announce(self, backend: Backend) -> Intent | None:
        """The intent of the next attempt there, remembered as a stray until a blob names it."""
        intent = self._holder.take(backend)
        if intent is not None:
            size_bytes = backend.occupied_bytes(self._payload_bytes, self._card_bytes)
            self._announcements.add(intent, size_bytes)
        return intent

    def refused(self, backend: Backend, error: BackendError) -> None:
        """Learn from a failed call: who has no room or no allowance takes none of this, who is foreign nothing more."""
        if isinstance(error, BackendFull | BackendOverLimit):
            self._full.add(backend.backend_id)
            return
        if isinstance(error, ForeignBackend):
            self._health.condemn(backend.backend_id, str(error))
        elif isinstance(error, BackendLate):
            self._degradations.note(Degradation.WRITE_LATE, backend=backend.name)
            self._health.late(backend.backend_id)
        else:
            self._health.failed(backend.backend_id)
        self._tried[backend.backend_id] += 1

    def lost_piece(self, backend: Backend) -> None:
        """A piece it took turned out bad or missing: it is trusted with none of this blob any more."""
        self._health.failed(backend.backend_id)
        self._tried[backend.backend_id] = TRY_COUNT_MAX

    def has_no_room(self, backend_id: int) -> None:
        """The database says that the backend's quota is used up."""
        self._full.add(backend_id)

    def went_well(self, backend: Backend) -> None:
        self._health.succeeded(backend.backend_id)

    def _given_up(self) -> set[int]:
        return {backend_id for backend_id, count in self._tried.items() if count >= TRY_COUNT_MAX}
