"""Every use of a metered backend is spent before it is made, and a deletion is never refused."""

from collections import Counter
from collections.abc import Mapping

import pytest

from engine.backends.layers.layer import innermost
from engine.backends.layers.metering import MeteredBackend
from engine.backends.memory import Call, Fault, MemoryBackend
from engine.errors import BackendOverLimit, BackendUnavailable
from engine.names import BackendName
from engine.records import UsageKind
from engine.streams import WouldBlock
from engine.units import BLOCK_BYTES
from tests.support.pieces import payload_of, tail_of

KEY = "pieces/00/1"


class FakeMeter:
    """Counts, and refuses kinds that are used up."""

    def __init__(self) -> None:
        self.used: Counter[UsageKind] = Counter()
        self.over: set[UsageKind] = set()
        self.probes = True

    def spend(self, amounts: Mapping[UsageKind, int], /, *, nowait: bool = False) -> float:
        for kind in amounts:
            if kind in self.over:
                raise BackendOverLimit(backend="near", kind=kind.value, resets_in_s=1.0)
        self.used.update(amounts)
        return 0.0

    def give_back(self, amounts: Mapping[UsageKind, int], /, *, spent_at_s: float) -> None:
        self.used.subtract(amounts)

    def count(self, amounts: Mapping[UsageKind, int], /) -> None:
        self.used.update(amounts)

    def before_request(self, kind: UsageKind, /) -> None:
        self.used[kind] += 1

    def may_probe(self) -> bool:
        return self.probes


@pytest.fixture
def meter() -> FakeMeter:
    return FakeMeter()


@pytest.fixture
def inner() -> MemoryBackend:
    return MemoryBackend(backend_id=1, name=BackendName("near"))


@pytest.fixture
def backend(inner: MemoryBackend, meter: FakeMeter) -> MeteredBackend:
    return MeteredBackend(inner, meter)


def test_a_write_is_a_request_and_all_that_the_piece_occupies(
    backend: MeteredBackend, meter: FakeMeter
) -> None:
    payload = payload_of(5000)

    piece = backend.store(memoryview(payload), tail_of(payload), storage_key=KEY)

    assert meter.used == {UsageKind.WRITE_REQUESTS: 1, UsageKind.INGRESS_BYTES: piece.stored_bytes}


@pytest.mark.parametrize("kind", [UsageKind.WRITE_REQUESTS, UsageKind.INGRESS_BYTES])
def test_a_write_past_a_limit_does_not_reach_the_store(
    backend: MeteredBackend, inner: MemoryBackend, meter: FakeMeter, kind: UsageKind
) -> None:
    payload = payload_of(5000)
    meter.over = {kind}

    with pytest.raises(BackendOverLimit):
        backend.store(memoryview(payload), tail_of(payload), storage_key=KEY)
    with pytest.raises(BackendOverLimit):
        backend.open_writer(len(payload), 100, storage_key=KEY)

    assert inner.storage_keys() == []


def test_a_stream_that_is_given_up_gives_back_what_it_did_not_send(
    backend: MeteredBackend, meter: FakeMeter
) -> None:
    writer = backend.open_writer(5000, 100, storage_key=KEY)
    writer.write(memoryview(payload_of(1200)))

    writer.abort()
    writer.abort()

    assert meter.used[UsageKind.INGRESS_BYTES] == 1200


def test_a_stream_whose_end_is_in_doubt_gives_nothing_back(
    backend: MeteredBackend, inner: MemoryBackend, meter: FakeMeter
) -> None:
    payload = payload_of(5000)
    tail = tail_of(payload)
    inner.faults.add(Call.FINISH, Fault.UNAVAILABLE)
    writer = backend.open_writer(len(payload), len(tail.card), storage_key=KEY)
    writer.write(memoryview(payload))

    with pytest.raises(BackendUnavailable):
        writer.finish(tail)
    writer.abort()

    assert meter.used[UsageKind.INGRESS_BYTES] == inner.occupied_bytes(len(payload), len(tail.card))


def test_reads_that_follow_each_other_are_one_request_and_every_byte_counts(
    backend: MeteredBackend, meter: FakeMeter
) -> None:
    payload = payload_of(2 * BLOCK_BYTES + 500)
    backend.store(memoryview(payload), tail_of(payload), storage_key=KEY)
    reader = backend.open_reader(KEY, len(payload))
    block = memoryview(bytearray(BLOCK_BYTES))

    reader.read_into(0, block)
    reader.read_into(BLOCK_BYTES, block)
    reader.read_into(BLOCK_BYTES, block[:10])

    assert meter.used[UsageKind.READ_REQUESTS] == 2
    assert meter.used[UsageKind.EGRESS_BYTES] == 2 * BLOCK_BYTES + 10


