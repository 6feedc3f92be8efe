"""A small deployment and a client of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.dataplane.in_process import InProcess
from tests.support.engines import metadata_on, on_each_engine
from tests.support.objects import ObjectRig


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        on_each_engine(metafunc, "engine")


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """The database of the test's deployments."""
    with metadata_on(request.param):
        yield request.param


@pytest.fixture
def rig(engine: str, tmp_path: Path) -> Iterator[ObjectRig]:
    made = ObjectRig(tmp_path)
    yield made
    made.close()


@pytest.fixture
def endpoint(rig: ObjectRig) -> InProcess:
    return InProcess(rig)


@pytest.fixture
def client(endpoint: InProcess) -> Any:
    """boto3 with its defaults; the bucket `photos` is there."""
    return endpoint.client()
