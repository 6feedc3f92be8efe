"""A runner does one run when it is due, records how it ended, and outlives whatever its worker does."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import pytest

from controlplane.operations.pace import Budget
from controlplane.workers.ledger import WORK_LEFT, StoredLedger
from controlplane.workers.runner import LEASE_TTL_S, Job, Runner, Unit
from engine.clock import uuid7
from engine.errors import LeaseLost
from engine.metadata import leases, operations, workers
from engine.metadata.operations import OperationState
from engine.metadata.sqlite.store import SqliteStore
from engine.records import Lease, Progress
from engine.upkeep.long_work import Pace
from tests.integration.controlplane.workers.asking import ask, look, operation
from tests.integration.controlplane.workers.conftest import INTERVAL_S, WORKER
from tests.support.control import wait_until
from tests.support.deployments import TestClock
from tests.support.interruptions import take_over

WAIT_S = 30.0
MORE = Progress(done_count=1, has_more=True)
LAST = Progress(done_count=1)


class Steps:
    """A unit of which every step is a function."""

    def __init__(self, steps: Sequence[Callable[[], Progress]]) -> None:
        self._steps = list(steps)

    def work(self) -> Progress:
        return self._steps.pop(0)()


def runner(store: SqliteStore, build: Callable[[Lease], Unit]) -> Runner:
    return paced_runner(store, lambda lease, pace: build(lease))


def paced_runner(store: SqliteStore, build: Callable[[Lease, Pace], Unit]) -> Runner:
    job = Job(name=WORKER, description="", interval_s=INTERVAL_S, build=build, moves_bytes=True)
    return Runner(job, StoredLedger(store, holder=uuid7()))


@contextmanager
def running(made: Runner) -> Iterator[None]:
    """Its thread, stopped and joined at the end."""
    made.start()
    try:
        yield
    finally:
        made.stop()
        made.join(WAIT_S)
        assert not made.is_alive()


def test_a_run_goes_on_until_there_is_no_more(store: SqliteStore) -> None:
    made = runner(store, lambda lease: Steps([lambda: MORE, lambda: MORE, lambda: LAST]))

    assert made.run_if_due() == Progress(done_count=3)

    assert made.run_if_due() is None
    row = look(store, WORKER)
    assert row.last_success_us is not None
    assert row.leader is None


def test_a_run_that_raises_is_recorded_and_the_runner_lives_on(store: SqliteStore) -> None:
    broken, mended = threading.Event(), threading.Event()

    def build(lease: Lease) -> Unit:
        if not broken.is_set():
            broken.set()
            raise ZeroDivisionError("by a worker")
        mended.set()
        return Steps([lambda: LAST])

    first = ask(store, WORKER)
    with running(runner(store, build)):
        assert broken.wait(WAIT_S)
        second = ask(store, WORKER)
        assert mended.wait(WAIT_S)

    assert operation(store, first).error == "ZeroDivisionError: by a worker"
    assert operation(store, first).state is OperationState.FAILED
    assert operation(store, second).state is OperationState.SUCCEEDED
    assert look(store, WORKER).last_error == "ZeroDivisionError: by a worker"
    assert look(store, WORKER).consecutive_failure_count == 0


def test_a_runner_stopped_in_the_middle_ends_its_run_after_the_unit_at_hand(store: SqliteStore) -> None:
    at_work, go_on = threading.Event(), threading.Event()

    def step() -> Progress:
        at_work.set()
        assert go_on.wait(WAIT_S)
        return MORE

    name = ask(store, WORKER)
    made = runner(store, lambda lease: Steps([step]))
    with running(made):
        assert at_work.wait(WAIT_S)
        made.stop()
        go_on.set()

    row = look(store, WORKER)
    assert (row.leader, row.last_error) == (None, None)
    assert row.last_success_us is not None
    assert operation(store, name).state is OperationState.FAILED
    assert operation(store, name).error == WORK_LEFT
    assert operation(store, name).progress.done_count == 1


def test_a_run_that_loses_its_lease_ends_and_leaves_the_heir_alone(
    store: SqliteStore, clock: TestClock
) -> None:
    heirs: list[Lease] = []

    def be_late() -> Progress:
        heirs.append(take_over(store, WORKER, clock))
        return MORE

    made = runner(store, lambda lease: Steps([be_late, lambda: LAST]))

    with pytest.raises(LeaseLost):
        made.run_if_due()

    row = look(store, WORKER)
    assert row.leader == heirs[0].holder
    assert row.last_error is not None
    assert row.last_error.startswith("LeaseLost")


def test_a_long_run_keeps_its_lease_as_long_as_its_units_are_short(
    store: SqliteStore, clock: TestClock
) -> None:
    def take_a_while(lease: Lease) -> Progress:
        clock.ahead_us += int(LEASE_TTL_S * 0.9 * 1_000_000)
        store.write(partial(leases.check, lease=lease))
        return MORE

    made = runner(store, lambda lease: Steps([*[partial(take_a_while, lease)] * 5, lambda: LAST]))

    assert made.run_if_due() == Progress(done_count=6)


def test_what_is_asked_for_is_noticed_while_the_worker_rests(store: SqliteStore) -> None:
    runs = threading.Semaphore(0)

    def step() -> Progress:
        runs.release()
        return LAST

    with running(runner(store, lambda lease: Steps([step]))):
        assert runs.acquire(timeout=WAIT_S)
        assert not runs.acquire(blocking=False)
        name = ask(store, WORKER)
        assert runs.acquire(timeout=WAIT_S)

    assert operation(store, name).state is OperationState.SUCCEEDED


def test_of_two_processes_one_leads(store: SqliteStore) -> None:
    at_work, go_on = threading.Event(), threading.Event()

    def step() -> Progress:
        at_work.set()
        assert go_on.wait(WAIT_S)
        return LAST

    with running(runner(store, lambda lease: Steps([step]))):
        assert at_work.wait(WAIT_S)
        store.write(lambda tx: workers.trigger(tx, WORKER))
        other = runner(store, lambda lease: Steps([lambda: LAST]))
        assert other.run_if_due() is None
        go_on.set()


def limit(store: SqliteStore, rate_bytes: int) -> None:
    overrides = workers.Overrides(rate_bytes=rate_bytes)
    store.write(partial(workers.override, name=WORKER, overrides=overrides))


@pytest.mark.parametrize("what", ["paused", "disabled", "cancelled", "stopped", "sped up"])
def test_a_run_that_waits_for_its_pace_heeds_what_is_said_meanwhile(store: SqliteStore, what: str) -> None:
    limit(store, 1)
    name = ask(store, WORKER)
    begun = threading.Event()

    def build(lease: Lease, pace: Pace) -> Unit:
        def step() -> Progress:
            pace.take(1 << 30)
            begun.set()
            pace.take(1 << 30)
            return MORE

        return Steps([step, lambda: LAST])

    made = paced_runner(store, build)
    with running(made):
        assert begun.wait(WAIT_S)
        if what == "paused":
            pause = partial(workers.pause, name=WORKER, creator="alice", why=None, until_us=None)
            store.write(pause)
        elif what == "disabled":
            store.write(partial(workers.override, name=WORKER, overrides=workers.Overrides(is_enabled=False)))
        elif what == "cancelled":
            store.write(partial(operations.request_cancel, name=name, creator="alice"))
        elif what == "stopped":
            made.stop()
        else:
            limit(store, 0)
        wait_until(lambda: operation(store, name).state.is_final, "the end of the run")

    ends = {"cancelled": OperationState.CANCELLED, "sped up": OperationState.SUCCEEDED}
    assert operation(store, name).state is ends.get(what, OperationState.FAILED)
    assert look(store, WORKER).last_error is None


def test_a_run_that_waits_for_its_pace_keeps_its_lease(store: SqliteStore, clock: TestClock) -> None:
    limit(store, 1)
    waits = 0

    class Waiting(StoredLedger):
        """Each look while the run waits is twenty seconds after the last one."""

        def renew(self, lease: Lease, ttl_s: float) -> Lease:
            nonlocal waits
            waits += 1
            clock.ahead_us += 20_000_000
            if waits == 4:
                limit(store, 0)
            return super().renew(lease, ttl_s)

    def build(lease: Lease, pace: Pace) -> Unit:
        def step() -> Progress:
            pace.take(1 << 30)
            pace.take(1 << 30)
            store.write(partial(leases.check, lease=lease))
            return LAST

        return Steps([step])

    job = Job(name=WORKER, description="", interval_s=INTERVAL_S, build=build, moves_bytes=True)
    made = Runner(job, Waiting(store, holder=uuid7()), renew_every_s=0.0)

    assert made.run_if_due() == LAST
    assert waits >= 4


def test_a_run_that_nobody_wants_any_more_ends_between_two_units(store: SqliteStore) -> None:
    name = ask(store, WORKER)

    def cancel() -> Progress:
        store.write(partial(operations.request_cancel, name=name, creator="alice"))
        return MORE

    made = runner(store, lambda lease: Steps([lambda: MORE, cancel, lambda: LAST]))

    assert made.run_if_due() == Progress(done_count=2, has_more=True)
    assert operation(store, name).state is OperationState.CANCELLED
    assert operation(store, name).error is None


def test_a_rate_holds_for_those_who_share_it_while_the_worker_rests(store: SqliteStore) -> None:
    budget = Budget()
    job = Job(
        name=WORKER,
        description="",
        interval_s=INTERVAL_S,
        build=lambda lease, pace: Steps([lambda: LAST]),
        moves_bytes=True,
    )
    made = Runner(job, StoredLedger(store, holder=uuid7()), budget)
    assert made.run_if_due() == LAST
    limit(store, 1)

    assert made.run_if_due() is None

    budget.take(1 << 20)
    assert budget.take(1) > 0.0
