"""Two far copies of which one hangs: its first reader waits for a moment, the next ones not at all."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from engine.objects.hedging import PATIENCE_S
from engine.units import MIB
from tests.integration.engine.deployment.conftest import Open, Site
from tests.integration.engine.deployment.test_s3_stores import far
from tests.integration.engine.deployment.test_stores import get, put
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import BlackHole, Fault, Latency, Rate, Request
from tests.support.s3_stores import RcloneStore

KEY_COUNT = 8
BODY = os.urandom(60_000)
LONG_BODY = os.urandom(MIB)
READ_MAX_S = 4.0
"""The wait for a store is 1.5 s at most; the rest is for busy machines. Its own deadline is 10 s."""


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


def two_far_copies(site: Site, rclone: RcloneStore, proxy: FaultProxy, *, more: str = "") -> None:
    steady = far(rclone, prefix="steady", name="steady")
    through = far(rclone, prefix="through", name="through").replace(rclone.place.endpoint, proxy.endpoint)
    for name in ("v1", "v2"):
        line = next(each for each in site.config.read_text().splitlines() if f"name: {name}," in each) + "\n"
        site.edit(line, "")
    site.edit("backends:\n", "backends:\n" + (steady + through).replace("}\n", more + "}\n"))
    site.edit("quota_bytes: 1MiB", "quota_bytes: 100MiB")
    site.edit("buckets:\n", "storage: {default_scheme: copies(2)}\nbuckets:\n")


def is_of_a_piece(request: Request) -> bool:
    return request.method == "GET" and "/pieces/" in request.target


@pytest.mark.parametrize("fault", [Latency(30.0), BlackHole()], ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("more", ["", ", hedge: false"], ids=["hedged", "unhedged"])
def test_a_store_that_hangs_makes_no_reader_wait_long(
    site: Site, opened: Open, rclone: RcloneStore, proxy: FaultProxy, fault: Fault, more: str
) -> None:
    two_far_copies(site, rclone, proxy, more=more)
    deployment = opened()
    for number in range(KEY_COUNT):
        put(deployment, b"k%d" % number, BODY)
    proxy.add(fault, which=is_of_a_piece)

    took_s = []
    for number in range(KEY_COUNT):
        began_s = time.monotonic()
        assert get(deployment, b"k%d" % number) == BODY
        took_s.append(time.monotonic() - began_s)

    assert proxy.struck_count > 0
    assert max(took_s) < READ_MAX_S
    won_count = deployment.use.hedge_counts.won_count
    if more:
        assert won_count == 0
    else:
        assert won_count > 0
        assert sum(took_s) < KEY_COUNT * PATIENCE_S


def test_a_store_that_stops_in_the_middle_is_left_at_that_byte(
    site: Site, opened: Open, rclone: RcloneStore, proxy: FaultProxy
) -> None:
    two_far_copies(site, rclone, proxy)
    deployment = opened()
    for number in range(KEY_COUNT):
        put(deployment, b"k%d" % number, LONG_BODY[: MIB // 2 + number])
    # The head of an answer comes at once, and its body a minute later.
    proxy.add(Rate(1000), which=is_of_a_piece)

    took_s = []
    for number in range(KEY_COUNT):
        began_s = time.monotonic()
        assert get(deployment, b"k%d" % number) == LONG_BODY[: MIB // 2 + number]
        took_s.append(time.monotonic() - began_s)

    assert proxy.struck_count > 0
    assert max(took_s) < READ_MAX_S
