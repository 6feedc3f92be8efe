"""A committer whose connection can be made to fail."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.engine.metadata.sqlite.faulty import Rig
from tests.support.metadata import SetClock

OpenRig = Callable[..., Rig]


@pytest.fixture
def open_rig(tmp_path: Path) -> Iterator[OpenRig]:
    opened: list[Rig] = []

    def open_one(
        *, clock: SetClock | None = None, lock_timeout_s: float = 30.0, settle_timeout_s: float = 60.0
    ) -> Rig:
        rig = Rig(tmp_path, clock=clock, lock_timeout_s=lock_timeout_s, settle_timeout_s=settle_timeout_s)
        opened.append(rig)
        return rig

    yield open_one
    for each in opened:
        each.close()


@pytest.fixture
def rig(open_rig: OpenRig) -> Rig:
    return open_rig()
