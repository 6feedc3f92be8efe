"""A store with one worker known to it, and deployments for the roster to work on."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.metadata.sqlite.store import SqliteStore
from engine.metadata.workers import apply_worker
from tests.support.deployments import TestClock
from tests.support.metadata import open_sqlite
from tests.support.objects import ObjectRig, Shape

WORKER = "reaper"
INTERVAL_S = 600.0

MakeRig = Callable[..., ObjectRig]


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def store(tmp_path: Path, clock: TestClock) -> Iterator[SqliteStore]:
    """A database that knows one worker, which rests for ten minutes."""
    made = open_sqlite(tmp_path, clock=clock)
    made.write(lambda tx: apply_worker(tx, WORKER, is_enabled=True, interval_s=INTERVAL_S))
    yield made
    made.close()


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[MakeRig]:
    rigs: list[ObjectRig] = []

    def make(**shape: Any) -> ObjectRig:
        rig = ObjectRig(tmp_path / f"rig-{len(rigs)}", Shape(**shape))
        rigs.append(rig)
        return rig

    yield make
    for rig in rigs:
        rig.close()
