"""Leases with fencing tokens: one leader, whose writes alone count."""

from dataclasses import replace
from functools import partial

import pytest

from engine.errors import LeaseLost
from engine.metadata import leases, workers
from engine.metadata.store import Store, Tx
from engine.records import Lease
from tests.conformance.metadata.conftest import OpenStore
from tests.support.metadata import SetClock

ONE, OTHER = b"process-1-------", b"process-2-------"
TTL_S = 30.0


def acquire(store: Store, holder: bytes = ONE) -> Lease | None:
    return store.write(partial(leases.acquire, worker="reaper", holder=holder, ttl_s=TTL_S))


def lead(store: Store, holder: bytes = ONE) -> Lease:
    lease = acquire(store, holder)
    assert lease is not None
    return lease


def test_only_one_leads(open_store: OpenStore) -> None:
    near, far = open_store(), open_store()

    assert lead(near).token == 1
    assert acquire(far, OTHER) is None
    assert acquire(near, ONE) is None


def test_what_is_led_is_known_until_it_is_given_back_or_runs_out(store: Store, clock: SetClock) -> None:
    lead(store)
    store.write(partial(leases.acquire, worker="cleanup", holder=OTHER, ttl_s=2 * TTL_S))
    assert sorted(store.read(leases.list_held)) == [("cleanup", OTHER), ("reaper", ONE)]

    clock.move(TTL_S)
    assert store.read(leases.list_held) == [("cleanup", OTHER)]

    store.write(partial(leases.release, lease=lead(store)))
    assert store.read(leases.list_held) == [("cleanup", OTHER)]


def test_jobs_are_led_apart(store: Store) -> None:
    lead(store)

    assert store.write(partial(leases.acquire, worker="cleanup", holder=OTHER, ttl_s=TTL_S)) is not None


def test_a_lease_runs_out_by_the_databases_clock_and_the_token_grows(store: Store, clock: SetClock) -> None:
    first = lead(store)
    clock.move(TTL_S - 0.001)
    assert acquire(store, OTHER) is None
    store.write(partial(leases.check, lease=first))

    clock.move(0.001)
    with pytest.raises(LeaseLost):
        store.write(partial(leases.check, lease=first))
    second = lead(store, OTHER)

    assert second.token == first.token + 1
    assert second.expires_at_us == clock.now_us() + 30_000_000


def test_a_released_lease_is_free_and_its_token_is_never_used_again(store: Store) -> None:
    first = lead(store)

    store.write(partial(leases.release, lease=first))
    second = lead(store, OTHER)
    store.write(partial(leases.release, lease=first))

    assert second.token > first.token
    store.write(partial(leases.check, lease=second))


def test_renewing_keeps_the_token_and_moves_the_end(store: Store, clock: SetClock) -> None:
    first = lead(store)
    clock.move(20)

    renewed = store.write(partial(leases.renew, lease=first, ttl_s=TTL_S))
    clock.move(20)

    assert renewed.token == first.token
    store.write(partial(leases.check, lease=renewed))


def test_a_lease_that_ran_out_is_not_renewed_even_if_nobody_took_it(store: Store, clock: SetClock) -> None:
    first = lead(store)
    clock.move(TTL_S)

    with pytest.raises(LeaseLost):
        store.write(partial(leases.renew, lease=first, ttl_s=TTL_S))


def test_what_a_leader_that_lost_its_lease_writes_is_rolled_back(store: Store, clock: SetClock) -> None:
    stale = lead(store)
    clock.move(TTL_S)
    lead(store, OTHER)

    def unit(tx: Tx) -> None:
        workers.apply_worker(tx, "reaper", is_enabled=True, interval_s=1.0)
        leases.check(tx, stale)

    with pytest.raises(LeaseLost):
        store.write(unit)
    assert store.read(workers.list_workers) == []


def test_a_token_of_another_time_or_holder_is_refused(store: Store) -> None:
    lease = lead(store)

    for wrong in (replace(lease, token=lease.token + 1), replace(lease, holder=OTHER)):
        with pytest.raises(LeaseLost):
            store.write(partial(leases.check, lease=wrong))
        with pytest.raises(LeaseLost):
            store.write(partial(leases.renew, lease=wrong, ttl_s=TTL_S))


def test_what_a_process_led_that_is_gone_is_free_for_others(store: Store) -> None:
    mine = lead(store)
    other = store.write(partial(leases.acquire, worker="cleanup", holder=OTHER, ttl_s=TTL_S))
    assert other is not None

    assert store.write(partial(leases.release_all, holder=ONE)) == 1

    assert lead(store, OTHER).token > mine.token
    store.write(partial(leases.check, lease=other))
    with pytest.raises(LeaseLost):
        store.write(partial(leases.check, lease=mine))
