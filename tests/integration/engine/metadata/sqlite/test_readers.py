"""Reads share a bounded number of connections; one that finds none waits for one, and no connection is lost."""

import threading
import time
from pathlib import Path

import pytest

from engine.errors import DatabaseUnavailable
from engine.metadata.sqlite import readers as module
from engine.metadata.sqlite.readers import READER_COUNT_MAX, Readers
from tests.support.metadata import open_sqlite


@pytest.fixture
def database(tmp_path: Path) -> Path:
    store = open_sqlite(tmp_path)
    store.close()
    return store.path


def test_the_connection_used_last_is_used_next(database: Path) -> None:
    readers = Readers(database)
    first, second = readers.take(), readers.take()
    readers.give_back(first)
    readers.give_back(second)

    assert readers.take() is second

    readers.give_back(second)
    readers.close()


def test_a_read_waits_for_a_connection_that_becomes_free(database: Path) -> None:
    readers = Readers(database)
    taken = [readers.take() for _ in range(READER_COUNT_MAX)]
    freeing = threading.Timer(0.05, readers.give_back, [taken[0]])
    freeing.start()

    assert readers.take() is taken[0]

    freeing.join()
    for each in taken:
        readers.give_back(each)
    readers.close()


def test_waiting_ends(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WRITE_TIMEOUT_S", 0.01)
    readers = Readers(database)
    taken = [readers.take() for _ in range(READER_COUNT_MAX)]

    with pytest.raises(DatabaseUnavailable):
        readers.take()

    for each in taken:
        readers.give_back(each)
    readers.close()


def test_nobody_waits_for_a_store_that_is_closed(database: Path) -> None:
    readers = Readers(database)
    readers.close()
    began_s = time.monotonic()

    with pytest.raises(DatabaseUnavailable):
        readers.take()

    assert time.monotonic() - began_s < 1.0


def test_many_threads_never_hold_one_connection_together(database: Path) -> None:
    readers = Readers(database)
    held: set[int] = set()
    doubled: list[int] = []

    def work() -> None:
        for _ in range(200):
            connection = readers.take()
            if id(connection) in held:
                doubled.append(id(connection))
            held.add(id(connection))
            connection.execute("SELECT 1").fetchall()
            held.discard(id(connection))
            readers.give_back(connection)

    threads = [threading.Thread(target=work) for _ in range(READER_COUNT_MAX * 2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert doubled == []
    readers.close()


def test_an_opening_that_fails_leaves_its_place(tmp_path: Path) -> None:
    readers = Readers(tmp_path / "no folder" / "database")

    for _ in range(READER_COUNT_MAX + 1):
        with pytest.raises(Exception, match="unable to open"):
            readers.take()
