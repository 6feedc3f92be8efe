"""A blob whose pieces stand and that no row names yet: what a commit needs, and what placing again needs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.backends.base import Backend, Barrier, PieceTail, StoredPiece
from engine.metadata.intents import Intent
from engine.objects.attempts import Attempts
from engine.objects.placing import Place
from engine.records import Blob, Location, NewBlob

MakeCard = Callable[[int], bytes]
"""The card of one piece, by its index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A piece that stands at a place, synced or behind its barrier."""

    place: Place
    piece: StoredPiece
    intent: Intent | None


class BlobDraft:
    """Pieces of one blob by index, until a commit names them. For one thread.

    `payload` is what was stored when it is still in memory; null after a stream, whose pieces are copied from each
    other when need be.
    """

    def __init__(
        self,
        *,
        blob: Blob,
        make_card: MakeCard,
        card_key_id: bytes | None,
        attempts: Attempts,
        payload: memoryview | None,
    ) -> None:
        self.blob = blob
        self.attempts = attempts
        self.payload = payload
        self._make_card = make_card
        self._card_key_id = card_key_id
        self._pieces: dict[int, Standing] = {}

    def tail(self, piece_index: int) -> PieceTail:
        """What follows the payload of a piece."""
        return PieceTail(block_crcs=self.blob.block_crcs, card=self._make_card(piece_index))

    def put(self, piece_index: int, standing: Standing) -> None:
        """A piece stands; one that stood for it before is an attempt that failed."""
        self._pieces[piece_index] = standing

    def drop(self, piece_index: int) -> Standing:
        """A piece turned out to be lost, or to stand where it cannot stay."""
        return self._pieces.pop(piece_index)

    def standing(self) -> Sequence[tuple[int, Standing]]:
        """Pieces with their indexes, in order."""
        return sorted(self._pieces.items())

    def missing(self) -> list[int]:
        """Indexes of pieces the scheme asks for and that do not stand."""
        return [index for index in range(self.blob.scheme.count) if index not in self._pieces]

    def taken_domains(self) -> set[str]:
        return {standing.place.failure_domain for standing in self._pieces.values()}

    def indexes_at(self, storage_keys: Sequence[str]) -> list[int]:
        """Indexes of the pieces under those keys."""
        return [index for index, each in self.standing() if each.piece.storage_key in storage_keys]

    def indexes_on(self, backend: Backend | int) -> list[int]:
        """Indexes of the pieces on a backend."""
        backend_id = backend if isinstance(backend, int) else backend.backend_id
        return [index for index, each in self.standing() if each.place.backend.backend_id == backend_id]

    def barriers(self) -> list[Barrier]:
        """What must be synced before a commit names the blob."""
        return [each.piece.barrier for _, each in self.standing() if each.piece.barrier is not None]

    def new_blob(self) -> NewBlob:
        """The blob with the pieces that stand now."""
        pieces = self.standing()
        return NewBlob(
            blob=self.blob,
            locations=[
                Location(
                    blob_id=self.blob.blob_id,
                    piece_index=index,
                    backend_id=each.place.backend.backend_id,
                    storage_key=each.piece.storage_key,
                    stored_bytes=each.piece.stored_bytes,
                    card_key_id=self._card_key_id,
                )
                for index, each in pieces
            ],
            intent_ids=[each.intent.intent_id for _, each in pieces if each.intent is not None],
        )
