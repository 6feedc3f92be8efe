"""What was used is found in the hour and the day in which it was seen, once, whenever and however often one looks."""

from collections.abc import Mapping
from functools import partial

from engine.metadata import month_usage, quota, usage_history
from engine.metadata.month_usage import month_of
from engine.metadata.store import Store
from engine.metadata.usage_history import BUCKET_COUNT, KEEP_DAYS_S, KEEP_HOURS_S, Step, UsedInStep
from engine.records import UsageKind
from engine.units import DAY_S, HOUR_S
from tests.support.metadata import SetClock, make_backend, make_bucket

WRITES, EGRESS = UsageKind.WRITE_REQUESTS, UsageKind.EGRESS_BYTES


def use(store: Store, backend_id: int, amounts: Mapping[UsageKind, int]) -> None:
    """Counted by a process, as of kinds without a limit."""
    counted = {(backend_id, kind): amount for kind, amount in amounts.items()}
    store.write(
        partial(
            month_usage.report,
            process_id=b"process-1-------",
            period="",
            counted=counted,
            returned={},
            kept={},
        )
    )


def look(store: Store) -> None:
    store.write(usage_history.record_backends)


def steps(store: Store, backend_id: int, step: Step) -> list[UsedInStep]:
    subject = quota.backend_subject(backend_id)
    return list(
        store.read(partial(usage_history.list_steps, subject=subject, step=step, since_us=0, count_max=100))
    )


def writes(store: Store, backend_id: int, step: Step) -> list[int]:
    return [each.used.get(WRITES, 0) for each in steps(store, backend_id, step)]


def test_use_counts_in_the_hour_and_the_day_of_the_look(store: Store, clock: SetClock) -> None:
    backend_id = make_backend(store)
    use(store, backend_id, {WRITES: 5, EGRESS: 1000})
    look(store)
    use(store, backend_id, {WRITES: 2})
    look(store)
    clock.move(HOUR_S)
    use(store, backend_id, {WRITES: 3})
    look(store)
    clock.move(DAY_S)
    use(store, backend_id, {WRITES: 1})
    look(store)

    assert writes(store, backend_id, Step.HOUR) == [7, 3, 1]
    assert writes(store, backend_id, Step.DAY) == [10, 1]
    first = steps(store, backend_id, Step.HOUR)[0]
    assert first.used[EGRESS] == 1000
    assert first.starts_us % (HOUR_S * 1_000_000) == 0


def test_a_look_that_is_repeated_finds_nothing_new(store: Store) -> None:
    backend_id = make_backend(store)
    use(store, backend_id, {WRITES: 5})

    for _ in range(3):
        look(store)

    assert writes(store, backend_id, Step.HOUR) == [5]


def test_what_was_used_after_the_last_look_of_a_month_counts_in_that_month(
    store: Store, clock: SetClock
) -> None:
    backend_id = make_backend(store)
    use(store, backend_id, {WRITES: 5})
    look(store)
    month = month_of(clock.now_us())
    clock.move(month.left_s - 60)
    use(store, backend_id, {WRITES: 7})
    clock.move(120)
    use(store, backend_id, {WRITES: 2})
    look(store)

    days = steps(store, backend_id, Step.DAY)
    assert [each.used.get(WRITES) for each in days] == [5, 7, 2]
    assert [each.starts_us < month.ends_us for each in days] == [True, True, False]


def test_of_a_backend_that_was_there_before_anybody_looked_only_later_use_counts(
    store: Store, clock: SetClock
) -> None:
    backend_id = make_backend(store)
    use(store, backend_id, {WRITES: 500})
    clock.move(2 * HOUR_S)

    look(store)
    use(store, backend_id, {WRITES: 1})
    look(store)

    assert writes(store, backend_id, Step.HOUR) == [1]


def test_what_is_leased_and_given_back_counts_once(store: Store) -> None:
    backend_id = make_backend(store)
    account = {(backend_id, WRITES): 1000}
    store.write(partial(month_usage.set_limits, backend_id=backend_id, limits={WRITES: 8000}))
    store.write(
        partial(
            month_usage.lease,
            process_id=b"process-1-------",
            backend_id=backend_id,
            wanted={WRITES: 1000},
            with_more=False,
        )
    )
    # Its holder is not alive: all of it counts as used.
    look(store)
    store.write(
        lambda tx: month_usage.report(
            tx,
            process_id=b"process-1-------",
            period=month_of(tx.now_us()).period,
            counted={},
            returned=account,
            kept={},
        )
    )
    look(store)
    use(store, backend_id, {WRITES: 1000})
    look(store)

    assert writes(store, backend_id, Step.HOUR) == [1000]


def test_a_clock_that_was_set_back_adds_to_what_is_there(store: Store, clock: SetClock) -> None:
    backend_id = make_backend(store)
    use(store, backend_id, {WRITES: 5})
    look(store)
    clock.move(-2 * HOUR_S)
    use(store, backend_id, {WRITES: 2})
    look(store)

    assert writes(store, backend_id, Step.HOUR) == [7]


def test_buckets_are_recorded_page_by_page_and_day_by_day(store: Store, clock: SetClock) -> None:
    count = BUCKET_COUNT + 3
    made = [make_bucket(store, f"b{number:04}") for number in range(count)]

    def record_all() -> int:
        after: str | None = ""
        pages = 0
        while after is not None:
            after = store.write(partial(usage_history.record_buckets, after=after))
            pages += 1
        return pages

    assert record_all() == 2
    clock.move(DAY_S)
    record_all()

    for bucket in (made[0], made[-1]):
        subject = quota.bucket_subject(bucket.bucket_id)
        found = store.read(
            partial(usage_history.list_steps, subject=subject, step=Step.DAY, since_us=0, count_max=10)
        )
        assert [each.stored_bytes for each in found] == [0, 0]


def test_what_is_past_its_time_is_forgotten(store: Store, clock: SetClock) -> None:
    backend_id = make_backend(store)
    look(store)
    clock.move(KEEP_HOURS_S + 2 * HOUR_S)
    look(store)

    assert store.write(usage_history.drop_old) == 1
    assert (len(steps(store, backend_id, Step.HOUR)), len(steps(store, backend_id, Step.DAY))) == (1, 2)
    clock.move(KEEP_DAYS_S + DAY_S)
    assert store.write(usage_history.drop_old) == 3
    assert store.write(usage_history.drop_old) == 0
