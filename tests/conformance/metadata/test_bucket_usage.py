"""What clients asked of buckets is added up, whoever counted it, and outlives the bucket; odd names leave nothing."""

from functools import partial

import pytest

from engine.clock import SystemClock
from engine.deployment.bucket_uses import BLOCK_COUNT, BUCKET_COUNT_MAX, WRITE_EVERY_S, BucketUses
from engine.errors import DatabaseUnavailable, NoSuchBucket, OutcomeUnknown
from engine.metadata import bucket_usage, buckets, usage_history
from engine.metadata.bucket_usage import CountedBucket, NamedBucket, SummedUse
from engine.metadata.store import Store, Tx
from engine.metadata.usage_history import KEEP_DAYS_S, KEEP_HOURS_S, Step, UsedInStep
from engine.records import Bucket, ClientUse, UsageKind
from engine.units import DAY_S, HOUR_S
from tests.conformance.metadata.conftest import OpenStore
from tests.support.metadata import SetClock, make_account, make_backend, make_bucket, put, run_sql

READ, WRITE, DELETE = UsageKind.READ_REQUESTS, UsageKind.WRITE_REQUESTS, UsageKind.DELETE_REQUESTS
FIRST = CountedBucket("", 0)


class Running(SystemClock):
    """Monotonic time that only the test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic_s(self) -> float:
        return self.now_s


class Failing:
    """A store of which writes raise what the test says, before or after they are done."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.error: Exception | None = None
        self.fails_after = False
        self.write_count = 0

    def write(self, unit: object) -> object:
        if self.error is not None and not self.fails_after:
            raise self.error
        self.write_count += 1
        result: object = self._store.write(unit)  # type: ignore[arg-type]
        if self.error is not None:
            raise self.error
        return result


def named(bucket: Bucket) -> NamedBucket:
    return NamedBucket(bucket.name, bucket.account_id)


def ask(uses: BucketUses, bucket: NamedBucket, kind: UsageKind, *, count: int = 1) -> None:
    """Reads of 4096 bytes, writes of 100."""
    uses.count(
        bucket,
        kind,
        request_count=count,
        content_count=count if kind is WRITE else 0,
        received_bytes=100 * count if kind is WRITE else 0,
        sent_bytes=4096 * count if kind is READ else 0,
    )


def uses_of(store: object) -> BucketUses:
    return BucketUses(store, Running())  # type: ignore[arg-type]


def steps(store: Store, name: str, step: Step) -> list[UsedInStep]:
    def unit(tx: Tx) -> list[UsedInStep]:
        bucket = bucket_usage.find_counted(tx, name)
        return list(bucket_usage.list_steps(tx, bucket, step, since_us=0, count_max=100))

    return store.read(unit)


def reads(store: Store, name: str, step: Step) -> list[int]:
    return [each.used.get(UsageKind.READ_REQUESTS, 0) for each in steps(store, name, step)]


def sums(store: Store, *, since_us: int = 0, after: CountedBucket = FIRST) -> list[SummedUse]:
    return store.read(partial(bucket_usage.list_sums, since_us=since_us, after=after, count_max=1000))


def row_count(store: Store) -> int:
    ((count,),) = run_sql(store, "SELECT COUNT(*) FROM bucket_usage")
    assert isinstance(count, int)
    return count


def test_what_several_processes_counted_is_added_up(open_store: OpenStore) -> None:
    near, far = open_store(), open_store()
    bucket = make_bucket(near)
    for store in (near, far):
        uses = uses_of(store)
        for _ in range(3):
            ask(uses, named(bucket), READ)
            ask(uses, named(bucket), WRITE)
        uses.write()
        uses.write()

    (summed,) = sums(near)
    assert summed.use == ClientUse(
        write_request_count=6,
        read_request_count=6,
        content_request_count=6,
        egress_bytes=6 * 4096,
        ingress_bytes=600,
    )
    (hour,) = steps(far, "photos", Step.HOUR)
    assert (hour.used[UsageKind.READ_REQUESTS], hour.used[UsageKind.INGRESS_BYTES]) == (6, 600)


def test_use_counts_in_the_hour_and_the_day_in_which_it_is_told(store: Store, clock: SetClock) -> None:
    bucket = make_bucket(store)
    uses = uses_of(store)
    for pause_s in (0, HOUR_S, DAY_S):
        clock.move(pause_s)
        ask(uses, named(bucket), READ)
        uses.write()

    assert reads(store, "photos", Step.HOUR) == [1, 1, 1]
    assert reads(store, "photos", Step.DAY) == [2, 1]
    assert sums(store, since_us=Step.DAY.start_of(clock.now_us()))[0].use == ClientUse(
        read_request_count=1, egress_bytes=4096
    )


