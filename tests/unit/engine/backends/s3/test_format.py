"""The tail of a piece on an S3 store: as the page of the format has it, and nothing that was altered passes."""

import json
from pathlib import Path

import pytest
from blake3 import blake3

from engine.backends.base import PieceTail
from engine.backends.s3.format import NotAPiece, PieceShape, read_tail, write_tail

VECTORS = json.loads(Path("tests/vectors/s3_piece.json").read_text())
KEY = "pieces/ab/" + "0" * 30 + "ab"


def mac(card: bytes, covered: bytes) -> bytes:
    return blake3(covered, key=bytes.fromhex(VECTORS["mac_key"])).digest()


@pytest.mark.parametrize("vector", VECTORS["pieces"], ids=lambda each: each["about"])
def test_vectors_hold(vector: dict[str, object]) -> None:
    payload_bytes, room_bytes = int(str(vector["payload_bytes"])), int(str(vector["card_room_bytes"]))
    tail = PieceTail(block_crcs=bytes.fromhex(str(vector["block_crcs"])), card=str(vector["card"]).encode())
    shape = PieceShape(payload_bytes=payload_bytes, card_room_bytes=room_bytes)
    key = str(vector["storage_key"])

    written = write_tail(mac, key, shape, tail)

    assert written.hex() == vector["tail"]
    assert read_tail(mac, key, payload_bytes, written) == tail
    assert shape.object_bytes == vector["object_bytes"]


def test_no_flipped_bit_passes() -> None:
    shape = PieceShape(payload_bytes=10, card_room_bytes=8)
    written = write_tail(mac, KEY, shape, PieceTail(block_crcs=b"1234", card=b"card"))

    for index in range(len(written)):
        altered = bytearray(written)
        altered[index] ^= 1
        if 8 <= index < 12:
            # Room that the card did not need: nobody reads it.
            assert read_tail(mac, KEY, 10, bytes(altered)).card == b"card"
            continue
        with pytest.raises(NotAPiece):
            read_tail(mac, KEY, 10, bytes(altered))


@pytest.mark.parametrize(
    ("key", "payload_bytes", "cut"),
    [("pieces/ab/other", 10, 0), (KEY, 9, 0), (KEY, 10, 1), (KEY, 300_000, 0)],
)
def test_a_tail_of_another_piece_does_not_pass(key: str, payload_bytes: int, cut: int) -> None:
    shape = PieceShape(payload_bytes=10, card_room_bytes=4)
    written = write_tail(mac, KEY, shape, PieceTail(block_crcs=b"1234", card=b"card"))

    with pytest.raises(NotAPiece):
        read_tail(mac, key, payload_bytes, written[cut:])
