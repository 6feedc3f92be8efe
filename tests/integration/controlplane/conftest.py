"""Control planes over deployments of their own."""

from collections.abc import Iterator

import pytest

from tests.support.control import RunningPlane, write_config


@pytest.fixture(scope="module")
def shared_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlane]:
    """One plane for tests that change nothing."""
    with RunningPlane(write_config(tmp_path_factory.mktemp("plane"))) as plane:
        yield plane
