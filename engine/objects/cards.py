"""Cards of pieces as writes make them: under the ring's primary key, with a hint of the blob's first use."""

from dataclasses import dataclass

from engine.clock import Clock
from engine.records import Blob
from engine.sealing.cards import HINT_BYTES_MAX, Card, card_bytes, write_card
from engine.sealing.keyring import WRAPPED_DEK_BYTES, KeyRing
from engine.units import KIB

CARD_BYTES_MAX = 2 * KIB
"""No card is longer: a key of 1,024 bytes, a bucket's name, and fields of fixed size."""

_SOME_ID = bytes(16)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardHint:
    """Where a blob was first used. Only people and rebuild read it."""

    bucket: str
    key: bytes
    upload_id: bytes = b""


class Cards:
    """Writes cards. `seals_all`: something of the deployment is sealed, so what cards tell is sealed as well."""

    def __init__(self, ring: KeyRing, clock: Clock, *, seals_all: bool) -> None:
        self._ring = ring
        self._clock = clock
        self._seals_all = seals_all

    @property
    def key_id(self) -> bytes:
        """The ring key that cards written now are bound to."""
        return self._ring.primary.key_id

    def size_bytes(self, hint: CardHint, *, is_sealed: bool) -> int:
        """Size of any card with that hint of a blob that is sealed, or is not."""
        card = Card(
            blob_id=_SOME_ID,
            piece_index=0,
            copy_count=1,
            size_bytes=0,
            stored_bytes=0,
            created_at_us=0,
            wrapped_dek=bytes(WRAPPED_DEK_BYTES) if is_sealed else None,
            bucket=hint.bucket,
            key=hint.key[:HINT_BYTES_MAX],
            upload_id=hint.upload_id,
        )
        return card_bytes(card, is_sealed=is_sealed or self._seals_all)

    def write(self, blob: Blob, piece_index: int, hint: CardHint) -> bytes:
        """The card of one piece of a blob."""
        card = Card(
            blob_id=blob.blob_id,
            piece_index=piece_index,
            copy_count=blob.scheme.count,
            size_bytes=blob.size_bytes,
            stored_bytes=blob.stored_bytes,
            created_at_us=self._clock.now_us(),
            content_hash=blob.content_hash,
            key_id=blob.key_id,
            wrapped_dek=blob.wrapped_dek,
            frame_bytes=blob.frame_bytes or 0,
            bucket=hint.bucket,
            key=hint.key,
            upload_id=hint.upload_id,
        )
        return write_card(card, self._ring.primary, is_sealed=blob.is_sealed or self._seals_all)
