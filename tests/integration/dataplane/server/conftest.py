"""One server a test, with its own bounds."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dataplane.server.settings import ServerSettings
from tests.integration.dataplane.server.stub import Running, running

Serve = Callable[..., Running]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    with ExitStack() as stack:

        def start(**bounds: float) -> Running:
            settings = ServerSettings(**{"tick_s": 0.02, **bounds})  # type: ignore[arg-type]
            return stack.enter_context(running(tmp_path, settings))

        yield start


@pytest.fixture
def server(serve: Serve) -> Running:
    return serve()
