"""The metadata stores every test of this folder runs against; two of them on one database are two processes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.metadata.store import Store
from tests.conformance.metadata.two import Two
from tests.support.metadata import SetClock, make_backend, make_bucket, open_sqlite
from tests.support.postgres import open_postgres, shared_server

OpenStore = Callable[[], Store]


@pytest.fixture
def clock() -> SetClock:
    """The database's clock; it moves only when a test moves it."""
    return SetClock()


ENGINES = ["sqlite", "postgres"]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Which database the test runs on."""
    return str(request.param)


@pytest.fixture
def open_store(engine: str, tmp_path: Path, clock: SetClock) -> Iterator[OpenStore]:
    """Opens the test's one database as another process would; all are closed at the end."""
    opened: list[Store] = []
    database = shared_server().lend_database() if engine == "postgres" else ""

    def open_one() -> Store:
        if engine == "postgres":
            opened.append(open_postgres(shared_server(), database, clock=clock))
        else:
            opened.append(open_sqlite(tmp_path, clock=clock))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()
    if database:
        shared_server().take_back_database(database)


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    return open_store()


@pytest.fixture(scope="module", params=ENGINES)
def module_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store for tests of one module that fill it once and only read."""
    opened: Store
    database = ""
    if request.param == "postgres":
        database = shared_server().lend_database()
        opened = open_postgres(shared_server(), database, clock=SetClock())
    else:
        opened = open_sqlite(tmp_path_factory.mktemp("filled"), clock=SetClock())
    yield opened
    opened.close()
    if database:
        shared_server().take_back_database(database)


@pytest.fixture
def two(open_store: OpenStore) -> Two:
    near, far = open_store(), open_store()
    return Two(near=near, far=far, bucket=make_bucket(near), backend_id=make_backend(near, kind="memory"))
