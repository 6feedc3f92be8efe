"""The bounded pool that engine calls of the control plane run on: the event loop never waits for a disk."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from engine.errors import Overloaded

P = ParamSpec("P")
T = TypeVar("T")

THREAD_COUNT = 8
WAITING_COUNT_MAX = 256
"""Calls that may wait for a thread; more are refused at once."""


class EnginePool:
    """Runs engine calls for servicers."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREAD_COUNT, thread_name_prefix="engine")
        self._under_way_count = 0

    async def run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run on a thread and return what it returns; raises Overloaded when too many wait."""
        if self._under_way_count >= THREAD_COUNT + WAITING_COUNT_MAX:
            raise Overloaded(what="the control plane's pool")
        self._under_way_count += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, lambda: call(*args, **kwargs))
        finally:
            self._under_way_count -= 1

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
