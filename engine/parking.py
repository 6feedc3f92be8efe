"""Callers that are set aside while they wait for another thread or for a socket, instead of blocking their own."""

from collections.abc import Callable
from typing import Protocol


class Parked(Protocol):
    """Waits of one caller, one after the other, and those who end them."""

    def park(self, timeout_s: float, /) -> bool:
        """Return once woken, or at once if that has happened already; false when the time is over.

        Other callers run on this thread meanwhile, so the caller holds no lock that one of them may ask for.
        """

    def park_on(self, fd: int, *, for_write: bool, timeout_s: float) -> bool:
        """Return once the descriptor can be read (or written, when `for_write`); false when the time is over.

        It may return early. Nobody else waits for the descriptor. The end of the time is seen within half a second.
        """

    def let_others_run(self) -> None:
        """Return once all who can run now have run: what they ask for meanwhile can be had together."""

    def wake(self) -> None:
        """End a `park`, the present or else the next one. For any thread, at any time, more than once as well."""


Park = Callable[[], Parked | None]
"""A wait of the present caller; null for one that has a thread of its own to block."""


def nobody() -> None:
    """Every caller has a thread of its own."""
