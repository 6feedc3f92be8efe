"""Group commit: units that wait together share barriers, one lock and one commit, and fail each for itself."""

import fcntl
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine.errors import BackendUnavailable, DatabaseUnavailable, NoSuchBucket, OutcomeUnknown
from engine.metadata.buckets import find_bucket
from engine.metadata.sqlite.committer import GROUP_COUNT_MAX, GROUP_WORK_S
from engine.metadata.store import Tx
from tests.integration.engine.metadata.sqlite.conftest import OpenRig
from tests.integration.engine.metadata.sqlite.crowd import WAIT_S, Crowd, Unit, adds, wait_until
from tests.integration.engine.metadata.sqlite.faulty import Rig
from tests.support.metadata import SetClock


class NotedBarrier:
    """Notes each sync among what the connection executed; fails if it is told to."""

    def __init__(self, rig: Rig, error: BaseException | None = None) -> None:
        self._rig = rig
        self._error = error

    def sync(self) -> None:
        self._rig.connection.executed.append("sync")
        if self._error is not None:
            raise self._error


def test_units_that_wait_together_are_one_commit(rig: Rig) -> None:
    crowd = Crowd(rig.committer)
    calls = [crowd.call(adds(f"n{number}")) for number in range(10)]
    assert rig.names() == []

    crowd.release()

    assert len({call.result(WAIT_S) for call in calls}) == 10
    assert rig.connection.commit_count == 2
    assert list(rig.committer.group_sizes) == [1, 10]
    assert rig.names() == [f"n{number}" for number in range(10)]


def test_a_group_is_bounded(rig: Rig) -> None:
    crowd = Crowd(rig.committer)
    calls = [crowd.call(adds(f"n{number}")) for number in range(GROUP_COUNT_MAX + 6)]

    crowd.release()

    for call in calls:
        call.result(WAIT_S)
    assert list(rig.committer.group_sizes) == [1, GROUP_COUNT_MAX, 6]


class WorkClock(SetClock):
    """Monotonic time moves only by the work of units."""

    def __init__(self) -> None:
        super().__init__()
        self.worked_s = 0.0

    def monotonic_s(self) -> float:
        return self.worked_s


def test_a_group_takes_no_further_unit_once_it_has_worked_long_enough(open_rig: OpenRig) -> None:
    clock = WorkClock()
    rig = open_rig(clock=clock)
    order: list[str] = []

    def works(name: str, seconds: float) -> Unit:
        def unit(tx: Tx) -> None:
            order.append(name)
            adds(name)(tx)
            clock.worked_s += seconds

        return unit

    crowd = Crowd(rig.committer)
    half = GROUP_WORK_S / 2
    calls = [
        crowd.call(works("a", half)),
        crowd.call(works("b", half)),
        crowd.call(works("c", 2 * GROUP_WORK_S)),
        crowd.call(works("d", 0)),
        crowd.call(works("e", 0)),
    ]

    crowd.release()

    for call in calls:
        call.result(WAIT_S)
    assert order == rig.names() == ["a", "b", "c", "d", "e"]
    assert list(rig.committer.group_sizes) == [1, 2, 1, 2]


def test_one_sync_serves_a_group_and_comes_before_its_transaction(rig: Rig) -> None:
    shared, own = NotedBarrier(rig), NotedBarrier(rig)
    crowd = Crowd(rig.committer)
    calls = [crowd.call(adds("a"), after=[shared]), crowd.call(adds("b"), after=[shared, own])]

    crowd.release()

    for call in calls:
        call.result(WAIT_S)
    executed = rig.connection.executed
    group = executed[executed.index("COMMIT") + 1 :]
    assert group[:3] == ["sync", "sync", "BEGIN IMMEDIATE"]
    assert group.count("sync") == 2
    assert group[-1] == "COMMIT"


@pytest.mark.parametrize(
    "error", [BackendUnavailable("the disk failed", backend="near"), OSError(5, "EIO"), SystemExit(3)]
)
def test_a_unit_whose_barrier_fails_fails_alone(rig: Rig, error: BaseException) -> None:
    crowd = Crowd(rig.committer)
    bad = NotedBarrier(rig, error)
    calls = [
        crowd.call(adds("first")),
        crowd.call(adds("lost"), after=[bad]),
        crowd.call(adds("lost too"), after=[NotedBarrier(rig), bad]),
        crowd.call(adds("last"), after=[NotedBarrier(rig)]),
    ]

    crowd.release()

    assert [call.exception(WAIT_S) for call in calls] == [None, error, error, None]
    assert rig.names() == ["first", "last"]


def test_a_barrier_that_failed_is_not_synced_again_for_its_group(rig: Rig) -> None:
    crowd = Crowd(rig.committer)
    bad = NotedBarrier(rig, BackendUnavailable("the disk failed", backend="near"))
    calls = [crowd.call(adds("a"), after=[bad]), crowd.call(adds("b"), after=[bad])]

    crowd.release()

    assert all(call.exception(WAIT_S) is not None for call in calls)
    assert rig.connection.executed.count("sync") == 1
    assert rig.connection.commit_count == 1


