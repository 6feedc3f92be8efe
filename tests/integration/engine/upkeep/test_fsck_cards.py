"""Cards count for fsck when the deployment's ring vouches for them, and for the piece they lie beside."""

from dataclasses import replace

import pytest

from engine.errors import KeyUnavailable, SealBroken
from engine.records import Location
from engine.sealing.cards import Card, write_card
from engine.sealing.keyring import KeyRing, new_ring_key
from engine.sealing.providers import LocalProvider
from engine.upkeep.fsck_cards import RingCards

PROVIDER = LocalProvider("inline", b"k" * 32)
RING = KeyRing([new_ring_key(PROVIDER)], PROVIDER)
BLOB_ID = b"blob-----------1"
LOCATION = Location(
    blob_id=BLOB_ID, piece_index=1, backend_id=1, storage_key="k", stored_bytes=1000, card_key_id=None
)
CARD = Card(blob_id=BLOB_ID, piece_index=1, copy_count=2, size_bytes=500, stored_bytes=500, created_at_us=1)


@pytest.mark.parametrize("is_sealed", [False, True])
def test_a_card_of_ours_tells_its_blob(is_sealed: bool) -> None:
    raw = write_card(CARD, RING.primary, is_sealed=is_sealed)

    assert RingCards(RING).blob_id(raw, LOCATION) == BLOB_ID


def test_an_altered_card_is_refused() -> None:
    raw = bytearray(write_card(CARD, RING.primary, is_sealed=False))
    raw[40] ^= 1

    with pytest.raises(SealBroken):
        RingCards(RING).blob_id(bytes(raw), LOCATION)


def test_a_card_of_another_piece_is_refused() -> None:
    raw = write_card(replace(CARD, piece_index=0), RING.primary, is_sealed=False)

    with pytest.raises(ValueError):
        RingCards(RING).blob_id(raw, LOCATION)


def test_a_card_under_a_key_that_is_not_on_the_ring_is_refused() -> None:
    other = KeyRing([new_ring_key(PROVIDER)], PROVIDER)
    raw = write_card(CARD, other.primary, is_sealed=False)

    with pytest.raises(KeyUnavailable):
        RingCards(RING).blob_id(raw, LOCATION)
