"""What one process tells, others hear at once, also those with thousands of open files."""

import os
import resource
import threading
from collections.abc import Iterator

import pytest

from engine.metadata.postgres.listening import Listener
from tests.support.postgres import open_postgres, shared_server

SELECT_MAX = 1024
"""Descriptors from here on are none that `select` takes."""

WAIT_S = 20.0


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4 * SELECT_MAX, hard), hard))
    taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(SELECT_MAX)]
    yield
    for each in taken:
        os.close(each)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
def test_a_process_with_more_than_a_thousand_open_files_hears() -> None:
    database = shared_server().lend_database()
    store = open_postgres(shared_server(), database)
    heard = threading.Semaphore(0)
    listener = Listener(shared_server().target(database, max_conns=2), heard.release)
    try:
        # It looks once when it begins to listen.
        assert heard.acquire(timeout=WAIT_S)

        store.write(lambda tx: tx.tell())

        assert heard.acquire(timeout=WAIT_S)
    finally:
        listener.close()
        store.close()
        shared_server().take_back_database(database)
