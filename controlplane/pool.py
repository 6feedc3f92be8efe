"""The bounded pool that engine calls of the control plane run on: the event loop never waits for a disk."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
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
        """Run on a thread and return what it returns; raises Overloaded when too many wait.

        A call whose caller goes away is carried out all the same, and counts until it has ended: callers that come
        back again and again pile nothing up.
        """
        if self._under_way_count >= THREAD_COUNT + WAITING_COUNT_MAX:
            raise Overloaded(what="the control plane's pool")
        # The call goes on in the caller's context: whose it is, and what it is traced as.
        within = copy_context()
        under_way = asyncio.wrap_future(self._threads.submit(within.run, partial(call, *args, **kwargs)))
        self._under_way_count += 1
        under_way.add_done_callback(self._ended)
        return await asyncio.shield(under_way)

    def _ended(self, call: asyncio.Future[T]) -> None:
        self._under_way_count -= 1
        if not call.cancelled():
            # Looked at here, so that an error nobody waits for any more is no complaint of the loop's.
            call.exception()

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
