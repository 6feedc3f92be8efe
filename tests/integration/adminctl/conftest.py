"""A deployment made by `penstock init`, its control plane in a process of its own, and the real `adminctl`."""

from collections.abc import Iterator

import pytest

from tests.integration.adminctl.running import ControlProcess


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlProcess]:
    """One process for tests that leave it as it is."""
    with ControlProcess(tmp_path_factory.mktemp("control")) as running:
        yield running
