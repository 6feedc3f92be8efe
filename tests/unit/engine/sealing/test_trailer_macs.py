"""A trailer is authentic to the holder of the key that its card names, and to nobody else."""

import pytest

from engine.backends.base import PieceTail
from engine.backends.s3.format import NotAPiece, PieceShape, read_tail, write_tail
from engine.errors import KeyUnavailable, SealBroken
from engine.sealing.trailer_macs import trailer_mac
from tests.support.sealed import make_ring
from tests.unit.engine.sealing.test_cards import RING, WRITTEN

KEY = "pieces/ab/0123"
CARD = WRITTEN[True]
TAIL = PieceTail(block_crcs=b"1234", card=CARD)
SHAPE = PieceShape(payload_bytes=10, card_room_bytes=len(CARD))


def test_a_trailer_reads_back_under_its_ring() -> None:
    written = write_tail(trailer_mac(RING), KEY, SHAPE, TAIL)

    assert read_tail(trailer_mac(RING), KEY, 10, written) == TAIL


def test_the_mac_of_a_card_is_not_that_of_a_trailer() -> None:
    mac = trailer_mac(RING)

    assert mac(CARD, b"penstock s3 piece 1\0") != CARD[-32:]
    with pytest.raises(NotAPiece):
        read_tail(mac, KEY, 10, write_tail(mac, KEY, SHAPE, TAIL)[:-32] + CARD[-32:])


def test_another_ring_has_not_the_key() -> None:
    written = write_tail(trailer_mac(RING), KEY, SHAPE, TAIL)

    with pytest.raises(KeyUnavailable):
        read_tail(trailer_mac(make_ring()), KEY, 10, written)


def test_what_is_no_card_names_no_key() -> None:
    with pytest.raises(SealBroken):
        trailer_mac(RING)(b"not a card", b"")
