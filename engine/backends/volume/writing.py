"""Writing all of several buffers at one place of a file."""

import os
from collections.abc import Sequence

Buffer = bytes | memoryview


def write_all(fd: int, parts: Sequence[Buffer], offset: int) -> int:
    """Write the parts one behind the other; the offset behind them. Raises OSError, some of it then written."""
    left = [memoryview(part) for part in parts if len(part) > 0]
    while left:
        count = os.pwritev(fd, left, offset)
        offset += count
        # A short write is legal: a signal came, or the disk is almost full and the next call says so.
        while left and count >= len(left[0]):
            count -= len(left.pop(0))
        if count > 0:
            left[0] = left[0][count:]
    return offset
