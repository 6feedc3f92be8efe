"""A PostgreSQL server that chaos tests may crash, and new databases on it."""

from collections.abc import Iterator

import pytest

from tests.support.instances import SharedDatabase
from tests.support.postgres import PostgresServer, running_server

_STANDBYS = {"wal_level": "replica", "max_wal_senders": "2"}
"""Without these no commit waits for a standby, whatever it is told."""


@pytest.fixture(scope="session")
def crashing_server() -> Iterator[PostgresServer]:
    """It syncs what it commits; whoever stops it starts it again."""
    with running_server(settings=_STANDBYS) as server:
        yield server


@pytest.fixture
def database(crashing_server: PostgresServer) -> Iterator[SharedDatabase]:
    """An empty one."""
    name = crashing_server.create_empty_database()
    yield SharedDatabase(server=crashing_server, name=name)
    crashing_server.drop_database(name)
