"""A deployment for each test, closed at its end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deployments import TestDeployment


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[TestDeployment]:
    """One node, one volume backend whose files are full at 200 KiB."""
    made = TestDeployment(tmp_path, size_max_bytes=200_000)
    yield made
    made.close()
