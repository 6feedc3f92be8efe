"""A process of the data plane takes another generation: new bounds and endpoint, and nothing left of the old one."""

import gc
import os
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dataplane.app import build_plane
from dataplane.plane import Plane
from dataplane.server.contract import Lane
from engine.deployment.opening import take_file_over
from tests.support.served import Served

WAIT_S = 20.0


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return Served(tmp_path)


@pytest.fixture
def plane(served: Served) -> Iterator[Plane]:
    made = build_plane(served.config, version="0")
    yield made
    made.close()


def change(served: Served, plane: Plane, old: str, new: str) -> Any:
    """Put a changed file in force; a weak reference to the endpoint that served before."""
    before = weakref.ref(plane._endpoint)
    known = id(plane._endpoint)
    text = served.config.read_text()
    assert text.count(old) == 1
    served.config.write_text(text.replace(old, new))
    take_file_over(served.config, os.environ)
    deadline_s = time.monotonic() + WAIT_S
    while id(plane._endpoint) == known:
        assert time.monotonic() < deadline_s, "no other endpoint"
        time.sleep(0.02)
    return before


def test_another_endpoint_serves_and_the_one_before_is_gone(served: Served, plane: Plane) -> None:
    gc.disable()
    try:
        before = change(served, plane, "region: us-east-1", "region: eu-test-1")

        deadline_s = time.monotonic() + WAIT_S
        while before() is not None:
            assert time.monotonic() < deadline_s, gc.get_referrers(before())
            time.sleep(0.02)
    finally:
        gc.enable()
    assert plane._endpoint._authenticator._region == "eu-test-1"


def test_bounds_of_admission_change_and_what_was_counted_stays(served: Served, plane: Plane) -> None:
    admission = plane._endpoint._admission

    change(
        served, plane, "\nstorage:\n", "\nadmission: {reads: 2, writes: 2, shed_threshold: 1.0}\n\nstorage:\n"
    )

    assert plane._endpoint._admission is admission
    assert set(admission._max.values()) == {1}


def test_small_writes_leave_the_loop_once_they_are_not_held_in_memory(served: Served, plane: Plane) -> None:
    assert plane.classify("PUT", b"/b/k", [], 10) is Lane.PARKING

    change(served, plane, "\nstorage:\n", "\nstorage:\n  inline_buffer_bytes: 4KiB\n")

    assert plane.classify("PUT", b"/b/k", [], 10) is Lane.STREAMING
