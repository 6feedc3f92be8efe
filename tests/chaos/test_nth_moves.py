"""Whichever call fails while pieces move, and wherever the process dies: each piece lies whole in one place.

A drain is begun again and again, and each time one call further on fails or ends the process. Whoever goes on from the
cursor that was stored last ends it, and upkeep leaves nothing behind.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.backends.memory import Call, Fault
from engine.errors import DatabaseUnavailable, EngineError, OutcomeUnknown
from engine.records import BackendState, Copies
from engine.units import KIB, MIB
from tests.chaos.test_nth_failures import DISK_ERRORS, NthFailure
from tests.support.engines import metadata_on, on_each_engine
from tests.support.interruptions import InterruptedStore
from tests.support.moving import drain_of, movables_on, run_steps, set_state, state_of
from tests.support.nth import numbers
from tests.support.objects import ObjectRig, Shape
from tests.support.pieces import payload_of
from tests.support.volumes import FailingDisk

SIZES = (700, 5_000, 300 * KIB, MIB + 200 * KIB)
COUNT_MAX = 200


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    on_each_engine(metafunc, "engine")


@pytest.fixture(autouse=True)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """The database of the test's deployment."""
    with metadata_on(request.param):
        yield request.param


class Draining:
    """Objects of all sizes, and drains of the backend that came first, one after the other."""

    def __init__(self, rig: ObjectRig) -> None:
        self.rig = rig
        self.source = rig.volumes[0].backend_id
        self.contents: dict[str, bytes] = {}

    def prepare(self, number: int) -> None:
        """The backend holds pieces of fresh objects, and is to be emptied."""
        set_state(self.rig, self.source, BackendState.ACTIVE)
        for key in list(self.contents):
            self.rig.delete(key)
        self.contents = {
            f"{number}-{index}": payload_of(size, seed=number + index) for index, size in enumerate(SIZES * 3)
        }
        for key, payload in self.contents.items():
            self.rig.put(key, payload)
        assert movables_on(self.rig, self.source)
        set_state(self.rig, self.source, BackendState.DRAINING, operation="operations/1")

    def check(self, where: str) -> None:
        """Drained, and every object reads back, in this process, in the next one, and after upkeep."""
        rig = self.rig
        assert state_of(rig, self.source) is BackendState.DRAINED, where
        rig.crash()
        assert {key: rig.get(key) for key in self.contents} == self.contents, where
        report = rig.settle()
        assert report.is_clean, (where, report.findings)
        assert rig.unaccounted() == set(), where
        assert {key: rig.get(key) for key in self.contents} == self.contents, where


@pytest.mark.parametrize("is_committed", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize("volume_count", [3, 1], ids=["volumes", "remote"])
def test_the_process_dies_at_the_nth_commit(
    tmp_path: Path, engine: str, volume_count: int, is_committed: bool
) -> None:
    shape = Shape(volume_count=volume_count, memory_count=3 - volume_count, scheme=Copies(count=1))
    draining = Draining(ObjectRig(tmp_path / "rig", shape))

    for number in numbers(engine, COUNT_MAX, start=1):
        draining.prepare(number)
        store = InterruptedStore(draining.rig.store, at=number, is_committed=is_committed)
        cursor: str | None = None
        has_died = False
        work = drain_of(draining.rig, draining.source, store=store)
        try:
            while True:
                step = work.step(cursor)
                cursor = step.cursor
                if step.is_last:
                    break
        except (DatabaseUnavailable, OutcomeUnknown):
            has_died = True
            draining.rig.crash()
            if state_of(draining.rig, draining.source) is BackendState.DRAINING:
                run_steps(drain_of(draining.rig, draining.source), cursor)

        draining.check(f"commit {number}, step at {cursor}")
        if not has_died:
            break
    else:
        raise AssertionError("it never gets through")
    draining.rig.close()


@pytest.mark.parametrize("failing_with", DISK_ERRORS)
@pytest.mark.parametrize("call", ["write", "sync", "sync_directory", "start_writeback"])
def test_the_nth_call_to_a_disk_fails(tmp_path: Path, engine: str, call: str, failing_with: str) -> None:
    failure = NthFailure()
    rig = ObjectRig(tmp_path / "rig", Shape(volume_count=3), disk=FailingDisk(failure.called))
    draining = Draining(rig)

    for number in numbers(engine, COUNT_MAX):
        draining.prepare(number)
        for volume in rig.volumes:
            volume.close_volumes()
        failure.arm(call, number, DISK_ERRORS[failing_with])

        run_steps(drain_of(rig, draining.source))

        struck = failure.disarm()
        draining.check(f"{call} {number}")
        if not struck:
            break
    else:
        raise AssertionError("it never gets through")
    rig.close()


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("call", [Call.STORE, Call.OPEN_WRITER, Call.WRITE, Call.FINISH])
def test_the_nth_call_to_a_remote_store_fails(tmp_path: Path, engine: str, call: Call, fault: Fault) -> None:
    rig = ObjectRig(tmp_path / "rig", Shape(volume_count=1, memory_count=2))
    draining = Draining(rig)

    for number in numbers(engine, COUNT_MAX):
        draining.prepare(number)
        for memory in rig.memories:
            memory.faults.add(call, fault, after_count=number)
        error: EngineError | None = None
        try:
            run_steps(drain_of(rig, draining.source))
        except EngineError as failed:
            error = failed

        struck = all(memory.faults.is_spent() for memory in rig.memories)
        for memory in rig.memories:
            memory.faults.clear()
            memory.land_late()
        assert error is None, f"{call} {number}: {error!r}"
        draining.check(f"{call} {number}")
        if not struck:
            break
    else:
        raise AssertionError("it never gets through")
    rig.close()
