"""The next blob of a long read is asked for while the one before goes out, where that takes a network."""

import threading

import pytest

from engine.backends.base import Backend, PieceReader
from engine.errors import BackendError, BackendUnavailable
from engine.objects.read import Span
from engine.records import Copies, Sealing
from engine.streams import FileRegion
from engine.units import BLOCK_BYTES, MIB
from tests.integration.engine.objects.conftest import MakeRig
from tests.support.objects import ObjectRig
from tests.support.pieces import payload_of

CHUNK = MIB
BODY = payload_of(3 * CHUNK + 12_345)
WAIT_S = 5.0


class Network:
    """What was asked of the stores behind it, and what is to go wrong."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, int]] = []
        self.open_count = 0
        self.errors: list[BackendError] = []
        self._changed = threading.Condition()

    def wrap(self, inner: Backend) -> Backend:
        return Behind(inner, self)  # type: ignore[return-value]

    def note(self, storage_key: str, offset: int, size_bytes: int) -> None:
        with self._changed:
            self.asked.append((storage_key, offset, size_bytes))
            self._changed.notify_all()
        if self.errors:
            raise self.errors.pop()

    def wait_until_asked(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.asked) >= count, WAIT_S), self.asked


class Behind:
    """A backend whose readers ask before they read."""

    def __init__(self, inner: Backend, network: Network) -> None:
        self._inner = inner
        self._network = network

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def open_reader(
        self, storage_key: str, payload_bytes: int, /, *, is_last_choice: bool = False
    ) -> PieceReader:
        self._network.open_count += 1
        return _Reader(self._inner.open_reader(storage_key, payload_bytes), storage_key, self._network)


class _Reader:
    def __init__(self, inner: PieceReader, storage_key: str, network: Network) -> None:
        self._inner = inner
        self._storage_key = storage_key
        self._network = network
        self._next = self._stop = 0

    def is_under_way(self, offset: int, size_bytes: int, /) -> bool:
        return offset == self._next and offset + size_bytes <= self._stop

    def ask(self, offset: int, size_bytes: int, /, *, patience_s: float, is_all: bool = False) -> None:
        if not self.is_under_way(offset, size_bytes):
            self._network.note(self._storage_key, offset, size_bytes)
            self._next, self._stop = offset, offset + size_bytes

    def read_into(self, offset: int, buffer: memoryview, /, *, nowait: bool = False) -> None:
        self._inner.read_into(offset, buffer, nowait=nowait)
        self._next = offset + len(buffer)

    def take(self, offset: int, length: int, /, *, pipe: object = None, nowait: bool = False) -> None:
        """Its bytes are read."""

    def region(self, offset: int, length: int, /) -> FileRegion | None:
        return None

    def close(self) -> None:
        self._network.open_count -= 1
        self._inner.close()


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture(params=[Sealing.NONE, Sealing.ALL], ids=["plain", "sealed"])
def rig(request: pytest.FixtureRequest, make_rig: MakeRig, network: Network) -> ObjectRig:
    made = make_rig(
        wrap_backend=network.wrap, volume_count=0, memory_count=1, chunk_bytes=CHUNK, seal=request.param
    )
    made.put("k", BODY)
    return made


def test_the_next_blob_is_asked_for_before_the_one_before_has_gone_out(
    rig: ObjectRig, network: Network
) -> None:
    stored = rig.find("k")
    keys = [one.locations[0].storage_key for one in stored.slices]
    source = rig.objects.reader.open(stored, Span(start=0, stop=len(BODY)))

    first = source.next_region()

    assert first is not None
    network.wait_until_asked(1)
    assert [(key, offset) for key, offset, _ in network.asked] == [(keys[1], 0)]
    (asked,) = {size for _, _, size in network.asked}
    assert asked >= CHUNK
    source.close()


def test_what_was_asked_ahead_is_read_and_asked_for_once(rig: ObjectRig, network: Network) -> None:
    assert rig.get("k") == BODY

    assert len(network.asked) == len(rig.find("k").slices) - 1
    assert network.open_count == 0


def test_a_range_that_ends_in_a_blob_asks_for_no_other(rig: ObjectRig, network: Network) -> None:
    assert rig.get("k", 10, CHUNK) == BODY[10:CHUNK]
    assert network.asked == []

    start, stop = CHUNK - 10, CHUNK + 10
    assert rig.get("k", start, stop) == BODY[start:stop]

    ((_, _, size),) = network.asked
    assert size < 2 * BLOCK_BYTES


def test_a_reader_that_leaves_gives_back_what_was_asked_for(rig: ObjectRig, network: Network) -> None:
    source = rig.objects.reader.open(rig.find("k"), Span(start=0, stop=len(BODY)))
    source.next_region()
    network.wait_until_asked(1)

    source.close()
    source.close()

    rig.hedges.close()
    assert network.open_count == 0


def test_a_question_ahead_that_fails_costs_nothing_but_itself(make_rig: MakeRig, network: Network) -> None:
    rig = make_rig(
        wrap_backend=network.wrap, volume_count=0, memory_count=2, chunk_bytes=CHUNK, scheme=Copies(count=2)
    )
    rig.put("k", BODY)
    network.errors.append(BackendUnavailable("gone", backend="cloud-0"))

    assert rig.get("k") == BODY

    assert network.errors == []
    assert network.open_count == 0
