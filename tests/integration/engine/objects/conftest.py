"""Deployments of the shapes these tests ask for, closed when they end."""

from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tests.support.engines import metadata_on, on_each_engine
from tests.support.objects import ObjectRig, Shape


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        on_each_engine(metafunc, "engine")


@pytest.fixture(autouse=True)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """The database of the test's deployments."""
    with metadata_on(request.param):
        yield request.param


MakeRig = Callable[..., ObjectRig]

_SHAPE = {field.name for field in fields(Shape)}


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[MakeRig]:
    rigs: list[ObjectRig] = []

    def make(*, folder: str | None = None, **options: Any) -> ObjectRig:
        """Options are those of Shape and of ObjectRig."""
        shape = {name: value for name, value in options.items() if name in _SHAPE}
        others = {name: value for name, value in options.items() if name not in _SHAPE}
        rig = ObjectRig(tmp_path / (folder or f"rig-{len(rigs)}"), Shape(**shape), **others)
        rigs.append(rig)
        return rig

    yield make
    for rig in rigs:
        rig.close()


@pytest.fixture
def rig(make_rig: MakeRig) -> ObjectRig:
    return make_rig()
