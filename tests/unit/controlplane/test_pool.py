"""The pool is bounded, whatever becomes of those who wait for its calls."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from controlplane.pool import THREAD_COUNT, WAITING_COUNT_MAX, EnginePool
from engine.errors import NoSuchResource, Overloaded

BOUND = THREAD_COUNT + WAITING_COUNT_MAX


@pytest.fixture
def pool() -> Iterator[EnginePool]:
    pool = EnginePool()
    yield pool
    pool.close()


def test_a_call_returns_what_it_returns_and_raises_what_it_raises(pool: EnginePool) -> None:
    def refuse() -> None:
        raise NoSuchResource(name="backends/x")

    async def calls() -> int:
        with pytest.raises(NoSuchResource):
            await pool.run(refuse)
        return await pool.run(int, "12", base=16)

    assert asyncio.run(calls()) == 0x12


def test_one_call_more_than_may_wait_is_refused_and_room_comes_back(pool: EnginePool) -> None:
    may_go = threading.Event()

    async def calls() -> bool:
        waiting = [asyncio.ensure_future(pool.run(may_go.wait, 20)) for _ in range(BOUND)]
        await asyncio.sleep(0)

        with pytest.raises(Overloaded):
            await pool.run(may_go.is_set)
        may_go.set()
        await asyncio.gather(*waiting)
        return await pool.run(may_go.is_set)

    assert asyncio.run(calls())


def test_calls_that_nobody_waits_for_any_more_still_count(pool: EnginePool) -> None:
    may_go = threading.Event()

    async def calls() -> bool:
        waiting = [asyncio.ensure_future(pool.run(may_go.wait, 20)) for _ in range(BOUND)]
        await asyncio.sleep(0)
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

        with pytest.raises(Overloaded):
            await pool.run(may_go.is_set)
        may_go.set()
        while True:
            try:
                return await pool.run(may_go.is_set)
            except Overloaded:
                await asyncio.sleep(0.001)

    assert asyncio.run(calls())


def test_an_error_nobody_waits_for_is_not_heard_of_again(
    pool: EnginePool, caplog: pytest.LogCaptureFixture
) -> None:
    may_go, has_failed = threading.Event(), threading.Event()

    def fail() -> None:
        may_go.wait(20)
        has_failed.set()
        raise NoSuchResource(name="x")

    async def calls() -> None:
        waiting = asyncio.ensure_future(pool.run(fail))
        await asyncio.sleep(0)
        waiting.cancel()
        may_go.set()
        await pool.run(has_failed.wait, 20)
        await asyncio.sleep(0)

    asyncio.run(calls())

    assert "never retrieved" not in caplog.text
