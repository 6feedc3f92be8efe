"""What the configuration, operators and runs leave in the rows of workers, and when a worker is due."""

from dataclasses import replace
from functools import partial

import pytest

from engine.errors import NoSuchResource
from engine.metadata import leases, worker_runs, workers
from engine.metadata.store import Store
from engine.records import Lease, Progress
from tests.support.metadata import START_US, SetClock, run_sql

ONE, OTHER = b"process-1-------", b"process-2-------"
TTL_S = 30.0


def acquire(store: Store, holder: bytes = ONE) -> Lease | None:
    return store.write(partial(leases.acquire, worker="reaper", holder=holder, ttl_s=TTL_S))


def lead(store: Store, holder: bytes = ONE) -> Lease:
    lease = acquire(store, holder)
    assert lease is not None
    return lease


def apply(store: Store, *, is_enabled: bool = True, interval_s: float = 60.0) -> None:
    store.write(partial(workers.apply_worker, name="reaper", is_enabled=is_enabled, interval_s=interval_s))


def is_due(store: Store) -> bool:
    return store.read(partial(workers.is_due, name="reaper"))


def run(store: Store, lease: Lease, *, error: str | None = None) -> None:
    run_id = store.write(partial(workers.begin_run, lease=lease))
    end = partial(
        workers.end_run,
        run_id=run_id,
        worker="reaper",
        progress=Progress(done_count=3, deferred_count=1),
        error=error,
    )
    store.write(end)


def test_a_worker_is_due_at_first_and_again_after_its_interval(store: Store, clock: SetClock) -> None:
    assert not is_due(store)
    apply(store)
    assert is_due(store)

    run(store, lead(store))
    assert not is_due(store)
    clock.move(59.9)
    assert not is_due(store)
    clock.move(0.1)

    assert is_due(store)


def test_a_triggered_worker_is_due_now_and_once(store: Store) -> None:
    apply(store)
    lease = lead(store)
    run(store, lease)

    assert store.write(partial(workers.trigger, name="reaper"))
    assert is_due(store)
    run(store, lease)

    assert not is_due(store)
    assert not store.write(partial(workers.trigger, name="unknown"))


def test_a_worker_that_is_off_or_paused_is_never_due(store: Store) -> None:
    apply(store, is_enabled=False)
    store.write(partial(workers.trigger, name="reaper"))
    assert not is_due(store)

    apply(store)
    pause(store)

    assert not is_due(store)


def standing(store: Store) -> workers.WorkerStanding:
    found = store.read(partial(workers.find_standing, name="reaper"))
    assert found is not None
    assert store.read(workers.list_workers)[0].standing == found
    return found


def pause(store: Store, *, until_us: int | None = None) -> None:
    store.write(partial(workers.pause, name="reaper", creator="alice", why="a move", until_us=until_us))


def test_a_pause_tells_who_and_why_and_holds_until_it_is_resumed(store: Store, clock: SetClock) -> None:
    apply(store)
    pause(store)
    apply(store)
    clock.move(1e6)

    assert not is_due(store)
    assert standing(store).pause == workers.Pause(
        creator="alice", why="a move", until_us=None, at_us=START_US
    )
    store.write(partial(workers.resume, name="reaper"))
    assert is_due(store)
    assert standing(store).pause is None


def test_a_pause_ends_by_itself_at_its_time(store: Store, clock: SetClock) -> None:
    apply(store)
    pause(store, until_us=clock.now_us() + 10_000_000)
    clock.move(9.9)
    assert not is_due(store)

    clock.move(0.1)

    assert is_due(store)
    assert standing(store).pause is None


def test_what_an_operator_set_goes_before_the_configuration_and_over_its_changes(store: Store) -> None:
    apply(store)
    own = workers.Overrides(is_enabled=False, interval_s=7.5, rate_bytes=1000, creator="alice")
    store.write(partial(workers.override, name="reaper", overrides=own))
    apply(store, interval_s=5.0)

    found = standing(store)

    assert (found.is_enabled, found.interval_s, found.rate_bytes) == (False, 7.5, 1000)
    assert found.overrides == replace(own, at_us=START_US)
    assert (found.configured.is_enabled, found.configured.interval_s) == (True, 5.0)
    store.write(partial(workers.override, name="reaper", overrides=workers.Overrides(creator="bob")))
    assert (standing(store).is_enabled, standing(store).interval_s) == (True, 5.0)


