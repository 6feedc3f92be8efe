"""Reading cards for fsck with the deployment's own key ring."""

from engine.records import Location
from engine.sealing.cards import read_card
from engine.sealing.keyring import KeyRing


class RingCards:
    """Implements `engine.upkeep.piece_check.CardReader`: a card counts when its MAC holds under a ring key."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def blob_id(self, card: bytes, location: Location, /) -> bytes:
        """Raises SealBroken, KeyUnavailable, and ValueError when the card is of another piece of the blob."""
        read = read_card(card, self._ring)
        if read.piece_index != location.piece_index:
            raise ValueError(f"it describes piece {read.piece_index}")
        return read.blob_id

    def any_blob_id(self, card: bytes, /) -> bytes:
        """Whatever piece of the blob it is. Raises SealBroken, KeyUnavailable."""
        return read_card(card, self._ring).blob_id
