"""The bytes of a piece on an S3 store: payload, then a tail that authenticates itself; pure, no network in sight.

Specified in docs/reference/formats/s3-piece.md, with vectors in tests/vectors/s3_piece.json.
"""

import hmac
import struct
from collections.abc import Callable
from dataclasses import dataclass

from engine.backends.base import PieceTail
from engine.units import BLOCK_BYTES, KIB

FORMAT_VERSION = 1
TRAILER_BYTES = 64
CRC_BYTES = 4

CARD_BYTES_MAX = 64 * KIB
"""No card is longer; it bounds what is read of a tail whose lengths are not known to be true yet."""

TRAILER_MAGIC = b"PNSTS3E\n"

_TRAILER = struct.Struct(">8sIIQQ")
_KEY_LENGTH = struct.Struct(">H")
_MAC_LABEL = b"penstock s3 piece 1\0"
_MAC_BYTES = 32

TrailerMac = Callable[[bytes, bytes], bytes]
"""The MAC of some bytes under the key that a card names: 32 bytes from card and covered bytes.

Raises SealBroken for what is no card, KeyUnavailable for one whose key is gone.
"""


class NotAPiece(Exception):
    """The bytes are no tail of the piece under this storage key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceShape:
    """Lengths of a piece, known before its first byte is sent. `card_room_bytes` is what its card may have."""

    payload_bytes: int
    card_room_bytes: int

    @property
    def crc_bytes(self) -> int:
        return -(-self.payload_bytes // BLOCK_BYTES) * CRC_BYTES

    @property
    def tail_bytes(self) -> int:
        """Everything after the payload."""
        return self.crc_bytes + self.card_room_bytes + TRAILER_BYTES

    @property
    def object_bytes(self) -> int:
        return self.payload_bytes + self.tail_bytes


def tail_bytes_max(payload_bytes: int) -> int:
    """The most that can follow such a payload."""
    return PieceShape(payload_bytes=payload_bytes, card_room_bytes=CARD_BYTES_MAX).tail_bytes


def write_tail(mac: TrailerMac, storage_key: str, shape: PieceShape, tail: PieceTail) -> bytes:
    """Everything after the payload: checksums, card, padding, trailer."""
    if len(tail.block_crcs) != shape.crc_bytes:
        raise ValueError("the block checksums are not those of the payload")
    if len(tail.card) > shape.card_room_bytes:
        raise ValueError(f"a card of {len(tail.card)} bytes where {shape.card_room_bytes} were announced")
    plain = _TRAILER.pack(
        TRAILER_MAGIC, FORMAT_VERSION, len(tail.card), shape.payload_bytes, shape.object_bytes
    )
    padded = tail.card.ljust(shape.card_room_bytes, b"\0")
    return tail.block_crcs + padded + plain + mac(tail.card, _covered(storage_key, plain, tail))


def read_tail(mac: TrailerMac, storage_key: str, payload_bytes: int, raw: bytes) -> PieceTail:
    """Checksums and card from all bytes after the payload; raises NotAPiece unless the MAC holds.

    Raises what `mac` raises for the card's key.
    """
    if len(raw) < TRAILER_BYTES or not raw[-TRAILER_BYTES:].startswith(TRAILER_MAGIC):
        raise NotAPiece
    plain, stored_mac = raw[-TRAILER_BYTES:-_MAC_BYTES], raw[-_MAC_BYTES:]
    _, version, card_bytes, stated_payload_bytes, object_bytes = _TRAILER.unpack(plain)
    shape = PieceShape(payload_bytes=payload_bytes, card_room_bytes=card_bytes)
    fits = stated_payload_bytes == payload_bytes and object_bytes == payload_bytes + len(raw)
    if version != FORMAT_VERSION or not fits or shape.tail_bytes > len(raw):
        raise NotAPiece
    tail = PieceTail(
        block_crcs=raw[: shape.crc_bytes], card=raw[shape.crc_bytes : shape.crc_bytes + card_bytes]
    )
    if not hmac.compare_digest(mac(tail.card, _covered(storage_key, plain, tail)), stored_mac):
        raise NotAPiece
    return tail


def payload_bytes_of(raw: bytes) -> int:
    """How long the payload is, by the end of a piece; to be believed once `read_tail` has. Raises NotAPiece."""
    if len(raw) < TRAILER_BYTES or not raw[-TRAILER_BYTES:].startswith(TRAILER_MAGIC):
        raise NotAPiece
    payload_bytes: int = _TRAILER.unpack(raw[-TRAILER_BYTES:-_MAC_BYTES])[3]
    return payload_bytes


def _covered(storage_key: str, plain: bytes, tail: PieceTail) -> bytes:
    key = storage_key.encode()
    return b"".join((_MAC_LABEL, _KEY_LENGTH.pack(len(key)), key, plain, tail.block_crcs, tail.card))
