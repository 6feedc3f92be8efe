"""A month's limit is never passed: what is leased counts as used until it is given back."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from engine.metadata import month_usage, processes
from engine.metadata.month_usage import (
    SHARE_BYTES_MAX,
    SHARE_COUNT,
    SHARE_REQUESTS_MAX,
    Lease,
    UsedOfMonth,
    month_of,
)
from engine.metadata.processes import DEAD_AFTER_S
from engine.metadata.store import Store
from engine.records import UsageKind
from engine.units import DAY_S
from tests.conformance.metadata.conftest import OpenStore
from tests.support.metadata import SetClock, make_backend

WRITES, EGRESS, DELETES = UsageKind.WRITE_REQUESTS, UsageKind.EGRESS_BYTES, UsageKind.DELETE_REQUESTS
ONE, OTHER = b"process-1-------", b"process-2-------"


def limited(store: Store, limits: Mapping[UsageKind, int]) -> int:
    """The id of a backend with those limits."""
    backend_id = make_backend(store)
    store.write(partial(month_usage.set_limits, backend_id=backend_id, limits=limits))
    return backend_id


def start(store: Store, process_id: bytes) -> None:
    store.write(
        partial(
            processes.register,
            instance_id=process_id,
            process_id=process_id,
            node="node-1",
            version="1",
            plane="dataplane",
            pid=1,
            generation=1,
        )
    )


def lease(
    store: Store,
    backend_id: int,
    wanted: Mapping[UsageKind, int],
    *,
    process_id: bytes = ONE,
    with_more: bool = False,
) -> Lease:
    return store.write(
        partial(
            month_usage.lease,
            process_id=process_id,
            backend_id=backend_id,
            wanted=wanted,
            with_more=with_more,
        )
    )


def report(
    store: Store,
    backend_id: int,
    *,
    counted: Mapping[UsageKind, int] | None = None,
    returned: Mapping[UsageKind, int] | None = None,
    kept: Mapping[UsageKind, int] | None = None,
    period: str | None = None,
    process_id: bytes = ONE,
) -> None:
    def of(amounts: Mapping[UsageKind, int] | None) -> dict[tuple[int, UsageKind], int]:
        return {(backend_id, kind): amount for kind, amount in (amounts or {}).items()}

    store.write(
        lambda tx: month_usage.report(
            tx,
            process_id=process_id,
            period=period or month_of(tx.now_us()).period,
            counted=of(counted),
            returned=of(returned),
            kept=of(kept),
        )
    )


def used(store: Store, backend_id: int, kind: UsageKind = WRITES) -> UsedOfMonth:
    return store.read(month_usage.read_month)[1][backend_id, kind]


def test_a_lease_is_what_is_wanted_or_a_fair_share(store: Store) -> None:
    backend_id = limited(store, {WRITES: 8000})
    start(store, ONE)
    start(store, OTHER)

    exact = lease(store, backend_id, {WRITES: 10})
    ahead = lease(store, backend_id, {WRITES: 1}, with_more=True)

    assert exact.amounts == {WRITES: 10}
    assert ahead.amounts == {WRITES: 7990 // (2 * SHARE_COUNT)}


def test_a_fair_share_is_never_more_than_a_crash_may_cost(store: Store) -> None:
    backend_id = limited(store, {WRITES: 10**9, EGRESS: 1 << 50})

    leased = lease(store, backend_id, {WRITES: 1, EGRESS: 1}, with_more=True)
    large = lease(store, backend_id, {EGRESS: 1 << 40}, with_more=True)

    assert leased.amounts == {WRITES: SHARE_REQUESTS_MAX, EGRESS: SHARE_BYTES_MAX}
    assert large.amounts == {EGRESS: 1 << 40}


def test_the_last_of_a_limit_can_be_had_and_nothing_beyond(store: Store) -> None:
    backend_id = limited(store, {WRITES: 10})

    last = lease(store, backend_id, {WRITES: 10}, with_more=True)
    refused = lease(store, backend_id, {WRITES: 1}, with_more=True)

    assert last.amounts == {WRITES: 10}
    assert (refused.refused, refused.refused_left, refused.amounts) == (WRITES, 0, {})


def test_of_several_kinds_all_are_leased_or_none(store: Store) -> None:
    backend_id = limited(store, {WRITES: 10, EGRESS: 100})

    refused = lease(store, backend_id, {WRITES: 1, EGRESS: 101})

    assert (refused.refused, refused.refused_left) == (EGRESS, 100)
    assert used(store, backend_id, WRITES).taken == used(store, backend_id, EGRESS).taken == 0


def test_what_is_given_back_can_be_had_by_another(store: Store) -> None:
    backend_id = limited(store, {WRITES: 10})
    lease(store, backend_id, {WRITES: 10})

    report(store, backend_id, returned={WRITES: 6}, kept={WRITES: 1})

    assert lease(store, backend_id, {WRITES: 6}, process_id=OTHER).refused is None
    assert lease(store, backend_id, {WRITES: 1}, process_id=OTHER).refused is WRITES


def test_what_a_live_process_holds_is_not_used_yet_and_what_a_dead_one_held_is(
    store: Store, clock: SetClock
) -> None:
    backend_id = limited(store, {WRITES: 100})
    start(store, ONE)
    lease(store, backend_id, {WRITES: 40})
    report(store, backend_id, kept={WRITES: 30})

    living = used(store, backend_id)
    clock.move(DEAD_AFTER_S + 1)
    dead = used(store, backend_id)

    assert (living.used, living.left) == (10, 60)
    assert (dead.used, dead.left) == (40, 60)


def test_what_has_no_limit_is_counted(store: Store) -> None:
    backend_id = limited(store, {})

    report(store, backend_id, counted={DELETES: 5, EGRESS: 1 << 40})
    report(store, backend_id, counted={DELETES: 2})

    deletes = used(store, backend_id, DELETES)
    assert (deletes.backend, deletes.taken, deletes.leased, deletes.limit) == ("near", 7, 0, None)
    assert used(store, backend_id, EGRESS).used == 1 << 40


def test_every_month_begins_anew_and_leases_of_the_last_are_worth_nothing(
    store: Store, clock: SetClock
) -> None:
    backend_id = limited(store, {WRITES: 10})
    start(store, ONE)
    before = lease(store, backend_id, {WRITES: 10}).month
    clock.move(before.left_s)

    report(store, backend_id, returned={WRITES: 10}, period=before.period)
    start(store, OTHER)
    now = lease(store, backend_id, {WRITES: 4}, process_id=OTHER)

    assert now.refused is None
    assert now.month.period > before.period
    assert now.month.starts_us == before.ends_us
    assert used(store, backend_id).taken == 4
    store.write(month_usage.forget_leases)
    assert used(store, backend_id).leased == 4


def test_a_limit_below_what_was_taken_lets_nothing_more_be_taken(store: Store) -> None:
    backend_id = limited(store, {WRITES: 100})
    lease(store, backend_id, {WRITES: 60})

    store.write(partial(month_usage.set_limits, backend_id=backend_id, limits={WRITES: 50}))

    assert used(store, backend_id).left == 0
    assert lease(store, backend_id, {WRITES: 1}).refused is WRITES


def test_a_limit_that_is_taken_away_refuses_nothing(store: Store) -> None:
    backend_id = limited(store, {WRITES: 1})

    store.write(partial(month_usage.set_limits, backend_id=backend_id, limits={}))

    assert lease(store, backend_id, {WRITES: 50}).refused is None
    assert used(store, backend_id).limit is None


@pytest.mark.parametrize(
    ("now_us", "period", "days"),
    [
        (1_767_225_599_999_999, "2025-12", 31),
        (1_767_225_600_000_000, "2026-01", 31),
        (1_709_164_800_000_000, "2024-02", 29),
    ],
)
def test_months_are_those_of_the_calendar_by_utc(now_us: int, period: str, days: int) -> None:
    month = month_of(now_us)

    assert month.period == period
    assert month.ends_us - month.starts_us == days * DAY_S * 1_000_000
    assert month.starts_us <= now_us < month.ends_us


def test_leases_at_the_same_time_never_pass_the_limit(open_store: OpenStore) -> None:
    stores = [open_store(), open_store()]
    backend_id = limited(stores[0], {WRITES: 500, EGRESS: 3001})

    def take(number: int) -> Mapping[UsageKind, int]:
        wanted = {WRITES: 1, EGRESS: 1 + number % 12}
        process_id = b"%016d" % (number % 6)
        return lease(
            stores[number % 2], backend_id, wanted, process_id=process_id, with_more=number % 5 == 0
        ).amounts

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(take, range(700)))

    for kind, limit in ((WRITES, 500), (EGRESS, 3001)):
        total = sum(each.get(kind, 0) for each in taken)
        assert used(stores[0], backend_id, kind).taken == total <= limit
