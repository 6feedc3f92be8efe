"""The backends every test of this folder runs against, each with a way to mint storage keys."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.backends.base import Backend, PieceTail, PieceWriter, StoredPiece
from engine.backends.memory import MemoryBackend
from engine.names import BackendName
from tests.support.volumes import make_volume_backend


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """A backend under test; keys are announced where it needs them."""

    backend: Backend
    next_key: Callable[[], str | None]

    def store(self, payload: bytes, tail: PieceTail) -> StoredPiece:
        return self.backend.store(memoryview(payload), tail, storage_key=self.next_key())

    def open_writer(self, payload_bytes: int, card_bytes_max: int) -> PieceWriter:
        return self.backend.open_writer(payload_bytes, card_bytes_max, storage_key=self.next_key())

    def stream(self, payload: bytes, tail: PieceTail, *, chunk_bytes: int = 100_000) -> StoredPiece:
        writer = self.open_writer(len(payload), len(tail.card))
        for start in range(0, len(payload), chunk_bytes):
            writer.write(memoryview(payload)[start : start + chunk_bytes])
        return writer.finish(tail)

    def missing_key(self) -> str:
        """A well-formed key of this backend that was never written."""
        return self.next_key() or f"{'0' * 31}1:0000002000"


@pytest.fixture(params=["volume", "memory"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    backend: Backend
    next_key: Callable[[], str | None]
    if request.param == "volume":
        backend = make_volume_backend(tmp_path / "near")
        next_key = lambda: None  # noqa: E731 - the backend chooses
    else:
        backend = MemoryBackend(backend_id=1, name=BackendName("near"))
        numbers = itertools.count()
        next_key = lambda: f"pieces/00/{next(numbers):032x}"  # noqa: E731
    yield Rig(backend=backend, next_key=next_key)
    backend.close()
