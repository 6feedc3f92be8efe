"""A deployment for each test, closed at its end."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.deployments import TestDeployment
from tests.support.engines import metadata_on, on_each_engine
from tests.support.objects import ObjectRig, Shape


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        on_each_engine(metafunc, "engine")


@pytest.fixture(autouse=True)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """The database of the test's deployments."""
    with metadata_on(request.param):
        yield request.param


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[TestDeployment]:
    """One node, one volume backend whose files are full at 200 KiB."""
    made = TestDeployment(tmp_path, size_max_bytes=200_000)
    yield made
    made.close()


MakeRig = Callable[..., ObjectRig]


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[MakeRig]:
    """Deployments of a wished shape behind the use cases of clients."""
    rigs: list[ObjectRig] = []

    def make(**shape: Any) -> ObjectRig:
        rig = ObjectRig(tmp_path / f"rig-{len(rigs)}", Shape(**shape))
        rigs.append(rig)
        return rig

    yield make
    for rig in rigs:
        rig.close()
