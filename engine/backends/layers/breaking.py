"""Makes no call to a store that keeps failing, and tells how calls to it end.

Only a store that is out of reach or does not answer in time has failed. A piece that is missing or bad, a store that is
full, and whatever the caller did wrong say nothing about that.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from engine.backends.base import Backend, ListedPage, PieceReader, PieceTail, PieceWriter, StoredPiece
from engine.backends.layers.layer import Layer
from engine.errors import BackendShut, BackendTimeout, BackendUnavailable
from engine.pipes import Pipe
from engine.streams import FileRegion, Region


class Gate(Protocol):
    """Who may call a store now, and who wants to know what came of it. Safe for many threads."""

    def enter(self, *, is_probe: bool) -> int | None:
        """A pass for one call; null: it must not be made."""

    def enter_anyway(self) -> int | None:
        """A pass for a call that has nowhere else to go; null: enough others are trying."""

    def succeeded(self, entered: int, /) -> None:
        """The store did what it was asked."""

    def failed(self, entered: int, /) -> None:
        """The store was out of reach or did not answer in time."""

    def left(self, entered: int, /) -> None:
        """The call says nothing about that."""


class BreakingBackend(Layer):
    """A backend behind a breaker. While that is open, every call raises BackendShut at once.

    `check_identity` is the probe that may close it, and so may a read that has nowhere else to go.
    """

    def __init__(self, inner: Backend, gate: Gate) -> None:
        super().__init__(inner)
        self._gate = gate

    def store(
        self,
        payload: memoryview,
        tail: PieceTail,
        /,
        *,
        storage_key: str | None = None,
        patience_s: float | None = None,
    ) -> StoredPiece:
        with self._passing():
            return self.inner.store(payload, tail, storage_key=storage_key, patience_s=patience_s)

    def open_writer(
        self,
        payload_bytes: int,
        card_bytes_max: int,
        /,
        *,
        storage_key: str | None = None,
        patience_s: float | None = None,
    ) -> PieceWriter:
        entered = self._enter()
        with _told(self._gate, entered, ends_well=False):
            writer = self.inner.open_writer(
                payload_bytes, card_bytes_max, storage_key=storage_key, patience_s=patience_s
            )
        return _BreakingWriter(writer, self._gate, entered)

    def open_reader(
        self, storage_key: str, payload_bytes: int, /, *, is_last_choice: bool = False
    ) -> PieceReader:
        entered = self._let_in(self._gate.enter_anyway()) if is_last_choice else self._enter()
        with _told(self._gate, entered, ends_well=False):
            reader = self.inner.open_reader(storage_key, payload_bytes, is_last_choice=is_last_choice)
        return _BreakingReader(reader, self._gate, entered)

    def read_tail(self, storage_key: str, payload_bytes: int, /) -> PieceTail:
        with self._passing():
            return self.inner.read_tail(storage_key, payload_bytes)

    def verify_in_place(self, storage_key: str, payload_bytes: int, block_crcs: bytes, /) -> bool:
        with self._passing():
            return self.inner.verify_in_place(storage_key, payload_bytes, block_crcs)

    def delete(self, storage_key: str, stored_bytes: int, /) -> None:
        with self._passing():
            self.inner.delete(storage_key, stored_bytes)

    def check_identity(self) -> None:
        with self._passing(is_probe=True):
            self.inner.check_identity()

    def remove_identity(self) -> None:
        with self._passing():
            self.inner.remove_identity()

    def list_objects(self, token: str | None = None, /, *, after: str = "") -> ListedPage:
        with self._passing():
            return super().list_objects(token, after=after)

    def object_bytes(self, storage_key: str, /) -> int:
        with self._passing():
            return super().object_bytes(storage_key)

    def read_card(self, storage_key: str, object_bytes: int, /) -> bytes:
        with self._passing():
            return super().read_card(storage_key, object_bytes)

    @contextmanager
    def _passing(self, *, is_probe: bool = False) -> Iterator[None]:
        with _told(self._gate, self._enter(is_probe=is_probe)):
            yield

    def _enter(self, *, is_probe: bool = False) -> int:
        return self._let_in(self._gate.enter(is_probe=is_probe))

    def _let_in(self, entered: int | None) -> int:
        if entered is None:
            raise BackendShut("it failed again and again and is not asked for a while", backend=self.name)
        return entered


class _BreakingWriter:
    """A stream goes on when the breaker opens meanwhile: it is under way, and its end shows what became of it."""

    def __init__(self, inner: PieceWriter, gate: Gate, entered: int) -> None:
        self._inner = inner
        self._gate = gate
        self._entered = entered

    def write(self, payload: memoryview, /) -> None:
        # To hand bytes to the network proves nothing yet.
        with _told(self._gate, self._entered, ends_well=False):
            self._inner.write(payload)

    def finish(self, tail: PieceTail, /) -> StoredPiece:
        with _told(self._gate, self._entered):
            return self._inner.finish(tail)

    def abort(self) -> None:
        self._gate.left(self._entered)
        self._inner.abort()


class _BreakingReader:
    def __init__(self, inner: PieceReader, gate: Gate, entered: int) -> None:
        self._inner = inner
        self._gate = gate
        self._entered = entered

    def read_into(self, offset: int, buffer: memoryview, /, *, nowait: bool = False) -> None:
        with _told(self._gate, self._entered):
            self._inner.read_into(offset, buffer, nowait=nowait)

    def is_under_way(self, offset: int, size_bytes: int, /) -> bool:
        return self._inner.is_under_way(offset, size_bytes)

    def ask(self, offset: int, size_bytes: int, /, *, patience_s: float, is_all: bool = False) -> None:
        # One that is late has not failed: whoever asked it had less patience than it may need.
        with _told(self._gate, self._entered):
            self._inner.ask(offset, size_bytes, patience_s=patience_s, is_all=is_all)

    def take(
        self, offset: int, length: int, /, *, pipe: Pipe | None = None, nowait: bool = False
    ) -> Region | None:
        with _told(self._gate, self._entered):
            return self._inner.take(offset, length, pipe=pipe, nowait=nowait)

    def region(self, offset: int, length: int, /) -> FileRegion | None:
        return self._inner.region(offset, length)

    def close(self) -> None:
        self._gate.left(self._entered)
        self._inner.close()


@contextmanager
def _told(gate: Gate, entered: int, *, ends_well: bool = True) -> Iterator[None]:
    """Tell the gate how the call within ends; with `ends_well` false, an end without an error proves nothing."""
    try:
        yield
    except (BackendUnavailable, BackendTimeout):
        gate.failed(entered)
        raise
    except BaseException:
        gate.left(entered)
        raise
    if ends_well:
        gate.succeeded(entered)
