"""CRCs the slow way, bit by bit and by matrices over GF(2), to hold the fast ones against."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Crc:
    """A reflected CRC whose register begins and ends inverted. `polynomial` is written lowest power first."""

    bits: int
    polynomial: int

    @property
    def ones(self) -> int:
        return (1 << self.bits) - 1


CRC32 = Crc(bits=32, polynomial=0xEDB88320)
CRC32C = Crc(bits=32, polynomial=0x82F63B78)
CRC64NVME = Crc(bits=64, polynomial=0x9A6C9329AC4BC9B5)


def crc_bitwise(crc: Crc, data: bytes) -> int:
    register = crc.ones
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (crc.polynomial if register & 1 else 0)
    return register ^ crc.ones


def crc_combined(crc: Crc, first: int, second: int, second_bytes: int) -> int:
    """The CRC of two runs of bytes from their CRCs and the second's length: the first moved on by zeros, plus that."""
    # Column i of the matrix says what becomes of bit i when one zero bit follows.
    step = [crc.polynomial, *(1 << bit for bit in range(crc.bits - 1))]
    moved, bits = first, second_bytes * 8
    while bits:
        if bits & 1:
            moved = _times(step, moved)
        step = [_times(step, column) for column in step]
        bits >>= 1
    return moved ^ second


def _times(matrix: list[int], vector: int) -> int:
    total = 0
    for bit, column in enumerate(matrix):
        if vector >> bit & 1:
            total ^= column
    return total
