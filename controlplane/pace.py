"""How fast calls of a listener are taken on: a flood waits its turn, and the processors are left to S3 clients."""

import asyncio
from collections.abc import Callable
from typing import Protocol

BURST_COUNT = 100
"""Calls that are taken on at once after a while of rest."""


class Pace(Protocol):
    """What a call waits for before it is looked at."""

    async def turn(self) -> None:
        """Returns when it is the call's turn. How many wait is bounded by the calls that a listener takes at once."""


class AtWill:
    """No pace: for sockets that only their owner reaches."""

    async def turn(self) -> None:
        return


class Steady:
    """Bursts at once, then one call after the other. A caller that goes away leaves its turn unused."""

    def __init__(
        self,
        now_s: Callable[[], float],
        *,
        calls_per_s: float,
        burst_count: int = BURST_COUNT,
    ) -> None:
        self._now_s = now_s
        self._gap_s = 1 / calls_per_s
        self._burst_s = burst_count / calls_per_s
        self._next_s = float("-inf")

    async def turn(self) -> None:
        now_s = self._now_s()
        self._next_s = max(self._next_s, now_s - self._burst_s) + self._gap_s
        if self._next_s > now_s:
            await asyncio.sleep(self._next_s - now_s)
