"""A real store that answers reads and refuses writes is found out by a trial, and used again after the next one."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from engine.metadata.backends import list_backends
from engine.objects.placing import VIEW_AGE_MAX_S
from engine.upkeep.write_canary import WriteCanary
from tests.integration.engine.deployment.conftest import AheadClock, Open, Site
from tests.integration.engine.deployment.test_s3_stores import far
from tests.integration.engine.deployment.test_stores import get, put
from tests.integration.engine.deployment.test_usage_limits import places_of
from tests.support.deployments import no_fence
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Refusal
from tests.support.metadata import run_sql
from tests.support.s3_stores import BUCKET, RcloneStore


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


def test_a_store_that_refuses_writes_is_left_alone_until_it_takes_one(
    any_site: Site, opened: Open, rclone: RcloneStore, proxy: FaultProxy
) -> None:
    # The store comes first, which is where everything goes.
    through = far(rclone).replace(rclone.place.endpoint, proxy.endpoint)
    any_site.edit("backends:\n", "routing: pack\nbackends:\n" + through)
    clock = AheadClock()
    deployment = opened(clock=clock)

    def try_writes() -> str | None:
        """What a run of the worker makes of the store."""
        unit = WriteCanary(
            deployment.store,
            deployment.backends,
            deployment.use.holder,
            fence=no_fence,
            clock=clock,
            ring=deployment.ring,
            limits={},
        )
        while unit.work().has_more:
            pass
        clock.move(2 * VIEW_AGE_MAX_S)
        (row,) = [each for each in deployment.store.read(list_backends) if each.name == "far"]
        return row.write_problem

    put(deployment, b"before", b"x" * 1000)
    assert places_of(deployment, b"before") == {"far"}
    assert try_writes() is None
    left = [path for path in (rclone.folder / "data" / BUCKET).rglob("*") if path.is_file()]
    assert len(left) == 2

    run_sql(deployment.store, "UPDATE backend_canaries SET checked_at_us = 0")
    proxy.add(Refusal(403), which=lambda request: request.method == "PUT")
    problem = try_writes()
    assert problem is not None
    assert "403" in problem
    put(deployment, b"during", b"x" * 1000)
    assert places_of(deployment, b"during") == {"v1"}
    assert get(deployment, b"before") == b"x" * 1000

    proxy.clear()
    assert try_writes() is None
    put(deployment, b"after", b"x" * 1000)
    assert places_of(deployment, b"after") == {"far"}
