"""The real control plane killed in the middle of a comparison of all there is: nothing is looked at twice."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from controlplane.operations.integrity import FSCK
from engine.clock import uuid7
from engine.metadata import operations
from engine.metadata.operations import OperationState
from engine.units import KIB, MIB
from tests.integration.controlplane.operations.test_kills import WAIT_S, Site, site_on
from tests.integration.controlplane.operations.works import look
from tests.support.control import put_object, wait_until
from tests.support.engines import ENGINES
from tests.support.pieces import payload_of

OBJECT_COUNT = 16
OBJECT_BYTES = 512 * KIB
RATE_BYTES = 3 * MIB


class RealSite(Site):
    """Its control planes are those that are served."""

    def _program(self, config: Path) -> list[str]:
        return ["-P", "-m", "controlplane", "--config", str(config)]

    def begin_fsck(self) -> str:
        unit = partial(
            operations.start,
            name=f"operations/{uuid7().hex()}",
            method=FSCK,
            target="backends/-",
            request={"skip_payloads": False, "max_bytes_per_second": RATE_BYTES},
            creator="tester",
        )
        return self.deployment.store.write(unit).name


@pytest.fixture(params=ENGINES)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RealSite]:
    with site_on(request.param, tmp_path, RealSite) as made:
        yield made


def test_fsck_goes_on_where_the_one_that_was_killed_had_come_to(site: RealSite) -> None:
    for number in range(OBJECT_COUNT):
        put_object(site.deployment, "photos", f"key-{number}", payload_of(OBJECT_BYTES, seed=number))
    store, all_bytes = site.deployment.store, OBJECT_COUNT * OBJECT_BYTES
    name = site.begin_fsck()
    killed = site.start("first")
    wait_until(lambda: look(store, name).progress.done_bytes >= all_bytes // 3, "a third of it")
    killed.kill()
    killed.wait(WAIT_S)
    done_bytes = look(store, name).progress.done_bytes
    assert done_bytes < all_bytes
    site.end_leases()

    site.start("second" if site.is_shared else "first")
    site.wait_for_end(name)

    row = look(store, name)
    assert (row.state, row.progress.done_bytes) == (OperationState.SUCCEEDED, all_bytes)
    result = cast(dict[str, object], row.result)
    assert (result["is_clean"], result["finding_count"]) == (True, 0)
    counts = cast(dict[str, int], result["counts"])
    assert (counts["verified_bytes"], counts["blob_count"]) == (all_bytes, OBJECT_COUNT)
