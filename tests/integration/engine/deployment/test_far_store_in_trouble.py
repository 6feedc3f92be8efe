"""A store behind a bad network: what lies on two backends is read byte by byte, writes go on, and it is used again."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from engine.placement.breaker import BreakerState
from engine.placement.health import Health
from tests.integration.engine.deployment.conftest import Open, Site
from tests.integration.engine.deployment.test_s3_stores import V2, far
from tests.integration.engine.deployment.test_stores import get, id_of, put
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import BitFlip, BlackHole, Fault, Latency, Refusal, Reset, Truncate
from tests.support.s3_stores import RcloneStore

BODY = os.urandom(60_000)
TROUBLE_S = 60.0


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


@pytest.mark.parametrize(
    "fault",
    [
        Refusal(500),
        Reset(),
        Truncate(1000),
        Truncate(1000, is_clean=True),
        BitFlip(0),
        Latency(30.0),
        BlackHole(),
    ],
    ids=lambda each: type(each).__name__,
)
def test_reads_are_whole_and_writes_go_on(
    site: Site, opened: Open, rclone: RcloneStore, proxy: FaultProxy, fault: Fault
) -> None:
    # Volumes on one disk would be one failure domain.
    other = V2.replace("}", ", failure_domain: other}")
    site.edit(V2, other + far(rclone).replace(rclone.place.endpoint, proxy.endpoint))
    site.edit("buckets:\n", "storage: {default_scheme: copies(2)}\nbuckets:\n")
    deployment = opened()
    backend_id = id_of(deployment, "far")
    for number in range(8):
        put(deployment, b"before-%d" % number, BODY)
    proxy.add(fault)

    for number in range(8):
        assert get(deployment, b"before-%d" % number) == BODY
        put(deployment, b"during-%d" % number, BODY)
        assert get(deployment, b"during-%d" % number) == BODY

    proxy.clear()
    began_s = time.monotonic()
    while deployment.health.health_of(backend_id) is not Health.HEALTHY:
        assert time.monotonic() - began_s < TROUBLE_S
        deployment.tick()
        time.sleep(0.5)
    assert deployment.health.view_of(backend_id).breaker is BreakerState.CLOSED
    put(deployment, b"after", BODY)
    assert get(deployment, b"after") == BODY
