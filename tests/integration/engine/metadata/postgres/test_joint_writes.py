"""Units that share a transaction: who goes together, who waits, and whom a failure is told to."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest

from dataplane.server.parking import Parking
from engine.errors import BucketQuotaExceeded, DatabaseUnavailable, OutcomeUnknown, PreconditionFailed
from engine.metadata.postgres import joint_writes
from engine.metadata.postgres.joint_writes import (
    AT_ONCE_COUNT_MAX,
    PATIENCE_S,
    UNIT_COUNT_MAX,
    Apart,
    JointWrites,
)
from engine.metadata.store import JointUnit, RunAgain, Tx
from tests.support.turns import Turns

WAIT_S = 20.0


class Unit(JointUnit[str]):
    """Says its name."""

    def __init__(self, name: str, subject: str | None = None) -> None:
        self.name = name
        self._subject = subject or name

    @property
    def subject(self) -> str:
        return self._subject

    def __call__(self, tx: Tx) -> str:
        return self.name

    @classmethod
    def run_together(cls, tx: Tx, units: "Sequence[Unit]") -> list[str | Exception]:
        raise NotImplementedError


class Runs:
    """Transactions that take a turn each and do what they are told."""

    def __init__(self, parking: Parking) -> None:
        self.groups: list[list[str]] = []
        self.pauses_s: dict[str, float] = {}
        self.problem: Exception | None = None
        self.outcomes: dict[str, Exception] = {}
        self._parking = parking
        self.joint = JointWrites(self._run)

    def write(self, unit: Unit, timeout_s: float = 5.0) -> str:
        parked = self._parking.current()
        assert parked is not None
        return self.joint.write(parked, unit, timeout_s)

    def calls(self, *names: str) -> list[Callable[[], str]]:
        return [partial(self.write, Unit(name)) for name in names]

    def _run(self, parked: Any, units: Sequence[JointUnit[Any]], timeout_s: float) -> list[Any]:
        names = [str(each.name) for each in units if isinstance(each, Unit)]
        self.groups.append(names)
        parked.park(self.pauses_s.get(names[0], 0.02))
        if self.problem is not None:
            raise self.problem
        return [self.outcomes.get(each, each) for each in names]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets how old a transaction must be for another one to begin; on a busy machine a turn may take longer."""

    def be_patient(patience_s: float) -> None:
        monkeypatch.setattr(joint_writes, "PATIENCE_S", patience_s)

    be_patient(WAIT_S)
    return be_patient


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def runs(turns: Turns) -> Runs:
    return Runs(turns.parking)


def test_who_waits_goes_together_in_the_order_of_arrival(turns: Turns, runs: Runs) -> None:
    names = [f"unit-{number}" for number in range(3 + UNIT_COUNT_MAX)]

    assert turns.run(*runs.calls(*names)) == names

    assert runs.groups == [names[:UNIT_COUNT_MAX], names[UNIT_COUNT_MAX:]]
    assert turns.run(*runs.calls("later")) == ["later"]


def test_no_two_of_a_subject_go_together(turns: Turns, runs: Runs) -> None:
    units = [Unit("a"), Unit("b"), Unit("c1", "c"), Unit("c2", "c"), Unit("c3", "c"), Unit("d")]

    assert turns.run(*[partial(runs.write, each) for each in units]) == ["a", "b", "c1", "c2", "c3", "d"]

    assert runs.groups == [["a", "b", "c1", "d"], ["c2"], ["c3"]]


def test_nobody_waits_long_with_a_transaction_that_waits(
    turns: Turns, runs: Runs, patience: Callable[[float], None]
) -> None:
    patience(PATIENCE_S)
    runs.pauses_s = {"slow": 2.0}
    order: list[str] = []

    def then(name: str) -> None:
        order.append(runs.write(Unit(name, "one subject")))

    turns.run(partial(then, "slow"), partial(then, "quick"), partial(then, "also quick"))

    assert order == ["quick", "also quick", "slow"]
    runs.groups.clear()
    patience(WAIT_S)
    turns.run(*runs.calls("a", "b", "c"))
    assert runs.groups == [["a", "b", "c"]]


def test_what_came_of_one_is_told_to_that_one(turns: Turns, runs: Runs) -> None:
    runs.outcomes = {"b": PreconditionFailed(condition="If-Match"), "d": RunAgain()}

    outcomes = turns.run(*runs.calls("a", "b", "c", "d"))

    assert [type(each) for each in outcomes] == [str, PreconditionFailed, str, Apart]


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (OutcomeUnknown("lost"), OutcomeUnknown),
        (DatabaseUnavailable("away"), DatabaseUnavailable),
        (RunAgain(), Apart),
        (BucketQuotaExceeded(bucket="photos", wanted_bytes=1), Apart),
    ],
)
def test_what_undoes_the_transaction_is_told_to_all(
    turns: Turns, runs: Runs, problem: Exception, told: type[Exception]
) -> None:
    runs.problem = problem

    outcomes = turns.run(*runs.calls("a", "b", "c", "d"))

    assert [len(each) for each in runs.groups] == [4]
    assert [type(each) for each in outcomes] == [told] * 4


def test_what_is_raised_of_one_alone_is_what_came_of_it(turns: Turns, runs: Runs) -> None:
    runs.problem = BucketQuotaExceeded(bucket="photos", wanted_bytes=1)

    assert turns.run(*runs.calls("a")) == [runs.problem]


def test_a_bug_in_the_leader_is_its_own_and_leaves_no_one_waiting(turns: Turns, runs: Runs) -> None:
    runs.problem = ZeroDivisionError()

    outcomes = turns.run(*runs.calls("a", "b", "c"))

    assert [type(each) for each in outcomes] == [ZeroDivisionError, OutcomeUnknown, OutcomeUnknown]
    runs.problem = None
    assert turns.run(*runs.calls("d", "e", "f")) == ["d", "e", "f"]


def test_who_is_not_begun_in_time_is_not_run(
    turns: Turns, runs: Runs, patience: Callable[[float], None]
) -> None:
    patience(PATIENCE_S)
    names = [f"unit-{number}" for number in range(AT_ONCE_COUNT_MAX)]
    runs.pauses_s = dict.fromkeys(names, 2.0)
    late = partial(runs.write, Unit("late", "one subject"), 0.5)

    outcomes = turns.run(*[partial(runs.write, Unit(each, "one subject")) for each in names], late)

    assert [type(each) for each in outcomes] == [str] * AT_ONCE_COUNT_MAX + [DatabaseUnavailable]
    assert runs.groups == [[each] for each in names]
    assert turns.run(*runs.calls("later")) == ["later"]
