"""`verify_reads: false` of a store: bytes go through pipes as they come, from another copy when it breaks off."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from engine.clock import uuid7
from engine.deployment.opening import OpenDeployment
from engine.deployment.reloading import Reloading
from engine.errors import CorruptEverywhere
from engine.metadata.processes import HEARTBEAT_S
from engine.names import BucketName, ObjectKey
from engine.objects.degradations import Degradation
from engine.objects.read import Span
from engine.streams import PipeRegion, Region
from engine.units import KIB, MIB
from tests.integration.engine.deployment.conftest import ENVIRON, AheadClock, Open, Site
from tests.integration.engine.deployment.test_s3_stores import far
from tests.integration.engine.deployment.test_stores import put
from tests.support.bodies import bytes_of, regions_of
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import BitFlip, Rate, Request, Reset
from tests.support.pieces import payload_of
from tests.support.s3_stores import RcloneStore

SIZE = 3 * MIB + 77
BODY = payload_of(SIZE)
OFF = ", verify_reads: false}\n"


@pytest.fixture
def rclone(tmp_path: Path) -> Iterator[RcloneStore]:
    with RcloneStore(tmp_path / "rclone") as store:
        yield store


@pytest.fixture
def proxy(rclone: RcloneStore) -> Iterator[FaultProxy]:
    at = urlsplit(rclone.place.endpoint)
    assert at.hostname is not None
    assert at.port is not None
    with FaultProxy(at.hostname, at.port) as proxy:
        yield proxy


def over_stores(site: Site, rclone: RcloneStore, proxy: FaultProxy, *names: str, more: str = OFF) -> None:
    """In place of the volumes, each reached through the proxy; a copy on each."""
    lines = [
        far(rclone, prefix=name, name=name).replace(rclone.place.endpoint, proxy.endpoint) for name in names
    ]
    for name in ("v1", "v2"):
        line = next(each for each in site.config.read_text().splitlines() if f"name: {name}," in each) + "\n"
        site.edit(line, "")
    site.edit("backends:\n", "backends:\n" + "".join(lines).replace("}\n", more))
    site.edit("quota_bytes: 1MiB", "quota_bytes: 100MiB")
    site.edit("buckets:\n", f"storage: {{default_scheme: copies({len(names)})}}\nbuckets:\n")


def reload(deployment: OpenDeployment, clock: AheadClock) -> None:
    Reloading(deployment.store, deployment.ring, deployment.settings, environ=ENVIRON, ids=uuid7).reload(
        author="somebody"
    )
    clock.move(HEARTBEAT_S)
    deployment.tick()


def read(deployment: OpenDeployment, start: int = 0, stop: int = SIZE) -> bytes:
    """As for a client that can be spliced to."""
    stored = deployment.use.reader.find(BucketName("abc"), ObjectKey(b"k"))
    source = deployment.use.reader.open(stored, Span(start=start, stop=stop), may_pipe=True)
    return b"".join(regions_of(source))


def count_of(deployment: OpenDeployment, kind: Degradation) -> int:
    return deployment.use.degradations.counts()[kind]


def is_of_a_piece(request: Request) -> bool:
    return request.method == "GET" and "/pieces/" in request.target


def ranges(proxy: FaultProxy) -> list[str]:
    return [each.header("range") for each in proxy.seen if is_of_a_piece(each)]


def test_a_flipped_bit_of_a_store_goes_out_from_the_read_after_a_reload_on(
    site: Site, opened: Open, rclone: RcloneStore, proxy: FaultProxy
) -> None:
    over_stores(site, rclone, proxy, "far", more="}\n")
    clock = AheadClock()
    deployment = opened(clock=clock)
    put(deployment, b"k", BODY)
    proxy.add(BitFlip(offset=1000), which=is_of_a_piece)

    with pytest.raises(CorruptEverywhere):
        read(deployment)
    site.edit("name: far,", "name: far, verify_reads: false,")
    reload(deployment, clock)
    unverified = read(deployment)
    site.edit("name: far, verify_reads: false,", "name: far,")
    reload(deployment, clock)
    with pytest.raises(CorruptEverywhere):
        read(deployment)

    assert [at for at in range(SIZE) if unverified[at] != BODY[at]] == [1000]
    assert count_of(deployment, Degradation.VERIFICATION_OFF) == 1


def test_bytes_go_through_pipes_and_the_pipes_are_used_again(
    site: Site, opened: Open, rclone: RcloneStore, proxy: FaultProxy
) -> None:
    over_stores(site, rclone, proxy, "far")
    deployment = opened()
    put(deployment, b"k", BODY)
    kinds: set[type[Region]] = set()

    for _ in range(3):
        stored = deployment.use.reader.find(BucketName("abc"), ObjectKey(b"k"))
        source = deployment.use.reader.open(stored, Span(start=0, stop=SIZE), may_pipe=True)
        got = bytearray()
        while (region := source.next_region()) is not None:
            kinds.add(type(region))
            got += bytes_of(region)
        source.close()
        assert got == BODY

    assert PipeRegion in kinds
    assert read(deployment) == BODY
    assert len(ranges(proxy)) == 4
    assert set(ranges(proxy)) == {f"bytes=0-{SIZE - 1}"}


@pytest.mark.parametrize(("start", "stop"), [(0, 100), (100, 400 * KIB), (MIB + 5, SIZE)])
def test_a_range_asks_for_its_own_bytes_and_no_others(
    site: Site, opened: Open, rclone: RcloneStore, proxy: FaultProxy, start: int, stop: int
) -> None:
    over_stores(site, rclone, proxy, "far")
    deployment = opened()
    put(deployment, b"k", BODY)

    assert read(deployment, start, stop) == BODY[start:stop]

    assert ranges(proxy) == [f"bytes={start}-{stop - 1}"]


@pytest.mark.parametrize("after_bytes", [0, 10, 200_000, 2 * MIB])
def test_a_store_that_breaks_off_is_left_at_that_byte(
    site: Site, opened: Open, rclone: RcloneStore, proxy: FaultProxy, after_bytes: int
) -> None:
    over_stores(site, rclone, proxy, "one", "two")
    deployment = opened()
    put(deployment, b"k", BODY)
    which = first_asked(deployment, proxy)

    def is_of_the_first(request: Request) -> bool:
        return is_of_a_piece(request) and which in request.target

    proxy.add(Reset(after_bytes=after_bytes), which=is_of_the_first, count=1)
    proxy.add(Reset(), which=is_of_the_first)

    assert read(deployment) == BODY

    assert proxy.struck_count > 0
    assert count_of(deployment, Degradation.READ_FAILED_OVER) >= 1
    assert count_of(deployment, Degradation.VERIFICATION_OFF) == 2


def test_a_store_that_is_slow_within_its_answer_is_left_at_that_byte(
    site: Site, opened: Open, rclone: RcloneStore, proxy: FaultProxy
) -> None:
    over_stores(site, rclone, proxy, "one", "two")
    deployment = opened()
    put(deployment, b"k", BODY)
    which = first_asked(deployment, proxy)
    proxy.add(Rate(1000), which=lambda each: is_of_a_piece(each) and which in each.target)

    assert read(deployment) == BODY

    assert proxy.struck_count > 0


def first_asked(deployment: OpenDeployment, proxy: FaultProxy) -> str:
    """Whose copy is read; it is told apart by what stands before its pieces."""
    assert read(deployment) == BODY
    asked = next(each for each in reversed(proxy.seen) if is_of_a_piece(each))
    return asked.target.partition("pieces/")[0]
