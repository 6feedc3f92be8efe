"""Whichever call fails while copies are made and removed, and wherever the process dies: two good copies are left.

A backend goes away for good, what lay there is made anew, it comes back, and copies too many go. Each time one call
further on fails or ends the process; whoever goes on ends it, and upkeep leaves nothing behind.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.backends.memory import Call, Fault
from engine.errors import DatabaseUnavailable, EngineError, OutcomeUnknown
from engine.metadata.store import Store
from engine.records import Copies
from engine.units import KIB, MIB
from tests.support.engines import metadata_on, on_each_engine
from tests.support.interruptions import InterruptedStore
from tests.support.nth import numbers
from tests.support.objects import ObjectRig, Shape
from tests.support.pieces import payload_of
from tests.support.replication import (
    HEAL_AFTER_S,
    come_back,
    go_away,
    pass_time,
    pieces_of,
    replicate,
    waiting,
)

SIZES = (700, 300 * KIB, MIB + 200 * KIB)
COUNT_MAX = 200
RUN_COUNT_MAX = 6


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    on_each_engine(metafunc, "engine")


@pytest.fixture(autouse=True)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """The database of the test's deployment."""
    with metadata_on(request.param):
        yield request.param


class Repairing:
    """Objects of all sizes with two copies each, and a backend that goes away and comes back."""

    def __init__(self, folder: Path) -> None:
        shape = Shape(volume_count=1, memory_count=2, scheme=Copies(count=2), write_quorum=1)
        self.rig = ObjectRig(folder, shape)
        self.contents: dict[str, bytes] = {}

    def prepare(self, number: int) -> None:
        """Fresh objects; the first remote store has been away long enough to be written off."""
        for key in list(self.contents):
            self.rig.delete(key)
        self.contents = {
            f"{number}-{index}": payload_of(size, seed=number + index) for index, size in enumerate(SIZES * 2)
        }
        for key, payload in self.contents.items():
            self.rig.put(key, payload)
        lost = self.rig.memories[0]
        go_away(self.rig, lost)
        replicate(self.rig)
        pass_time(self.rig, HEAL_AFTER_S, lost.backend_id)

    def repair(self, store: Store | None = None) -> None:
        """Heal, have the backend back, and trim."""
        replicate(self.rig, store=store)
        come_back(self.rig, self.rig.memories[0])
        replicate(self.rig, store=store)

    def finish(self) -> None:
        """Whatever is left to be done is done unasked, in a few runs."""
        for _ in range(RUN_COUNT_MAX):
            come_back(self.rig, self.rig.memories[0])
            replicate(self.rig)

    def check(self, where: str) -> None:
        rig = self.rig
        for _ in range(2):
            assert {key: rig.get(key) for key in self.contents} == self.contents, where
            for key in self.contents:
                by_blob: dict[bytes, list[int]] = {}
                for piece in pieces_of(rig, key):
                    by_blob.setdefault(piece.location.blob_id, []).append(piece.location.backend_id)
                assert all(len(set(found)) == len(found) == 2 for found in by_blob.values()), (where, by_blob)
            assert waiting(rig) == [], where
            report = rig.settle()
            assert report.is_clean, (where, report.findings)
            assert rig.unaccounted() == set(), where


@pytest.mark.parametrize("is_committed", [False, True], ids=["before", "behind"])
def test_the_process_dies_at_the_nth_commit(tmp_path: Path, engine: str, is_committed: bool) -> None:
    repairing = Repairing(tmp_path / "rig")
    for number in numbers(engine, COUNT_MAX, start=1, stride=8):
        repairing.prepare(number)
        store = InterruptedStore(repairing.rig.store, at=number, is_committed=is_committed)
        has_died = False
        try:
            repairing.repair(store)
        except (DatabaseUnavailable, OutcomeUnknown):
            has_died = True
            repairing.rig.crash()
            assert {key: repairing.rig.get(key) for key in repairing.contents} == repairing.contents
        repairing.finish()
        repairing.check(f"commit {number}")
        if not has_died:
            break
    else:
        raise AssertionError("it never gets through")
    repairing.rig.close()


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("call", [Call.STORE, Call.OPEN_WRITER, Call.WRITE, Call.FINISH, Call.READ])
def test_the_nth_call_to_a_remote_store_fails(tmp_path: Path, engine: str, call: Call, fault: Fault) -> None:
    repairing = Repairing(tmp_path / "rig")
    other = repairing.rig.memories[1]
    for number in numbers(engine, COUNT_MAX, stride=8):
        repairing.prepare(number)
        other.faults.add(call, fault, after_count=number)
        error: EngineError | None = None
        try:
            replicate(repairing.rig)
        except EngineError as failed:
            error = failed

        struck = other.faults.is_spent()
        other.faults.clear()
        other.land_late()
        repairing.rig.health.forgive(other.backend_id)
        assert error is None, f"{call} {number}: {error!r}"
        repairing.finish()
        repairing.check(f"{call} {number}")
        if not struck:
            break
    else:
        raise AssertionError("it never gets through")
    repairing.rig.close()
