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


@pytest.fixture(params=["sqlite"])
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
