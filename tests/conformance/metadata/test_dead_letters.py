"""What waits for deletion and what was given up: listed, tried again, let go, with every byte accounted for."""

from functools import partial

import pytest

from engine.errors import NoSuchResource
from engine.metadata import cleanup, dead_letters, quota
from engine.metadata.dead_letters import Amount, DeadLetter, DeadLetterFilter
from engine.metadata.store import Store
from tests.support.metadata import SetClock, make_backend, make_volume, run_sql, totals_of, volume_key

PROCESS = b"process-1-------"
ALL = DeadLetterFilter()


@pytest.fixture
def backend(store: Store) -> int:
    return make_backend(store, kind="memory")


def queue(store: Store, backend_id: int, *storage_keys: str, reason: str = "reaped", due_us: int = 0) -> None:
    for storage_key in storage_keys:
        store.write(partial(quota.add_orphan, subject=quota.backend_subject(backend_id), size_bytes=10))
        store.write(
            partial(
                cleanup.enqueue,
                backend_id=backend_id,
                storage_key=storage_key,
                size_bytes=10,
                reason=reason,
                not_before_us=due_us,
            )
        )


def bury(store: Store, backend_id: int, *storage_keys: str, reason: str = "reaped") -> None:
    queue(store, backend_id, *storage_keys, reason=reason)
    run_sql(
        store,
        "UPDATE cleanup_queue SET attempts = :attempts",
        {"attempts": cleanup.ATTEMPT_COUNT_MAX - 1},
    )
    for item in store.write(partial(cleanup.claim_due, process_id=PROCESS, count_max=100)):
        store.write(partial(cleanup.postpone, item=item, error=f"no {item.storage_key}"))


def letters(store: Store, wanted: DeadLetterFilter = ALL, *, after: int = 0) -> list[DeadLetter]:
    return store.read(partial(dead_letters.list_dead_letters, wanted=wanted, after=after, count_max=100))


def keys(store: Store, wanted: DeadLetterFilter = ALL) -> list[str]:
    return [each.storage_key for each in letters(store, wanted)]


def orphan_bytes(store: Store, backend_id: int) -> int:
    return totals_of(store, quota.backend_subject(backend_id)).orphan_bytes


def test_what_waits_is_listed_by_backend_and_by_what_is_due(
    store: Store, backend: int, clock: SetClock
) -> None:
    far = make_backend(store, "far", kind="memory")
    queue(store, backend, "a", "b", due_us=clock.now_us() + 1)
    queue(store, far, "c")

    def listed(backend_id: int | None, due_us: int | None, after: int = 0, count_max: int = 10) -> list[str]:
        unit = partial(
            dead_letters.list_queued, backend_id=backend_id, due_us=due_us, after=after, count_max=count_max
        )
        return [each.storage_key for each in store.read(unit)]

    everything = store.read(
        partial(dead_letters.list_queued, backend_id=None, due_us=None, after=0, count_max=10)
    )
    assert [each.storage_key for each in everything] == ["a", "b", "c"]
    assert listed(None, None, everything[0].cleanup_id, 1) == ["b"]
    assert listed(backend, None) == ["a", "b"]
    assert listed(None, clock.now_us()) == ["c"]
    assert (everything[0].due_us, everything[0].is_claimed) == (clock.now_us() + 1, False)
    store.write(partial(cleanup.claim_due, process_id=PROCESS, count_max=1))
    claimed = store.read(
        partial(dead_letters.list_queued, backend_id=far, due_us=None, after=0, count_max=10)
    )
    assert [each.is_claimed for each in claimed] == [True]


def test_dead_letters_are_told_apart_by_backend_reason_and_age(
    store: Store, backend: int, clock: SetClock
) -> None:
    far = make_backend(store, "far", kind="memory")
    bury(store, backend, "a")
    clock.move(60)
    bury(store, backend, "b", reason="moved")
    bury(store, far, "c")

    assert keys(store) == ["a", "b", "c"]
    assert keys(store, DeadLetterFilter(backend_id=far)) == ["c"]
    assert keys(store, DeadLetterFilter(reason="moved")) == ["b"]
    assert keys(store, DeadLetterFilter(died_before_us=clock.now_us())) == ["a"]
    assert [each.storage_key for each in letters(store, after=letters(store)[0].cleanup_id)] == ["b", "c"]
    first = letters(store)[0]
    assert (first.last_error, first.attempt_count) == ("no a", cleanup.ATTEMPT_COUNT_MAX)
    summed = store.read(partial(dead_letters.sum_dead_letters, wanted=DeadLetterFilter(backend_id=backend)))
    assert summed == Amount(count=2, size_bytes=20)


def test_backends_are_summed_up_where_anything_waits_or_was_given_up(store: Store, backend: int) -> None:
    far = make_backend(store, "far", kind="memory")
    make_backend(store, "clean", kind="memory")
    bury(store, backend, "a", "b")
    queue(store, backend, "c")
    queue(store, far, "d")

    near_sums, far_sums = store.read(dead_letters.sum_by_backend)

    assert (near_sums.queued, near_sums.dead) == (
        Amount(count=1, size_bytes=10),
        Amount(count=2, size_bytes=20),
    )
    assert (far_sums.backend_id, far_sums.queued, far_sums.dead) == (
        far,
        Amount(count=1, size_bytes=10),
        Amount(),
    )


def test_those_tried_again_wait_with_all_their_tries_and_their_bytes(store: Store, backend: int) -> None:
    bury(store, backend, "a", "b")

    retried = store.write(partial(dead_letters.retry, letters=letters(store)[:1]))

    (item,) = store.read(
        partial(dead_letters.list_queued, backend_id=None, due_us=None, after=0, count_max=10)
    )
    assert (retried, keys(store)) == (1, ["b"])
    assert (item.storage_key, item.attempt_count) == ("a", 0)
    assert orphan_bytes(store, backend) == 20


def test_those_let_go_count_as_orphans_no_more_and_only_once(store: Store, backend: int) -> None:
    bury(store, backend, "a", "b", "c")
    chosen = letters(store)[:2]

    gone = store.write(partial(dead_letters.discard, letters=chosen))
    again = store.write(partial(dead_letters.discard, letters=chosen))

    assert (gone, again) == (Amount(count=2, size_bytes=20), Amount())
    assert keys(store) == ["c"]
    assert orphan_bytes(store, backend) == 10


def test_on_a_volume_they_are_dead_space_that_compaction_finds(store: Store) -> None:
    near = make_backend(store)
    volume_id = make_volume(store, near)
    bury(store, near, volume_key(volume_id, 0), volume_key(volume_id, 4096))

    store.write(partial(dead_letters.discard, letters=letters(store)))

    assert run_sql(store, "SELECT dead_bytes FROM volumes") == [(20,)]
    assert orphan_bytes(store, near) == 0


def test_one_that_is_named_and_not_there_is_told_by_name(store: Store, backend: int) -> None:
    bury(store, backend, "a")
    known = letters(store)[0].cleanup_id

    assert len(store.read(partial(dead_letters.find_dead_letters, cleanup_ids=[known]))) == 1
    with pytest.raises(NoSuchResource, match="deadLetters/999"):
        store.read(partial(dead_letters.find_dead_letters, cleanup_ids=[known, 999]))
