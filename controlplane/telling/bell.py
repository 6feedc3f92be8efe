"""Wakes a coroutine from any thread, and once for however many reasons there were meanwhile."""

import asyncio


class Bell:
    """Made on the loop of whoever waits."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._is_rung = False

    def ring(self) -> None:
        """From any thread."""
        if self._is_rung:
            return
        self._is_rung = True
        try:
            self._loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:
            # The loop has ended, and whoever waited with it.
            pass

    async def wait(self) -> None:
        """Returns at the next ring, or at once when there was one since the last return."""
        await self._event.wait()
        self._event.clear()
        self._is_rung = False