def test_no_bound_may_be_set_where_the_configuration_has_one(store: Store) -> None:
    unit = partial(workers.apply_worker, name="reaper", is_enabled=True, interval_s=1.0, rate_bytes=500)
    store.write(unit)
    assert standing(store).rate_bytes == 500

    store.write(partial(workers.override, name="reaper", overrides=workers.Overrides(rate_bytes=0)))

    assert standing(store).rate_bytes is None


@pytest.mark.parametrize(
    "change",
    [
        partial(workers.resume, name="unknown"),
        partial(workers.pause, name="unknown", creator="alice", why=None, until_us=None),
        partial(workers.override, name="unknown", overrides=workers.Overrides()),
        partial(workers.find_worker, name="unknown"),
    ],
)
def test_what_is_asked_of_no_worker_is_refused(store: Store, change: partial[object]) -> None:
    with pytest.raises(NoSuchResource):
        store.write(change)


def test_runs_are_told_the_newest_first_with_those_that_died(store: Store, clock: SetClock) -> None:
    apply(store)
    lease = lead(store)
    run(store, lease)
    run(store, lease, error="it broke")
    store.write(partial(workers.begin_run, lease=lease))
    clock.move(TTL_S)
    store.write(partial(workers.begin_run, lease=lead(store, OTHER)))

    rows = store.read(partial(worker_runs.list_runs, worker="reaper", count_max=10))

    assert [row.is_under_way for row in rows] == [True, False, False, False]
    assert [row.finished_at_us is None for row in rows] == [True, True, False, False]
    assert [row.error for row in rows] == [None, None, "it broke", None]
    assert (rows[0].holder, rows[3].done_count, rows[3].deferred_count) == (OTHER, 3, 1)
    before = partial(worker_runs.list_runs, worker=None, before_id=rows[1].run_id, count_max=1)
    assert store.read(before) == [rows[2]]
    assert store.read(partial(worker_runs.find_run, worker="reaper", run_id=rows[2].run_id)) == rows[2]
    assert store.read(partial(worker_runs.find_run, worker="cleanup", run_id=rows[2].run_id)) is None


def test_settings_of_a_generation_replace_the_ones_before(store: Store) -> None:
    apply(store)
    apply(store, is_enabled=False, interval_s=5.5)

    (row,) = store.read(workers.list_workers)

    assert (row.worker, row.standing.is_enabled, row.standing.interval_s) == ("reaper", False, 5.5)


def test_a_worker_tells_its_leader_and_what_became_of_its_runs(store: Store, clock: SetClock) -> None:
    apply(store)
    lease = lead(store)
    run(store, lease)
    clock.move(1)
    run(store, lease, error="first")
    clock.move(1)
    run(store, lease, error="second")

    (row,) = store.read(workers.list_workers)

    assert (row.leader, row.lease_expires_at_us) == (ONE, lease.expires_at_us)
    assert (row.last_success_us, row.last_failure_us) == (START_US, START_US + 2_000_000)
    assert (row.last_error, row.consecutive_failure_count) == ("second", 2)
    run(store, lease)
    assert store.read(workers.list_workers)[0].consecutive_failure_count == 0


def test_a_run_that_has_not_ended_is_neither_success_nor_failure(store: Store) -> None:
    apply(store)
    store.write(partial(workers.begin_run, lease=lead(store)))

    (row,) = store.read(workers.list_workers)

    assert row.last_started_us == START_US
    assert (row.last_success_us, row.last_failure_us, row.consecutive_failure_count) == (None, None, 0)


def test_only_the_newest_runs_are_kept(store: Store) -> None:
    apply(store)
    lease = lead(store)
    for _ in range(workers.RUN_KEEP_COUNT + 3):
        run(store, lease)

    assert run_sql(store, "SELECT COUNT(*), MIN(run_id) FROM worker_runs") == [(workers.RUN_KEEP_COUNT, 4)]
