"""In which order the pieces of blobs are read, by what is known of their backends."""

from collections.abc import Callable, Collection

from engine.backends.base import Backend
from engine.backends.registry import Backends
from engine.cache.blobs import BlobCache
from engine.errors import (
    BackendError,
    BackendLate,
    BackendOverLimit,
    BackendShut,
    BackendUnavailable,
    PieceCorrupt,
    PieceMissing,
)
from engine.metadata.store import Store
from engine.metadata.versions import read_locations
from engine.objects.degradations import Degradation, Degradations
from engine.objects.hedging import Hedges
from engine.objects.suspicions import Suspicions
from engine.placement.health import Health, HealthBoard
from engine.records import Location, LocationState

_STATE_RANKS = {LocationState.LIVE: 0, LocationState.SUSPECT: 1, LocationState.LOST: 2}


class PieceChoice:
    """What the pieces of blobs are opened through. Safe for many threads."""

    def __init__(
        self,
        *,
        store: Store,
        backends: Backends,
        health: HealthBoard,
        suspicions: Suspicions,
        degradations: Degradations,
        hedges: Hedges,
        hedged: Collection[int] = (),
        cache: BlobCache | None = None,
        read_rank: Callable[[int], int] = lambda backend_id: 0,
    ) -> None:
        """`cache` keeps blobs whose every piece lies behind a network.

        `read_rank` says which backends may be read at no cost to a limit of theirs, less first; those in `hedged` may
        be asked for bytes that another is late with.
        """
        self.degradations = degradations
        self.hedges = hedges
        self._hedged = hedged
        # Where all pieces lie on disks of this machine none is nearer than another.
        self._has_far = any(backend.needs_intents for backend in backends)
        self._cache = cache
        self._store = store
        self._backends = backends
        self._health = health
        self._suspicions = suspicions
        self._read_rank = read_rank

    def in_order(self, blob_id: bytes, locations: tuple[Location, ...]) -> list[Location]:
        """Good ones before suspects, healthy backends before others, those without limits before those with and over.

        Disks of this machine come before stores across a network. Among equals blobs take turns, to share load.
        """
        if len(locations) == 1:
            return list(locations)
        turn = blob_id[-1]
        return sorted(
            locations,
            key=lambda each: (
                _STATE_RANKS[each.state],
                self._health.health_of(each.backend_id).rank,
                self._read_rank(each.backend_id),
                self._has_far and self.is_far(each.backend_id),
                (each.piece_index + turn) % len(locations),
            ),
        )

    def backend_of(self, location: Location) -> Backend:
        """Raises BackendUnavailable for one that is not here, or has another's identity."""
        problem = self._health.problem_of(location.backend_id)
        if problem is not None:
            raise BackendUnavailable(f"failed: {problem}", backend=str(location.backend_id))
        return self._backends.get(location.backend_id)

    def may_race(self, location: Location) -> bool:
        """Whether that piece may be asked for bytes that another one is late with."""
        return (
            location.backend_id in self._hedged
            and location.state is LocationState.LIVE
            and self._health.health_of(location.backend_id) is Health.HEALTHY
        )

    def cache_for(self, locations: tuple[Location, ...]) -> BlobCache | None:
        """Null where a piece lies on a disk of this machine, or nothing is kept."""
        if self._cache is None or not locations:
            return None
        is_near = any(not self.is_far(each.backend_id) for each in locations)
        return None if is_near else self._cache

    def has_cached(self, blob_id: bytes, locations: tuple[Location, ...]) -> bool:
        """Whether the blob is read from the cache."""
        cache = self.cache_for(locations)
        return cache is not None and cache.has(blob_id)

    def is_far(self, backend_id: int) -> bool:
        """Whether what lies there is asked for across a network."""
        try:
            return self._backends.get(backend_id).needs_intents
        except BackendUnavailable:
            return True

    def read_again(self, blob_id: bytes) -> tuple[Location, ...]:
        """Where the pieces lie now."""
        self.degradations.note(Degradation.LOCATIONS_READ_AGAIN, blob_id=blob_id.hex())
        return self._store.read(lambda tx: read_locations(tx, blob_id))

    def tries_shut(self, location: Location) -> None:
        """Its store is left alone for now, and asked all the same: nothing else is left."""
        self.degradations.note(
            Degradation.SHUT_TRIED, blob_id=location.blob_id.hex(), backend_id=location.backend_id
        )

    def failed(self, location: Location, error: BackendError) -> None:
        """A piece did not serve: one that is bad or gone is suspect, whatever else is wrong is the backend's.

        A store that was not even asked has done nothing that could be held against it.

        To suspect a piece that was moved or freed meanwhile changes nothing: the mark asks for its storage key.
        """
        self.degradations.note(
            Degradation.READ_FAILED_OVER, blob_id=location.blob_id.hex(), backend_id=location.backend_id
        )
        if isinstance(error, BackendLate):
            self.hedges.late(location)
        elif isinstance(error, PieceCorrupt | PieceMissing):
            self._suspicions.add(location, type(error).__name__)
        elif not isinstance(error, BackendOverLimit | BackendShut):
            self._health.failed(location.backend_id)
