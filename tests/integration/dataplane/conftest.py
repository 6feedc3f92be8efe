"""A small deployment and a client of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.dataplane.in_process import InProcess
from tests.support.objects import ObjectRig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[ObjectRig]:
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
