"""Control planes over deployments of their own, and clients of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.controlplane.clients import Client
from tests.support.control import RunningPlane, write_config


@pytest.fixture(scope="module")
def shared_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlane]:
    """One plane for tests that change nothing."""
    with RunningPlane(write_config(tmp_path_factory.mktemp("plane"))) as plane:
        yield plane


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RunningPlane]:
    with RunningPlane(write_config(tmp_path)) as plane:
        yield plane


@pytest.fixture
def client(plane: RunningPlane) -> Iterator[Client]:
    with plane.channel(socket="admin") as channel:
        yield Client(channel)


@pytest.fixture
def reader(shared_plane: RunningPlane) -> Iterator[Client]:
    """For tests that change nothing."""
    with shared_plane.channel(socket="viewer") as channel:
        yield Client(channel)
