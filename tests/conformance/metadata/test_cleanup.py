"""The cleanup queue: due rows to one claimer each, growing pauses, dead letters, and orphan bytes kept to the end."""

from functools import partial

import pytest

from engine.metadata import cleanup, leases, quota, volumes
from engine.metadata.cleanup import ATTEMPT_COUNT_MAX, CleanupDepth
from engine.metadata.remove import remove
from engine.metadata.store import Store
from engine.names import ObjectKey
from engine.records import CleanupItem, Lease
from engine.units import DAY_S, HOUR_S, MINUTE_S
from tests.conformance.metadata.conftest import OpenStore
from tests.support.metadata import (
    SetClock,
    assert_consistent,
    make_backend,
    make_bucket,
    make_volume,
    put,
    reap_all,
    run_sql,
    totals_of,
    volume_key,
)

ONE, OTHER = b"process-1-------", b"process-2-------"


@pytest.fixture
def backend(store: Store) -> int:
    return make_backend(store, kind="memory")


def queue(store: Store, backend_id: int, *storage_keys: str, not_before_us: int = 0) -> None:
    for storage_key in storage_keys:
        store.write(partial(quota.add_orphan, subject=quota.backend_subject(backend_id), size_bytes=10))
        store.write(
            partial(
                cleanup.enqueue,
                backend_id=backend_id,
                storage_key=storage_key,
                size_bytes=10,
                reason="test",
                not_before_us=not_before_us,
            )
        )


def claim(
    store: Store,
    process_id: bytes = ONE,
    *,
    count_max: int = 100,
    lease: Lease | None = None,
    ignore_grace: bool = False,
) -> list[CleanupItem]:
    return store.write(
        partial(
            cleanup.claim_due,
            process_id=process_id,
            count_max=count_max,
            lease=lease,
            ignore_grace=ignore_grace,
        )
    )


def lead(store: Store, process_id: bytes, worker: str = "cleanup") -> Lease:
    lease = store.write(partial(leases.acquire, worker=worker, holder=process_id, ttl_s=30.0))
    assert lease is not None
    return lease


def return_stale(store: Store, clock: SetClock, lease: Lease | None = None) -> int:
    """What a claimer under that lease opens at its beginning: of claims without a lease those older than 600 s."""
    return store.write(
        partial(cleanup.return_stale_claims, older_than_us=clock.now_us() - 600_000_000, lease=lease)
    )


def postpone(store: Store, item: CleanupItem, error: str = "down") -> None:
    store.write(partial(cleanup.postpone, item=item, error=error))


def settle(store: Store, *items: CleanupItem) -> None:
    store.write(partial(cleanup.settle_deleted, items=items))


def orphans(store: Store, backend_id: int) -> int:
    return totals_of(store, quota.backend_subject(backend_id)).orphan_bytes


def test_a_row_is_due_only_after_its_grace(store: Store, backend: int, clock: SetClock) -> None:
    queue(store, backend, "a", not_before_us=clock.now_us() + HOUR_S * 1_000_000)

    clock.move(HOUR_S - 1)
    assert claim(store) == []
    clock.move(1)

    assert [each.storage_key for each in claim(store)] == ["a"]


def test_the_grace_may_be_overridden(store: Store, backend: int, clock: SetClock) -> None:
    queue(store, backend, "a", not_before_us=clock.now_us() + HOUR_S * 1_000_000)

    assert [each.storage_key for each in claim(store, ignore_grace=True)] == ["a"]


def test_two_processes_never_get_the_same_row(open_store: OpenStore) -> None:
    near, far = open_store(), open_store()
    backend = make_backend(near, kind="memory")
    queue(near, backend, *(f"key-{number}" for number in range(10)))

    got = [
        claim(near, count_max=4),
        claim(far, OTHER, count_max=4),
        claim(near, count_max=4),
        claim(far, OTHER),
    ]

    keys = [item.storage_key for items in got for item in items]
    assert [len(items) for items in got] == [4, 4, 2, 0]
    assert len(set(keys)) == 10


def test_what_is_due_longest_comes_first(store: Store, backend: int, clock: SetClock) -> None:
    for number, not_before_us in enumerate((30, 10, 20)):
        queue(store, backend, f"key-{number}", not_before_us=not_before_us)

    assert [each.storage_key for each in claim(store, count_max=1)] == ["key-1"]
    assert [each.storage_key for each in claim(store, count_max=1)] == ["key-2"]


def test_settling_frees_the_orphan_bytes_once(store: Store, backend: int) -> None:
    queue(store, backend, "a", "b")
    items = claim(store)

    settle(store, *items)
    settle(store, *items)

    assert orphans(store, backend) == 0
    assert run_sql(store, "SELECT COUNT(*) FROM cleanup_queue") == [(0,)]
    assert_consistent(store)