def test_days_hold_what_lay_there_also_when_nothing_was_asked(store: Store, clock: SetClock) -> None:
    bucket = make_bucket(store)
    put(store, bucket, b"k", make_backend(store, kind="memory"), size_bytes=500)
    uses = uses_of(store)
    ask(uses, named(bucket), READ)
    uses.write()
    clock.move(DAY_S)
    store.write(partial(usage_history.record_buckets, after=""))

    assert [each.stored_bytes for each in steps(store, "photos", Step.DAY)] == [500, 500]
    assert reads(store, "photos", Step.DAY) == [1, 0]
    assert [each.stored_bytes for each in steps(store, "photos", Step.HOUR)] == [500]
    assert sums(store)[0].stored_bytes == 500


def test_a_name_that_is_no_bucket_of_the_account_makes_no_row(store: Store) -> None:
    bucket = make_bucket(store)
    stranger = make_account(store, "stranger")
    uses = uses_of(store)
    ask(uses, NamedBucket("nowhere", bucket.account_id), READ)
    ask(uses, NamedBucket(bucket.name, stranger), READ)

    uses.write()

    assert row_count(store) == 0
    with pytest.raises(NoSuchBucket):
        steps(store, "nowhere", Step.DAY)


def test_names_beyond_the_bound_are_left_out_and_known_ones_go_on(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    bucket = make_bucket(store)
    uses = uses_of(store)
    ask(uses, named(bucket), READ)
    for number in range(BUCKET_COUNT_MAX + 10):
        ask(uses, NamedBucket(f"made-up-{number}", bucket.account_id), READ)
    ask(uses, named(bucket), READ)

    uses.write()

    assert sums(store)[0].use.read_request_count == 2
    assert row_count(store) == 2
    (told,) = [each for each in caplog.records if each.message == "bucket_uses.left_out"]
    assert told.__dict__["request_count"] == 11


def test_a_bucket_that_is_gone_keeps_its_rows_under_its_name(store: Store, clock: SetClock) -> None:
    bucket = make_bucket(store)
    uses = uses_of(store)
    ask(uses, named(bucket), READ)
    uses.write()
    ask(uses, named(bucket), DELETE, count=7)
    store.write(partial(buckets.delete_bucket, name=bucket.name))
    uses.write()

    gone = sums(store)
    assert [(each.bucket, each.is_there) for each in gone] == [((bucket.name, bucket.bucket_id), False)]
    assert gone[0].use.delete_request_count == 7
    assert reads(store, bucket.name, Step.DAY) == [1]

    # Another bucket of that name begins anew.
    again = make_bucket(store)
    ask(uses, named(again), READ)
    uses.write()
    assert [(each.bucket.bucket_id, each.is_there) for each in sums(store)] == [
        (bucket.bucket_id, False),
        (again.bucket_id, True),
    ]
    assert [each.used[UsageKind.DELETE_REQUESTS] for each in steps(store, bucket.name, Step.DAY)] == [0]


def test_many_buckets_are_written_in_blocks_and_listed_page_by_page(store: Store) -> None:
    made = [make_bucket(store, f"b{number:04}") for number in range(BLOCK_COUNT + 1)]
    watched = Failing(store)
    uses = uses_of(watched)
    for bucket in reversed(made):
        ask(uses, named(bucket), READ)

    uses.write()

    assert watched.write_count == 2
    assert [each.bucket.name for each in sums(store)] == [each.name for each in made]
    behind = CountedBucket(made[-2].name, made[-2].bucket_id)
    assert [each.bucket.name for each in sums(store, after=behind)] == [made[-1].name]


def test_what_could_not_be_told_is_told_later_and_what_may_be_told_never_twice(store: Store) -> None:
    bucket = make_bucket(store)
    failing = Failing(store)
    uses = uses_of(failing)
    ask(uses, named(bucket), READ)
    failing.error = DatabaseUnavailable("away")
    with pytest.raises(DatabaseUnavailable):
        uses.write()
    ask(uses, named(bucket), READ)
    failing.error, failing.fails_after = OutcomeUnknown("cut"), True
    with pytest.raises(OutcomeUnknown):
        uses.write()
    failing.error = None

    uses.write()

    assert reads(store, "photos", Step.HOUR) == [2]


def test_a_thousand_requests_are_one_write_a_minute(store: Store) -> None:
    bucket = make_bucket(store)
    watched, clock = Failing(store), Running()
    uses = BucketUses(watched, clock)  # type: ignore[arg-type]
    for _ in range(1000):
        ask(uses, named(bucket), READ)
        uses.tick()
    before = watched.write_count
    clock.now_s += WRITE_EVERY_S

    uses.tick()
    clock.now_s += WRITE_EVERY_S
    uses.tick()

    assert (before, watched.write_count) == (0, 1)
    assert reads(store, "photos", Step.HOUR) == [1000]


def test_what_is_past_its_time_is_forgotten(store: Store, clock: SetClock) -> None:
    bucket = make_bucket(store)
    uses = uses_of(store)
    ask(uses, named(bucket), READ)
    uses.write()
    clock.move(KEEP_HOURS_S + 2 * HOUR_S)

    assert store.write(bucket_usage.drop_old) == 1
    assert (reads(store, "photos", Step.HOUR), reads(store, "photos", Step.DAY)) == ([], [1])
    clock.move(KEEP_DAYS_S)
    assert store.write(bucket_usage.drop_old) == 1
    assert row_count(store) == 0