@pytest.mark.parametrize(
    "error",
    [NoSuchBucket(bucket="x"), ValueError("a bug"), SystemExit(3), KeyboardInterrupt(), MemoryError()],
)
def test_a_unit_that_raises_leaves_the_others_of_its_group_alone(rig: Rig, error: BaseException) -> None:
    def raises(tx: Tx) -> None:
        adds("lost")(tx)
        raise error

    crowd = Crowd(rig.committer)
    calls = [crowd.call(adds("first")), crowd.call(raises), crowd.call(adds("last"))]

    crowd.release()

    assert [call.exception(WAIT_S) for call in calls] == [None, error, None]
    assert rig.names() == ["first", "last"]
    assert rig.connection.commit_count == 2
    rig.committer.run(adds("later"), (), WAIT_S)
    assert rig.names() == ["first", "last", "later"]


def test_what_the_schema_refuses_fails_alone(rig: Rig) -> None:
    def violates(tx: Tx) -> None:
        adds("lost")(tx)
        tx.run("insert_account", {"name": "first", "origin": "api", "now_us": 1})

    crowd = Crowd(rig.committer)
    calls = [crowd.call(adds("first")), crowd.call(violates), crowd.call(adds("last"))]

    crowd.release()

    assert [call.exception(WAIT_S) is None for call in calls] == [True, False, True]
    assert rig.names() == ["first", "last"]


def test_a_unit_sees_what_the_units_before_it_in_its_group_did(rig: Rig) -> None:
    crowd = Crowd(rig.committer)
    calls = [crowd.call(adds("same")) for _ in range(3)]

    crowd.release()

    assert len({call.result(WAIT_S) for call in calls}) == 1
    assert rig.names() == ["same"]


# --- callers that give up ---


def test_a_caller_gives_up_while_its_unit_is_queued_and_nothing_happens(rig: Rig) -> None:
    crowd = Crowd(rig.committer)
    patient = crowd.call(adds("patient"))

    with pytest.raises(DatabaseUnavailable, match="did not begin"):
        rig.committer.run(adds("impatient"), (), 0.02)
    crowd.release()

    patient.result(WAIT_S)
    assert rig.names() == ["patient"]


def test_a_caller_whose_unit_has_begun_waits_for_its_outcome(rig: Rig) -> None:
    has_begun, may_end = threading.Event(), threading.Event()

    def slow(tx: Tx) -> None:
        adds("slow")(tx)
        has_begun.set()
        assert may_end.wait(WAIT_S)

    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(rig.committer.run, slow, (), 1.0)
        assert has_begun.wait(WAIT_S)
        # The caller's patience for a queued unit runs out before its unit ends.
        with pytest.raises(TimeoutError):
            call.result(1.5)
        may_end.set()
        call.result(WAIT_S)

    assert rig.names() == ["slow"]


def test_a_unit_that_runs_too_long_has_an_unknown_outcome_and_may_commit_yet(open_rig: OpenRig) -> None:
    rig = open_rig(settle_timeout_s=0.02)
    may_end = threading.Event()

    def slow(tx: Tx) -> None:
        adds("slow")(tx)
        assert may_end.wait(WAIT_S)

    with pytest.raises(OutcomeUnknown):
        rig.committer.run(slow, (), 1.0)
    may_end.set()

    wait_until(lambda: rig.names() == ["slow"])


def test_closing_settles_what_is_queued_and_refuses_what_comes_later(open_rig: OpenRig) -> None:
    rig = open_rig()
    crowd = Crowd(rig.committer)
    queued = crowd.call(adds("queued"))
    closing = threading.Thread(target=rig.committer.close)
    closing.start()

    wait_until(lambda: refuses(rig))
    crowd.release()
    closing.join(WAIT_S)

    queued.result(WAIT_S)
    assert rig.names() == ["queued"]


def refuses(rig: Rig) -> bool:
    """Whether new units are turned away; the crowd still holds the committer, so that none of them ran."""
    try:
        rig.committer.run(lambda tx: None, (), 0.001)
    except DatabaseUnavailable as error:
        return "closing" in str(error)
    return False


# --- the lock between processes ---


def test_writers_take_turns_by_the_file_lock(rig: Rig) -> None:
    order: list[str] = []
    fd = os.open(rig.lock_path, os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)

    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(rig.committer.run, lambda tx: order.append("ran"), (), WAIT_S)
        wait_until(lambda: rig.committer.queued_count == 0)
        with pytest.raises(TimeoutError):
            call.result(0.05)
        order.append("unlocked")
        os.close(fd)
        call.result(WAIT_S)

    assert order == ["unlocked", "ran"]


def test_a_lock_held_too_long_is_told_and_nothing_happens(open_rig: OpenRig) -> None:
    rig = open_rig(lock_timeout_s=0.05)
    fd = os.open(rig.lock_path, os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)

    with pytest.raises(DatabaseUnavailable, match="another process held the write lock"):
        rig.committer.run(adds("lost"), (), WAIT_S)
    os.close(fd)
    rig.committer.run(adds("later"), (), WAIT_S)

    assert rig.names() == ["later"]


def test_two_committers_interleave_without_losing_a_unit(open_rig: OpenRig) -> None:
    rigs = [open_rig(), open_rig()]

    def add(number: int) -> None:
        rigs[number % 2].committer.run(adds(f"n{number}"), (), WAIT_S)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(100)))

    assert sorted(rigs[0].names()) == sorted(f"n{number}" for number in range(100))


def test_a_refused_unit_is_told_its_own_reason_not_its_groups(rig: Rig) -> None:
    crowd = Crowd(rig.committer)
    calls = [crowd.call(lambda tx: find_bucket(tx, "a")), crowd.call(lambda tx: find_bucket(tx, "b"))]

    crowd.release()

    errors = [call.exception(WAIT_S) for call in calls]
    assert [each.bucket for each in errors if isinstance(each, NoSuchBucket)] == ["a", "b"]