def test_on_a_volume_settled_bytes_are_dead(store: Store) -> None:
    backend = make_backend(store)
    volume_id = make_volume(store, backend)
    queue(store, backend, volume_key(volume_id, 8192))

    settle(store, *claim(store))

    (volume,) = store.read(partial(volumes.list_volumes, backend_id=backend))
    assert volume.dead_bytes == 10


def test_pauses_double_from_a_minute_to_a_day(store: Store, backend: int, clock: SetClock) -> None:
    queue(store, backend, "a")
    pauses = []
    for _ in range(ATTEMPT_COUNT_MAX - 1):
        (item,) = claim(store)
        postpone(store, item)
        ((next_retry_us,),) = run_sql(store, "SELECT next_retry_us FROM cleanup_queue")
        assert isinstance(next_retry_us, int)
        pauses.append((next_retry_us - clock.now_us()) // 1_000_000)
        clock.move(pauses[-1] - 1)
        assert claim(store) == []
        clock.move(1)

    assert pauses == [min(MINUTE_S * 2**number, DAY_S) for number in range(ATTEMPT_COUNT_MAX - 1)]


def bury(store: Store, clock: SetClock) -> None:
    for _ in range(ATTEMPT_COUNT_MAX):
        clock.move(DAY_S)
        (item,) = claim(store)
        postpone(store, item, "still down")


def test_the_tenth_failure_buries_the_row_and_keeps_its_orphan_bytes(
    store: Store, backend: int, clock: SetClock
) -> None:
    queue(store, backend, "a")

    bury(store, clock)

    (dead,) = store.read(partial(cleanup.list_dead, after=0, count_max=10))
    assert (dead.storage_key, dead.attempts, dead.size_bytes) == ("a", ATTEMPT_COUNT_MAX, 10)
    assert run_sql(store, "SELECT last_error FROM cleanup_dlq") == [("still down",)]
    assert run_sql(store, "SELECT COUNT(*) FROM cleanup_queue") == [(0,)]
    assert orphans(store, backend) == 10
    assert_consistent(store)


def test_a_dead_letter_gets_all_its_tries_again(store: Store, backend: int, clock: SetClock) -> None:
    queue(store, backend, "a")
    bury(store, clock)
    (dead,) = store.read(partial(cleanup.list_dead, after=0, count_max=10))

    assert store.write(partial(cleanup.requeue, cleanup_id=dead.cleanup_id))
    assert not store.write(partial(cleanup.requeue, cleanup_id=dead.cleanup_id))

    (item,) = claim(store)
    assert (item.storage_key, item.attempts) == ("a", 0)
    settle(store, item)
    assert orphans(store, backend) == 0
    assert_consistent(store)


def test_a_dead_letter_whose_key_waits_again_stays_where_it_is(
    store: Store, backend: int, clock: SetClock
) -> None:
    queue(store, backend, "a")
    bury(store, clock)
    (dead,) = store.read(partial(cleanup.list_dead, after=0, count_max=10))
    queue(store, backend, "a")

    assert not store.write(partial(cleanup.requeue, cleanup_id=dead.cleanup_id))

    assert store.read(partial(cleanup.list_dead, after=0, count_max=10)) == [dead]
    assert orphans(store, backend) == 20
    assert_consistent(store)


def test_claims_of_dead_processes_are_open_again(store: Store, backend: int, clock: SetClock) -> None:
    queue(store, backend, "old")
    claim(store)
    clock.move(100)
    queue(store, backend, "young")
    claim(store)

    returned = store.write(partial(cleanup.return_stale_claims, older_than_us=clock.now_us() - 50_000_000))

    assert returned == 1
    assert [each.storage_key for each in claim(store, OTHER)] == ["old"]


def test_claims_are_open_again_when_their_lease_has_run_out_and_not_before(
    store: Store, backend: int, clock: SetClock
) -> None:
    queue(store, backend, "a")
    claim(store, ONE, lease=lead(store, ONE))

    clock.move(29)
    assert return_stale(store, clock) == 0
    clock.move(1)

    assert return_stale(store, clock, lead(store, OTHER)) == 1
    assert [each.storage_key for each in claim(store, OTHER)] == ["a"]


def test_a_lease_that_is_renewed_keeps_its_claims(store: Store, backend: int, clock: SetClock) -> None:
    queue(store, backend, "a")
    lease = lead(store, ONE)
    claim(store, ONE, lease=lease)

    for _ in range(100):
        clock.move(20)
        store.write(partial(leases.renew, lease=lease, ttl_s=30.0))

    assert return_stale(store, clock, lead(store, OTHER, "another-run")) == 0
    assert claim(store, OTHER) == []


def test_claims_are_open_again_when_their_lease_was_given_back_or_forgotten(
    store: Store, backend: int, clock: SetClock
) -> None:
    given_back, forgotten = lead(store, ONE), lead(store, ONE, "an-operation")
    queue(store, backend, "a", "b")
    for lease in (given_back, forgotten):
        claim(store, ONE, count_max=1, lease=lease)
    store.write(partial(leases.release, lease=given_back))
    store.write(partial(leases.forget, worker=forgotten.worker))

    assert return_stale(store, clock) == 2
    assert len(claim(store, OTHER)) == 2


def test_the_same_worker_led_anew_opens_the_claims_of_its_last_lease(
    store: Store, backend: int, clock: SetClock
) -> None:
    queue(store, backend, "a")
    first = lead(store, ONE)
    claim(store, ONE, lease=first)
    store.write(partial(leases.release, lease=first))
    lead(store, OTHER)

    assert return_stale(store, clock) == 1


def test_who_begins_anew_under_its_lease_opens_what_it_had_claimed_and_nothing_else(
    store: Store, backend: int, clock: SetClock
) -> None:
    mine, another = lead(store, ONE, "mine"), lead(store, OTHER, "another")
    queue(store, backend, "a", "b")
    claim(store, OTHER, count_max=1, lease=another)
    claim(store, ONE, lease=mine)

    assert return_stale(store, clock, mine) == 1
    assert len(claim(store, ONE, lease=mine)) == 1


def test_a_row_that_is_put_off_or_postponed_is_claimed_anew_without_its_old_lease(
    store: Store, backend: int, clock: SetClock
) -> None:
    queue(store, backend, "a", "b")
    first, second = claim(store, ONE, lease=lead(store, ONE))
    store.write(partial(cleanup.put_off, items=[first], pause_s=0))
    postpone(store, second)
    clock.move(61)
    claim(store, OTHER)

    assert return_stale(store, clock) == 0
    clock.move(601)
    assert return_stale(store, clock) == 2


def test_a_claimer_that_was_thought_dead_settles_harmlessly(
    store: Store, backend: int, clock: SetClock
) -> None:
    queue(store, backend, "a")
    (slow,) = claim(store)
    clock.move(100)
    store.write(partial(cleanup.return_stale_claims, older_than_us=clock.now_us()))
    (fast,) = claim(store, OTHER)

    settle(store, slow)
    settle(store, fast)
    postpone(store, fast)

    assert orphans(store, backend) == 0
    assert_consistent(store)


def test_a_row_that_was_settled_is_not_buried(store: Store, backend: int, clock: SetClock) -> None:
    queue(store, backend, "a")
    for _ in range(ATTEMPT_COUNT_MAX - 1):
        clock.move(DAY_S)
        postpone(store, claim(store)[0])
    clock.move(DAY_S)
    (last,) = claim(store)
    settle(store, last)

    postpone(store, last)

    assert store.read(cleanup.depth).dead_count == 0


def test_a_key_that_waits_already_waits_on(store: Store, backend: int) -> None:
    queue(store, backend, "a", not_before_us=5)
    again = partial(
        cleanup.enqueue, backend_id=backend, storage_key="a", size_bytes=10, reason="again", not_before_us=9
    )

    store.write(again)

    assert run_sql(store, "SELECT reason, not_before_us FROM cleanup_queue") == [("test", 5)]


def test_the_depth_tells_what_waits_and_since_when(store: Store, backend: int, clock: SetClock) -> None:
    assert store.read(cleanup.depth) == CleanupDepth(
        queued_count=0, due_count=0, dead_count=0, queued_bytes=0, oldest_due_us=None
    )
    now_us = clock.now_us()
    queue(store, backend, "due", not_before_us=now_us - 5)
    queue(store, backend, "later", not_before_us=now_us + 5)

    assert store.read(cleanup.depth) == CleanupDepth(
        queued_count=2, due_count=1, dead_count=0, queued_bytes=20, oldest_due_us=now_us - 5
    )


def test_dead_letters_come_in_pages(store: Store, backend: int, clock: SetClock) -> None:
    for name in ("a", "b", "c"):
        queue(store, backend, name)
        bury(store, clock)

    first = store.read(partial(cleanup.list_dead, after=0, count_max=2))
    rest = store.read(partial(cleanup.list_dead, after=first[-1].cleanup_id, count_max=2))

    assert [each.storage_key for each in (*first, *rest)] == ["a", "b", "c"]


def test_an_object_from_put_to_the_last_byte_deleted(store: Store, backend: int) -> None:
    bucket = make_bucket(store)
    put(store, bucket, b"one", backend)
    store.write(partial(remove, bucket_name=bucket.name, key=ObjectKey(b"one")))
    assert reap_all(store) == 1
    assert_consistent(store)

    settle(store, *claim(store))

    totals = totals_of(store, quota.backend_subject(backend))
    assert (totals.used_bytes, totals.orphan_bytes, totals.object_count) == (0, 0, 0)
    assert_consistent(store)
