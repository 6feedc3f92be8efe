"""Cards of pieces that move: said again under the ring's primary key, with the hint of the blob's first use kept."""

from dataclasses import replace

from engine.clock import Clock
from engine.errors import KeyUnavailable, SealBroken
from engine.records import Blob
from engine.sealing.cards import Card, is_sealed_card, read_card, write_card
from engine.sealing.keyring import KeyRing


class MovedCards:
    """Writes cards for copies of pieces."""

    def __init__(self, ring: KeyRing, clock: Clock) -> None:
        self._ring = ring
        self._clock = clock

    @property
    def key_id(self) -> bytes:
        """The ring key that cards written now are bound to."""
        return self._ring.primary.key_id

    def again(self, raw: bytes, blob: Blob, piece_index: int) -> bytes | None:
        """What a card of any piece of the blob says, for this one; null when it cannot be read or is another blob's."""
        try:
            card = read_card(raw, self._ring)
        except (SealBroken, KeyUnavailable):
            return None
        if card.blob_id != blob.blob_id:
            return None
        # The row is what decides; a card of before a change of keys has the old data key.
        told = replace(
            _card_of(blob, piece_index, card.created_at_us),
            bucket=card.bucket,
            key=card.key,
            upload_id=card.upload_id,
        )
        return write_card(told, self._ring.primary, is_sealed=is_sealed_card(raw))

    def without_hint(self, blob: Blob, piece_index: int) -> bytes:
        """A card by what the metadata knows; sealed, because what the lost one was cannot be told."""
        card = _card_of(blob, piece_index, self._clock.now_us())
        return write_card(card, self._ring.primary, is_sealed=True)


def _card_of(blob: Blob, piece_index: int, created_at_us: int) -> Card:
    return Card(
        blob_id=blob.blob_id,
        piece_index=piece_index,
        copy_count=blob.scheme.count,
        size_bytes=blob.size_bytes,
        stored_bytes=blob.stored_bytes,
        created_at_us=created_at_us,
        content_hash=blob.content_hash,
        key_id=blob.key_id,
        wrapped_dek=blob.wrapped_dek,
        frame_bytes=blob.frame_bytes or 0,
    )
