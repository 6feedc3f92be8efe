"""Bytes of limited stores, set aside for a whole body before its first byte goes out: what begins can end."""

from collections.abc import Callable, Iterable
from typing import Protocol

from engine.backends.base import Backend
from engine.errors import BackendError, BackendOverLimit, UsageLimitReached
from engine.objects.piece_choice import PieceChoice
from engine.records import StoredSlice

GiveBack = Callable[[], None]

Part = tuple[StoredSlice, int]
"""A slice with the stored bytes of it that a body takes."""


class Reserver(Protocol):
    """Who knows what may be read of backends this month. Safe for many threads."""

    @property
    def is_needed(self) -> bool:
        """Whether any backend has a limit of bytes read."""

    def is_limited(self, backend_id: int, /) -> bool: ...

    def reserve(self, backend: Backend, size_bytes: int, /) -> GiveBack:
        """Use so many bytes ahead of reading them; raises BackendOverLimit, BackendUnavailable."""


class Reservation:
    """What is set aside for the blobs of one body that have no copy without limits. For one thread at a time."""

    def __init__(self, reserver: Reserver, choice: PieceChoice) -> None:
        self._reserver = reserver
        self._choice = choice
        # By place in the object: one blob may serve it twice.
        self._held: dict[int, GiveBack] = {}

    def take(self, parts: Iterable[Part]) -> None:
        """Set aside what these take. Raises UsageLimitReached when it is more than the month has left; nothing is then.

        Where a store cannot be asked, or a copy without limits stands, nothing needs to be set aside.
        """
        try:
            for stored, size_bytes in parts:
                self._take(stored, size_bytes)
        except BaseException:
            self.close()
            raise

    def release(self, stored: StoredSlice) -> bool:
        """Give back what was set aside for a slice, whose reader uses it now; whether there was any."""
        give_back = self._held.pop(stored.segment.start_offset, None)
        if give_back is not None:
            give_back()
        return give_back is not None

    def close(self) -> None:
        """Give all of it back; a second call does nothing."""
        while self._held:
            _, give_back = self._held.popitem()
            give_back()

    def _take(self, stored: StoredSlice, size_bytes: int) -> None:
        locations = self._choice.in_order(stored.blob.blob_id, tuple(stored.locations))
        if not all(self._reserver.is_limited(each.backend_id) for each in locations):
            return
        if self._choice.has_cached(stored.blob.blob_id, tuple(stored.locations)):
            return
        over: list[BackendOverLimit] = []
        for location in locations:
            try:
                backend = self._choice.backend_of(location)
                self._held[stored.segment.start_offset] = self._reserver.reserve(backend, size_bytes)
                return
            except BackendOverLimit as error:
                over.append(error)
            except BackendError:
                continue
        if over and len(over) == len(locations):
            raise UsageLimitReached(
                f"the {size_bytes} bytes of blob {stored.blob.blob_id.hex()} are more than the month has left",
                resets_in_s=min(error.resets_in_s for error in over),
            )
