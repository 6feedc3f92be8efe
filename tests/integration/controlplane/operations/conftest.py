"""Deployments that operations are carried out in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.deployment.opening import OpenDeployment, open_deployment
from tests.support.control import write_config


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[OpenDeployment]:
    opened = open_deployment(write_config(tmp_path), {}, plane="controlplane", version="1")
    yield opened
    opened.close()
