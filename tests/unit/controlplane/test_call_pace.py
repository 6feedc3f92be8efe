"""Bursts are taken on at once, a flood one call after the other."""

import asyncio
from itertools import pairwise

from controlplane.pace import Steady


async def waits(pace: Steady, count: int) -> list[float]:
    """How long each of some calls at once waits for its turn."""
    loop = asyncio.get_running_loop()
    started_s = loop.time()

    async def one() -> float:
        await pace.turn()
        return loop.time() - started_s

    return sorted(await asyncio.gather(*(one() for _ in range(count))))


def test_a_burst_waits_for_nothing_and_what_follows_takes_turns() -> None:
    async def run() -> list[float]:
        loop = asyncio.get_running_loop()
        return await waits(Steady(loop.time, calls_per_s=100, burst_count=10), 20)

    took = asyncio.run(run())

    assert took[9] < 0.05
    assert 0.09 <= took[19] < 1.0
    assert all(later >= earlier for earlier, later in pairwise(took))


def test_after_a_rest_a_burst_is_a_burst_again_and_no_longer_one() -> None:
    now = [0.0]

    async def run() -> tuple[float, float]:
        pace = Steady(lambda: now[0], calls_per_s=1000, burst_count=5)
        await waits(pace, 8)
        now[0] = 1000.0
        took = await waits(pace, 8)
        return took[4], took[7]

    fifth_s, eighth_s = asyncio.run(run())

    assert fifth_s < 0.05
    assert eighth_s >= 0.002
