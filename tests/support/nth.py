"""Which call fails: every one in the long form, and in the short one some, each engine others."""

import os
from collections.abc import Iterator

IS_EVERY = "PENSTOCK_NTH" in os.environ

FIRST_COUNT = 2
"""So many are always among them, as some calls are made no more often."""


def numbers(engine: str, end: int, *, start: int = 0, stride: int = 12) -> Iterator[int]:
    """Ascending from `start` to below `end`. Without `PENSTOCK_NTH` the first ones and then one in `stride`."""
    offset = 0 if engine == "sqlite" else 1
    for number in range(start, end):
        if IS_EVERY or number < start + FIRST_COUNT or number % stride == offset:
            yield number
