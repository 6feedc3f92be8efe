"""Deployments of the shapes these tests ask for, closed when they end."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.objects import ObjectRig, Shape

MakeRig = Callable[..., ObjectRig]


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


@pytest.fixture
def rig(make_rig: MakeRig) -> ObjectRig:
    return make_rig()
