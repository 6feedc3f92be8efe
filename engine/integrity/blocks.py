"""Block checksums: one CRC32C for every 256 KiB of stored payload, packed big-endian."""

import struct

from awscrt.checksums import combine_crc32c, crc32c

from engine.units import BLOCK_BYTES

CRC_BYTES = 4
Buffer = bytes | bytearray | memoryview


def block_crc_matches(block_crcs: bytes, index: int, block: Buffer) -> bool:
    """Whether a whole block (the last one may be short) is what its checksum says. No checksum, no match."""
    start = index * CRC_BYTES
    expected = block_crcs[start : start + CRC_BYTES]
    return len(expected) == CRC_BYTES and bool(crc32c(block) == int.from_bytes(expected, "big"))


def block_crcs(payload: Buffer) -> bytes:
    """Packed checksums of a payload held in memory."""
    view = memoryview(payload)
    return b"".join(
        struct.pack(">I", crc32c(view[start : start + BLOCK_BYTES]))
        for start in range(0, len(view), BLOCK_BYTES)
    )


def whole_crc(block_crcs: bytes, size_bytes: int) -> int:
    """The CRC32C of a payload of that size from its blocks' checksums."""
    whole = 0
    for index, (crc,) in enumerate(struct.iter_unpack(">I", block_crcs)):
        whole = combine_crc32c(whole, crc, min(BLOCK_BYTES, size_bytes - index * BLOCK_BYTES))
    return int(whole)


class BlockChecksums:
    """Packed checksums of a payload that streams by in pieces of any size."""

    def __init__(self) -> None:
        self._packed = bytearray()
        self._crc = 0
        self._filled_bytes = 0

    def update(self, buffer: Buffer) -> None:
        view = memoryview(buffer)
        position = 0
        while position < len(view):
            step = view[position : position + BLOCK_BYTES - self._filled_bytes]
            self._crc = crc32c(step, self._crc)
            self._filled_bytes += len(step)
            position += len(step)
            if self._filled_bytes == BLOCK_BYTES:
                self._close_block()

    def finish(self) -> bytes:
        """All checksums, the last block's included. Nothing may follow."""
        if self._filled_bytes:
            self._close_block()
        return bytes(self._packed)

    def _close_block(self) -> None:
        self._packed += struct.pack(">I", self._crc)
        self._crc = 0
        self._filled_bytes = 0