def test_bytes_asked_for_are_spent_once_and_given_back_where_they_are_not_read(
    backend: MeteredBackend, meter: FakeMeter
) -> None:
    payload = payload_of(2 * BLOCK_BYTES)
    backend.store(memoryview(payload), tail_of(payload), storage_key=KEY)
    reader = backend.open_reader(KEY, len(payload))
    block = memoryview(bytearray(BLOCK_BYTES))

    reader.ask(0, 2 * BLOCK_BYTES, patience_s=1.0)
    assert meter.used[UsageKind.EGRESS_BYTES] == 2 * BLOCK_BYTES
    reader.read_into(0, block)
    reader.read_into(BLOCK_BYTES, block[:100])
    assert meter.used[UsageKind.EGRESS_BYTES] == 2 * BLOCK_BYTES
    reader.close()
    reader.close()

    assert meter.used[UsageKind.EGRESS_BYTES] == BLOCK_BYTES + 100


def test_bytes_beyond_those_asked_for_are_spent_when_they_are_read(
    backend: MeteredBackend, meter: FakeMeter
) -> None:
    payload = payload_of(2 * BLOCK_BYTES)
    backend.store(memoryview(payload), tail_of(payload), storage_key=KEY)
    reader = backend.open_reader(KEY, len(payload))
    block = memoryview(bytearray(BLOCK_BYTES))

    reader.ask(0, BLOCK_BYTES, patience_s=1.0)
    reader.read_into(0, block)
    reader.read_into(BLOCK_BYTES, block)
    reader.close()

    assert meter.used[UsageKind.EGRESS_BYTES] == 2 * BLOCK_BYTES


def test_bytes_past_a_limit_are_not_asked_for(backend: MeteredBackend, meter: FakeMeter) -> None:
    payload = payload_of(100)
    backend.store(memoryview(payload), tail_of(payload), storage_key=KEY)
    reader = backend.open_reader(KEY, len(payload))
    meter.over = {UsageKind.EGRESS_BYTES}

    with pytest.raises(BackendOverLimit):
        reader.ask(0, 100, patience_s=1.0)

    reader.close()
    assert meter.used[UsageKind.EGRESS_BYTES] == 0


def test_a_read_that_would_wait_uses_nothing(backend: MeteredBackend, meter: FakeMeter) -> None:
    payload = payload_of(100)
    backend.store(memoryview(payload), tail_of(payload), storage_key=KEY)
    reader = backend.open_reader(KEY, len(payload))

    with pytest.raises(WouldBlock):
        reader.read_into(0, memoryview(bytearray(100)), nowait=True)

    assert meter.used[UsageKind.READ_REQUESTS] == meter.used[UsageKind.EGRESS_BYTES] == 0


def test_a_tail_costs_a_request_and_its_own_bytes(backend: MeteredBackend, meter: FakeMeter) -> None:
    payload = payload_of(5000)
    tail = tail_of(payload)
    piece = backend.store(memoryview(payload), tail, storage_key=KEY)

    assert backend.read_tail(KEY, len(payload)) == tail

    assert meter.used[UsageKind.READ_REQUESTS] == 1
    assert meter.used[UsageKind.EGRESS_BYTES] == piece.stored_bytes - len(payload)


def test_deletions_are_counted_and_never_refused(
    backend: MeteredBackend, inner: MemoryBackend, meter: FakeMeter
) -> None:
    payload = payload_of(100)
    piece = backend.store(memoryview(payload), tail_of(payload), storage_key=KEY)
    meter.over = set(UsageKind)

    backend.delete(KEY, piece.stored_bytes)

    assert inner.storage_keys() == []
    assert meter.used[UsageKind.DELETE_REQUESTS] == 1


def test_an_identity_is_looked_at_as_often_as_the_limit_allows(
    backend: MeteredBackend, inner: MemoryBackend, meter: FakeMeter
) -> None:
    backend.check_identity()
    meter.probes = False
    backend.check_identity()

    assert meter.used[UsageKind.READ_REQUESTS] == 1


def test_past_the_limit_what_was_proved_holds_and_what_was_not_is_not_trusted(
    inner: MemoryBackend, meter: FakeMeter
) -> None:
    proved, never_seen = MeteredBackend(inner, meter), MeteredBackend(inner, meter)
    proved.check_identity()
    meter.over = {UsageKind.READ_REQUESTS}

    proved.check_identity()

    with pytest.raises(BackendOverLimit):
        never_seen.check_identity()


def test_the_store_within_can_be_had(backend: MeteredBackend, inner: MemoryBackend) -> None:
    assert innermost(MeteredBackend(backend, FakeMeter())) is inner
    assert innermost(inner) is inner
