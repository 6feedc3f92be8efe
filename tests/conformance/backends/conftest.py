"""The backends every test of this folder runs against, each with a way to mint storage keys."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from engine.backends.base import Backend, PieceTail, PieceWriter, StoredPiece
from engine.backends.layers.breaking import BreakingBackend
from engine.backends.layers.metering import Amounts, MeteredBackend
from engine.backends.memory import MemoryBackend
from engine.backends.s3.place import S3Place
from engine.clock import SystemClock, uuid7
from engine.names import BackendName
from engine.placement.health import HealthBoard
from engine.records import UsageKind
from tests.support.s3_stores import PenstockStore, RcloneStore, make_s3_backend
from tests.support.volumes import make_volume_backend


class _Unlimited:
    """A meter of a backend without limits (`engine.backends.layers.metering.Meter`)."""

    def spend(self, amounts: Amounts, /, *, nowait: bool = False) -> float:
        return 0.0

    def give_back(self, amounts: Amounts, /, *, spent_at_s: float) -> None:
        pass

    def count(self, amounts: Amounts, /) -> None:
        pass

    def before_request(self, kind: UsageKind, /) -> None:
        pass

    def may_probe(self) -> bool:
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """A backend under test; keys are announced where it needs them."""

    backend: Backend
    next_key: Callable[[], str | None]
    verifies: bool = False
    """Whether the store can be asked to verify what it has."""

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


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], S3Place]]:
    """The places of S3 stores by name; each is started when it is first asked for, and serves all tests."""
    places: dict[str, S3Place] = {}
    with ExitStack() as running:

        def place_of(kind: str) -> S3Place:
            if kind not in places:
                folder = tmp_path_factory.mktemp(kind)
                store = PenstockStore(folder) if kind == "s3-penstock" else RcloneStore(folder)
                running.enter_context(store)
                places[kind] = store.place
            return places[kind]

        yield place_of


@pytest.fixture(params=["volume", "memory", "breaking", "metered", "s3-penstock", "s3-rclone"])
def rig(request: pytest.FixtureRequest, tmp_path: Path, stores: Callable[[str], S3Place]) -> Iterator[Rig]:
    backend: Backend
    next_key: Callable[[], str | None]
    if request.param == "volume":
        backend = make_volume_backend(tmp_path / "near")
        next_key = lambda: None  # noqa: E731 - the backend chooses
    else:
        numbers = itertools.count()
        next_key = lambda: f"pieces/00/{next(numbers):032x}"  # noqa: E731
        if request.param in ("memory", "breaking", "metered"):
            backend = MemoryBackend(backend_id=1, name=BackendName("near"))
            if request.param == "metered":
                backend = MeteredBackend(backend, _Unlimited())
        else:
            # Keys are used once, ever: every test has a prefix of its own.
            place = replace(stores(request.param), prefix=f"tests/{uuid7().hex()}")
            backend = make_s3_backend(place)
            backend.register(created_at_us=1_700_000_000_000_000)
    if request.param == "breaking":
        backend = BreakingBackend(backend, HealthBoard(SystemClock()).gate_of(1))
    yield Rig(backend=backend, next_key=next_key, verifies=request.param == "s3-penstock")
    backend.close()
