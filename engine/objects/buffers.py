"""Blocks of memory that bodies pass through, used again so that no request pays for fresh ones."""

from engine.units import BLOCK_BYTES

KEPT_COUNT_MAX = 32
"""Blocks kept for the next taker, 8 MiB in all; more may be out at once, one or two a stream."""


class BlockPool:
    """Buffers of one block (256 KiB). Safe for many threads: a list's append and pop are atomic."""

    def __init__(self, *, kept_count_max: int = KEPT_COUNT_MAX) -> None:
        self._kept: list[bytearray] = []
        self._kept_count_max = kept_count_max

    def take(self) -> bytearray:
        """A buffer of one block with whatever bytes it held before."""
        try:
            return self._kept.pop()
        except IndexError:
            return bytearray(BLOCK_BYTES)

    def give_back(self, buffer: bytearray) -> None:
        """The caller holds no view of it any more."""
        if len(self._kept) < self._kept_count_max:
            self._kept.append(buffer)
