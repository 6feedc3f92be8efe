"""Every request that a metered S3 backend sends is counted before it is sent, whatever made it necessary."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from engine.backends.layers.metering import MeteredBackend
from engine.backends.s3.backend import S3Backend
from engine.errors import BackendOverLimit
from engine.pipes import Pipe
from engine.records import UsageKind
from engine.streams import region_bytes
from engine.units import BLOCK_BYTES, MIB
from tests.support.bodies import bytes_of
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Latency, Request
from tests.support.pieces import payload_of, tail_of
from tests.support.s3_stores import RcloneStore, no_key_mac
from tests.support.volumes import DEPLOYMENT_ID, IDENTITY_ID, NAME

_KINDS = {
    "PUT": UsageKind.WRITE_REQUESTS,
    "GET": UsageKind.READ_REQUESTS,
    "HEAD": UsageKind.READ_REQUESTS,
    "DELETE": UsageKind.DELETE_REQUESTS,
}


@dataclass
class CountingMeter:
    """A meter (`engine.backends.layers.metering.Meter`) that refuses kinds that are used up."""

    used: Counter[UsageKind] = field(default_factory=Counter)
    over: set[UsageKind] = field(default_factory=set)

    def spend(self, amounts: Mapping[UsageKind, int], /, *, nowait: bool = False) -> float:
        if self.over & set(amounts):
            raise BackendOverLimit(backend=NAME, kind="tested", resets_in_s=1.0)
        self.used.update(amounts)
        return 0.0

    def give_back(self, amounts: Mapping[UsageKind, int], /, *, spent_at_s: float) -> None:
        self.used.subtract(amounts)

    def count(self, amounts: Mapping[UsageKind, int], /) -> None:
        self.used.update(amounts)

    def before_request(self, kind: UsageKind, /) -> None:
        if kind is UsageKind.DELETE_REQUESTS:
            self.count({kind: 1})
        else:
            self.spend({kind: 1})

    def may_probe(self) -> bool:
        return True


@dataclass
class Store:
    """A metered backend over a real store, and the requests that arrived there, by class."""

    backend: MeteredBackend
    meter: CountingMeter
    arrived: Counter[UsageKind]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    arrived: Counter[UsageKind] = Counter()

    def count(request: Request) -> bool:
        is_listing = request.method == "GET" and "?" in request.target
        arrived[UsageKind.WRITE_REQUESTS if is_listing else _KINDS[request.method]] += 1
        return False

    with RcloneStore(tmp_path) as rclone:
        address = urlsplit(rclone.place.endpoint)
        assert address.hostname is not None
        assert address.port is not None
        with FaultProxy(address.hostname, address.port) as proxy:
            proxy.add(Latency(seconds=0.0), which=count)
            meter = CountingMeter()
            bare = S3Backend(
                backend_id=1,
                name=NAME,
                place=replace(rclone.place, endpoint=proxy.endpoint),
                deployment_id=DEPLOYMENT_ID,
                identity_id=IDENTITY_ID,
                mac=no_key_mac,
                before_request=meter.before_request,
            )
            bare.register(created_at_us=1_700_000_000_000_000)
            yield Store(MeteredBackend(bare, meter, counts_requests=False), meter, arrived)
            bare.close()


def requests_of(meter: CountingMeter) -> dict[UsageKind, int]:
    return {kind: count for kind, count in meter.used.items() if kind in _KINDS.values() and count}


def test_what_is_counted_is_what_arrives(store: Store) -> None:
    payload = payload_of(3 * MIB)
    tail = tail_of(payload)
    writer = store.backend.open_writer(len(payload), len(tail.card), storage_key="pieces/00/1")
    for start in range(0, len(payload), BLOCK_BYTES):
        writer.write(memoryview(payload)[start : start + BLOCK_BYTES])
    writer.finish(tail)
    small = store.backend.store(
        memoryview(payload)[:1000], tail_of(payload[:1000]), storage_key="pieces/00/2"
    )
    reader = store.backend.open_reader("pieces/00/1", len(payload))
    block = memoryview(bytearray(BLOCK_BYTES))
    for start in (*range(0, len(payload), BLOCK_BYTES), BLOCK_BYTES, 0):
        reader.read_into(start, block)
    reader.close()
    store.backend.read_tail("pieces/00/1", len(payload))
    store.backend.check_identity()
    store.backend.delete("pieces/00/2", small.stored_bytes)

    assert requests_of(store.meter) == dict(store.arrived)
    assert store.meter.used[UsageKind.EGRESS_BYTES] >= 3 * MIB + 2 * BLOCK_BYTES
    assert store.meter.used[UsageKind.READ_REQUESTS] >= 5


@pytest.mark.parametrize(("start", "stop"), [(0, 100), (100, 400_000), (MIB + 5, 3 * MIB)])
@pytest.mark.parametrize("is_piped", [True, False])
def test_what_is_taken_unseen_is_counted_as_it_is_asked_for(
    store: Store, start: int, stop: int, is_piped: bool
) -> None:
    payload = payload_of(3 * MIB)
    tail = tail_of(payload)
    writer = store.backend.open_writer(len(payload), len(tail.card), storage_key="pieces/00/1")
    writer.write(memoryview(payload))
    writer.finish(tail)
    used = store.meter.used[UsageKind.EGRESS_BYTES]
    reader = store.backend.open_reader("pieces/00/1", len(payload))
    pipe = Pipe() if is_piped else None

    at, taken = start, bytearray()
    while at < stop:
        region = reader.take(at, stop - at, pipe=pipe)
        if region is None:
            region = memoryview(bytearray(min(stop - at, BLOCK_BYTES)))
            reader.read_into(at, region)
        assert store.meter.used[UsageKind.EGRESS_BYTES] - used == stop - start
        taken += bytes_of(region)
        at = start + len(taken)
    reader.close()

    assert taken == payload[start:stop]
    assert store.meter.used[UsageKind.EGRESS_BYTES] - used == stop - start
    assert requests_of(store.meter) == dict(store.arrived)
    if pipe is not None:
        pipe.close()


def test_what_was_not_taken_is_given_back(store: Store) -> None:
    payload = payload_of(3 * MIB)
    tail = tail_of(payload)
    writer = store.backend.open_writer(len(payload), len(tail.card), storage_key="pieces/00/1")
    writer.write(memoryview(payload))
    writer.finish(tail)
    used = store.meter.used[UsageKind.EGRESS_BYTES]
    reader = store.backend.open_reader("pieces/00/1", len(payload))
    pipe = Pipe()

    region = reader.take(0, len(payload), pipe=pipe)
    reader.close()

    assert region is not None
    assert store.meter.used[UsageKind.EGRESS_BYTES] - used == region_bytes(region)
    pipe.close()


def test_past_a_limit_nothing_is_sent_and_no_bytes_are_counted(store: Store) -> None:
    payload = payload_of(1000)
    tail = tail_of(payload)
    store.backend.store(memoryview(payload), tail, storage_key="pieces/00/1")
    before = dict(store.arrived)
    used = Counter(store.meter.used)
    store.meter.over = {UsageKind.WRITE_REQUESTS, UsageKind.READ_REQUESTS}

    with pytest.raises(BackendOverLimit):
        store.backend.store(memoryview(payload), tail, storage_key="pieces/00/2")
    with pytest.raises(BackendOverLimit):
        store.backend.open_writer(len(payload), len(tail.card), storage_key="pieces/00/3")
    reader = store.backend.open_reader("pieces/00/1", len(payload))
    with pytest.raises(BackendOverLimit):
        reader.read_into(0, memoryview(bytearray(1000)))

    assert dict(store.arrived) == before
    for kind in (UsageKind.EGRESS_BYTES, UsageKind.INGRESS_BYTES):
        assert store.meter.used[kind] == used[kind]
