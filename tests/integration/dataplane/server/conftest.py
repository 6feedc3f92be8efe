"""One server a test, with its own bounds."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dataplane.server.settings import ServerSettings
from engine.settings.tls import TlsSettings
from tests.integration.dataplane.server.stub import Running, running
from tests.support.certificates import Authority

Serve = Callable[..., Running]


@pytest.fixture(params=["plain", "TLS"])
def serve(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Serve]:
    """Starts servers of plain HTTP; again for all that asks for it, servers of TLS."""
    tls: TlsSettings | None = None
    ca: Path | None = None
    if request.param == "TLS":
        authority = Authority(tmp_path / "tls")
        files = authority.issue("server")
        tls, ca = TlsSettings(cert=files.cert, key=files.key), authority.ca
    with ExitStack() as stack:

        def start(**bounds: float) -> Running:
            settings = ServerSettings(**{"tick_s": 0.02, **bounds})  # type: ignore[arg-type]
            return stack.enter_context(running(tmp_path, settings, tls=tls, ca=ca))

        yield start


@pytest.fixture
def server(serve: Serve) -> Running:
    return serve()
