"""The metadata stores every test of this folder runs against; two of them on one database are two processes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.metadata.store import Store
from tests.support.metadata import SetClock, open_sqlite

OpenStore = Callable[[], Store]


@pytest.fixture
def clock() -> SetClock:
    """The database's clock; it moves only when a test moves it."""
    return SetClock()


ENGINES = ["sqlite"]


@pytest.fixture(params=ENGINES)
def open_store(request: pytest.FixtureRequest, tmp_path: Path, clock: SetClock) -> Iterator[OpenStore]:
    """Opens the test's one database as another process would; all are closed at the end."""
    opened: list[Store] = []

    def open_one() -> Store:
        opened.append(open_sqlite(tmp_path, clock=clock))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    return open_store()


@pytest.fixture(scope="module", params=ENGINES)
def module_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store for tests of one module that fill it once and only read."""
    opened = open_sqlite(tmp_path_factory.mktemp("filled"), clock=SetClock())
    yield opened
    opened.close()
