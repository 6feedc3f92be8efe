"""Pieces for tests: payloads with the checksums and cards that belong to them."""

import random

from awscrt.checksums import crc32c

from engine.backends.base import Backend, PieceTail, StoredPiece
from engine.units import BLOCK_BYTES


def payload_of(size_bytes: int, *, seed: int = 0) -> bytes:
    """Bytes that look random and are the same for the same seed."""
    return random.Random(f"{seed}:{size_bytes}").randbytes(size_bytes)


def crcs_of(payload: bytes) -> bytes:
    """The block checksums of a payload, packed."""
    blocks = (payload[start : start + BLOCK_BYTES] for start in range(0, len(payload), BLOCK_BYTES))
    return b"".join(crc32c(block).to_bytes(4, "big") for block in blocks)


def tail_of(payload: bytes, *, card: bytes = b"card") -> PieceTail:
    """What follows that payload."""
    return PieceTail(block_crcs=crcs_of(payload), card=card)


def read_all(backend: Backend, piece: StoredPiece, payload_bytes: int) -> bytes:
    """The whole payload of a piece."""
    buffer = bytearray(payload_bytes)
    reader = backend.open_reader(piece.storage_key, payload_bytes)
    try:
        reader.read_into(0, memoryview(buffer))
    finally:
        reader.close()
    return bytes(buffer)


def settle(piece: StoredPiece) -> StoredPiece:
    """Make a stored piece durable, as the store does before it commits."""
    if piece.barrier is not None:
        piece.barrier.sync()
    return piece
