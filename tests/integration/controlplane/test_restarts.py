"""A restart of processes is over once as many serve anew as did before, and not while one of them has yet to start."""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from penstock.admin.v1 import system_pb2, system_service_pb2

from engine.clock import uuid7
from engine.metadata import processes
from tests.integration.controlplane.clients import Client
from tests.support.control import RunningPlane, wait_until, write_config
from tests.support.engines import ENGINES
from tests.support.postgres import shared_server, with_database

WHILE_S = 0.4
"""Some looks of who waits for the restart."""


@pytest.fixture(params=ENGINES)
def plane(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningPlane]:
    config = write_config(tmp_path)
    database = shared_server().lend_database() if request.param == "postgres" else None
    if database is not None:
        text = config.read_text().replace("database: {path: metadata.sqlite}", "database:\n  path: x\n")
        config.write_text(with_database(text, shared_server(), database))
    with RunningPlane(config) as plane:
        yield plane
    if database is not None:
        shared_server().take_back_database(database)


class DataPlane:
    """What processes of a data plane write of themselves."""

    def __init__(self, plane: RunningPlane) -> None:
        self._store = plane.opened.store
        self._instance_id = plane.opened.instance_id

    def start(self) -> bytes:
        process_id = uuid7()
        unit = partial(
            processes.register,
            instance_id=self._instance_id,
            process_id=process_id,
            node="node-1",
            version="1",
            plane="dataplane",
            pid=os.getpid(),
            generation=1,
        )
        self._store.write(unit)
        return process_id

    def beat(self, process_id: bytes) -> None:
        self._store.write(partial(processes.beat, process_id=process_id, generation=1))

    def stop(self, process_id: bytes) -> None:
        self._store.write(partial(processes.stop, process_id=process_id))

    def is_asked(self) -> bool:
        looked = self._store.look("find_instance_wishes", {"instance_id": self._instance_id})
        return looked[0][2] is not None


@pytest.fixture
def data_plane(plane: RunningPlane) -> DataPlane:
    return DataPlane(plane)


@pytest.fixture
def restart(client: Client, data_plane: DataPlane) -> Iterator[Any]:
    """Asks for a restart; what is awaited, once it stands in the database."""
    with ThreadPoolExecutor(1) as pool:

        def ask() -> "Future[Any]":
            request = system_service_pb2.ReloadDataPlaneRequest(
                mode=system_pb2.RELOAD_MODE_RESTART_PROCESSES, wait=True
            )
            asked = pool.submit(client, "system", request)
            wait_until(data_plane.is_asked, "the wish")
            return asked

        yield ask


def is_going_on(asked: "Future[Any]") -> bool:
    try:
        asked.result(timeout=WHILE_S)
    except TimeoutError:
        return True
    return False


def test_it_waits_for_who_comes_in_the_place_of_the_last_one(data_plane: DataPlane, restart: Any) -> None:
    first, second = data_plane.start(), data_plane.start()

    asked = restart()
    assert is_going_on(asked)
    for each in (first, second):
        data_plane.beat(each)
    data_plane.stop(first)
    data_plane.start()
    assert is_going_on(asked)
    data_plane.stop(second)
    assert is_going_on(asked)
    data_plane.start()

    (result,) = asked.result(timeout=5).results
    assert (result.pending_count, result.process_count) == (0, 3)


def test_one_that_stops_before_it_shows_itself_again_is_waited_for_all_the_same(
    data_plane: DataPlane, restart: Any
) -> None:
    only = data_plane.start()

    asked = restart()
    data_plane.stop(only)
    assert is_going_on(asked)
    data_plane.start()

    assert asked.result(timeout=5).results[0].pending_count == 0


def test_each_that_stops_before_it_shows_itself_again_is_waited_for(
    data_plane: DataPlane, restart: Any
) -> None:
    first, second = data_plane.start(), data_plane.start()

    asked = restart()
    data_plane.stop(first)
    data_plane.start()
    data_plane.stop(second)
    assert is_going_on(asked)
    data_plane.start()

    assert asked.result(timeout=5).results[0].pending_count == 0


def test_nobody_is_waited_for_where_no_data_plane_serves(restart: Any) -> None:
    assert restart().result(timeout=5).results[0].pending_count == 0
