"""Which piece of a blob serves next: the best one not found wanting, then the next, then a second look at the rows."""

from engine.backends.base import Backend, PieceReader
from engine.backends.registry import Backends
from engine.errors import (
    BackendError,
    BackendsUnavailable,
    BackendUnavailable,
    CorruptEverywhere,
    PieceCorrupt,
    PieceMissing,
)
from engine.metadata.store import Store
from engine.metadata.versions import read_locations
from engine.objects.degradations import Degradation, Degradations
from engine.objects.suspicions import Suspicions
from engine.placement.health import Health, HealthBoard
from engine.records import Location, LocationState, StoredSlice

_STATE_RANKS = {LocationState.LIVE: 0, LocationState.SUSPECT: 1, LocationState.LOST: 2}


class PieceChoice:
    """What the pieces of an object's blobs are opened through. For one thread at a time."""

    def __init__(
        self,
        *,
        store: Store,
        backends: Backends,
        health: HealthBoard,
        suspicions: Suspicions,
        degradations: Degradations,
    ) -> None:
        self.degradations = degradations
        self._store = store
        self._backends = backends
        self._health = health
        self._suspicions = suspicions

    def in_order(self, blob_id: bytes, locations: tuple[Location, ...]) -> list[Location]:
        """Good ones before suspects, healthy backends before others; among equals blobs take turns, to share load."""
        if len(locations) == 1:
            return list(locations)
        turn = blob_id[-1]
        return sorted(
            locations,
            key=lambda each: (
                _STATE_RANKS[each.state],
                self._health.health_of(each.backend_id).rank,
                (each.piece_index + turn) % len(locations),
            ),
        )

    def backend_of(self, location: Location) -> Backend:
        """Raises BackendUnavailable for one that is not here, or has another's identity."""
        if self._health.health_of(location.backend_id) is Health.FAILED:
            problem = self._health.problem_of(location.backend_id)
            raise BackendUnavailable(f"failed: {problem}", backend=str(location.backend_id))
        return self._backends.get(location.backend_id)

    def read_again(self, blob_id: bytes) -> tuple[Location, ...]:
        """Where the pieces lie now."""
        self.degradations.note(Degradation.LOCATIONS_READ_AGAIN, blob_id=blob_id.hex())
        return self._store.read(lambda tx: read_locations(tx, blob_id))

    def failed(self, location: Location, error: BackendError) -> None:
        """A piece did not serve: one that is bad or gone is suspect, whatever else is wrong is the backend's.

        To suspect a piece that was moved or freed meanwhile changes nothing: the mark asks for its storage key.
        """
        self.degradations.note(
            Degradation.READ_FAILED_OVER, blob_id=location.blob_id.hex(), backend_id=location.backend_id
        )
        if isinstance(error, PieceCorrupt | PieceMissing):
            self._suspicions.add(location, type(error).__name__)
        else:
            self._health.failed(location.backend_id)


class BlobPieces:
    """The pieces of one blob: `current` serves until `failed` is told otherwise."""

    def __init__(self, choice: PieceChoice, stored: StoredSlice) -> None:
        self._choice = choice
        self._blob = stored.blob
        self._waiting = choice.in_order(stored.blob.blob_id, tuple(stored.locations))
        self._tried: set[str] = set()
        self._errors: list[BackendError] = []
        self._has_read_again = False
        self._open: tuple[Location, PieceReader] | None = None

    @property
    def has_failed(self) -> bool:
        """Whether going on may take a look at the rows: nothing for a thread that must not wait."""
        return bool(self._errors)

    def current(self) -> PieceReader:
        """The open piece, opened if need be; raises BackendsUnavailable, CorruptEverywhere, Overloaded."""
        while self._open is None:
            location = self._next()
            self._tried.add(location.storage_key)
            try:
                backend = self._choice.backend_of(location)
                self._open = (location, backend.open_reader(location.storage_key, self._blob.stored_bytes))
            except BackendError as error:
                self._blame(location, error)
        return self._open[1]

    def failed(self, error: BackendError) -> None:
        """The current piece did not serve; the next call of `current` gives another one."""
        assert self._open is not None
        location, reader = self._open
        self._open = None
        reader.close()
        self._blame(location, error)

    def found_corrupt(self, what: str) -> None:
        """The current piece's bytes do not verify."""
        assert self._open is not None
        self.failed(PieceCorrupt(what, backend=str(self._open[0].backend_id)))

    def close(self) -> None:
        """Give the open piece back; a second call does nothing."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def _blame(self, location: Location, error: BackendError) -> None:
        self._errors.append(error)
        self._choice.failed(location, error)

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

    def _verdict(self) -> BackendsUnavailable | CorruptEverywhere:
        if not all(isinstance(error, PieceCorrupt | PieceMissing) for error in self._errors):
            return BackendsUnavailable(f"no backend serves blob {self._blob.blob_id.hex()} now")
        self._choice.degradations.note(Degradation.CORRUPT_EVERYWHERE, blob_id=self._blob.blob_id.hex())
        return CorruptEverywhere(f"no good piece of blob {self._blob.blob_id.hex()} is left")
