"""One deployment for all clients, and what each of them needs in its environment."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.served import Served

IS_LONG = os.environ.get("PENSTOCK_CLIENTS") == "long"
"""`make test-clients`: full sizes, and a client that is missing is a failure instead of a skip."""


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("clients"), volumes=2) as each:
        yield each


@pytest.fixture
def client_environment(served: Served, tmp_path: Path) -> dict[str, str]:
    """Credentials the way every AWS-like tool reads them, and a home of its own."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "AWS_ACCESS_KEY_ID": served.credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": served.credentials.secret_access_key,
        "AWS_DEFAULT_REGION": served.credentials.region,
        "AWS_ENDPOINT_URL": served.credentials.endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@pytest.fixture
def tool(client_environment: dict[str, str]) -> Callable[[str], str]:
    """The path of a client's program; a missing one is skipped by name, or fails in the long form."""

    def find(name: str) -> str:
        path = shutil.which(name, path=client_environment["PATH"])
        if path is None:
            told = f"{name} is not installed on this machine"
            if IS_LONG:
                pytest.fail(told)
            pytest.skip(told)
        return path

    return find
