"""The reaper: bounded steps that free what nothing points at, in one transaction with its way to the cleanup queue."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from engine.errors import BlobGone
from engine.metadata import quota, reaper, references, uploads, versions
from engine.metadata.publish import publish
from engine.metadata.reaper import SEGMENT_COUNT_MAX, Reaping, ReapStep
from engine.metadata.remove import remove
from engine.metadata.store import Store, Tx
from engine.names import ObjectKey
from engine.records import Bucket, Segment
from tests.support.metadata import (
    START_US,
    SetClock,
    assert_consistent,
    make_backend,
    make_bucket,
    make_upload,
    new_blob,
    new_version,
    put,
    put_part,
    reap_all,
    run_sql,
    totals_of,
    with_changes,
)

KEY = ObjectKey(b"one")
GRACE_US = 3_600_000_000


@pytest.fixture
def bucket(store: Store) -> Bucket:
    return make_bucket(store)


@pytest.fixture
def backend(store: Store) -> int:
    return make_backend(store, kind="memory")


def step(store: Store) -> ReapStep:
    return store.write(partial(reaper.reap_step, grace_us=GRACE_US))


def steps(store: Store) -> Iterator[ReapStep]:
    while (done := step(store)).has_more:
        yield done


def delete(store: Store, bucket: Bucket, key: bytes = KEY) -> None:
    store.write(partial(remove, bucket_name=bucket.name, key=ObjectKey(key)))


def test_nothing_retired_nothing_done(store: Store) -> None:
    assert step(store) == ReapStep()


def test_a_freed_blob_goes_to_the_cleanup_queue_with_its_bytes_as_orphans(
    store: Store, bucket: Bucket, backend: int
) -> None:
    far = make_backend(store, "far", kind="memory")
    blob = new_blob(backend, far, size_bytes=100)
    store.write(partial(publish, new=new_version(bucket, KEY, blob)))
    delete(store, bucket)

    assert step(store).freed_count == 1

    queued = run_sql(
        store,
        "SELECT backend_id, storage_key, size_bytes, reason, not_before_us FROM cleanup_queue ORDER BY 1",
    )
    key = blob.locations[0].storage_key
    assert queued == [(each, key, 110, "reaped", START_US + GRACE_US) for each in (backend, far)]
    for each in (backend, far):
        totals = totals_of(store, quota.backend_subject(each))
        assert (totals.used_bytes, totals.orphan_bytes, totals.object_count) == (0, 110, 0)
    assert run_sql(store, "SELECT COUNT(*) FROM object_versions") == [(0,)]
    assert_consistent(store)


def test_a_blob_that_another_version_names_stays(store: Store, bucket: Bucket, backend: int) -> None:
    put(store, bucket, KEY, backend)
    source = store.read(partial(versions.find_current, bucket=bucket.name, key=KEY))
    copy = new_version(bucket, b"copy", joined=[source.slices[0].blob])
    store.write(partial(publish, new=copy))

    delete(store, bucket)
    assert reap_all(store) == 0
    assert_consistent(store)

    delete(store, bucket, b"copy")
    assert reap_all(store) == 1
    assert_consistent(store)


def test_a_blob_stays_while_a_version_that_waits_for_the_reaper_names_it(
    store: Store, bucket: Bucket, backend: int
) -> None:
    put(store, bucket, KEY, backend)
    source = store.read(partial(versions.find_current, bucket=bucket.name, key=KEY))
    store.write(partial(publish, new=new_version(bucket, b"copy", joined=[source.slices[0].blob])))
    delete(store, bucket)
    delete(store, bucket, b"copy")

    freed = [each.freed_count for each in steps(store)]

    assert freed == [0, 1]


def test_a_copy_before_the_reaper_keeps_the_blob_one_after_finds_it_gone(
    store: Store, bucket: Bucket, backend: int
) -> None:
    put(store, bucket, KEY, backend)
    source = store.read(partial(versions.find_current, bucket=bucket.name, key=KEY))
    copy = new_version(bucket, b"copy", joined=[source.slices[0].blob])
    delete(store, bucket)

    store.write(partial(publish, new=copy))
    assert reap_all(store) == 0
    delete(store, bucket, b"copy")
    assert reap_all(store) == 1

    with pytest.raises(BlobGone) as caught:
        store.write(partial(publish, new=copy))
    assert caught.value.blob_id == source.slices[0].blob.blob_id
    assert_consistent(store)


def test_a_blob_that_a_version_names_twice_is_freed_once(store: Store, bucket: Bucket, backend: int) -> None:
    blob = new_blob(backend)
    once = new_version(bucket, KEY, blob)
    twice = [
        Segment(ordinal=n, start_offset=n * 100, blob_id=blob.blob.blob_id, blob_offset=0, length=100)
        for n in (0, 1)
    ]
    store.write(partial(publish, new=replace(once, segments=twice, size_bytes=200)))
    delete(store, bucket)

    assert reap_all(store) == 1
    assert_consistent(store)


def test_a_large_version_is_walked_in_bounded_steps_and_stays_consistent_between_them(
    store: Store, bucket: Bucket, backend: int
) -> None:
    blobs = [new_blob(backend, size_bytes=1) for _ in range(2 * SEGMENT_COUNT_MAX + 7)]
    store.write(partial(publish, new=new_version(bucket, KEY, *blobs)))
    delete(store, bucket)

    freed = []
    for each in steps(store):
        freed.append(each.freed_count)
        assert_consistent(store)

    assert freed == [SEGMENT_COUNT_MAX, SEGMENT_COUNT_MAX, 7]


def test_an_upload_of_many_parts_is_walked_in_bounded_steps(
    store: Store, bucket: Bucket, backend: int
) -> None:
    upload_id = make_upload(store, bucket, KEY)
    for number in range(1, 21):
        put_part(store, bucket, KEY, upload_id, number, *(new_blob(backend) for _ in range(3)))
    store.write(partial(uploads.abort, upload_id=upload_id, bucket=bucket.name, key=KEY))

    freed = []
    for each in steps(store):
        freed.append(each.freed_count)
        assert_consistent(store)

    assert sum(freed) == 60
    assert len(freed) > 1
    assert max(freed) * 80 // 3 <= SEGMENT_COUNT_MAX + 80


def test_a_huge_part_is_walked_in_bounded_steps(store: Store, bucket: Bucket, backend: int) -> None:
    upload_id = make_upload(store, bucket, KEY)
    put_part(store, bucket, KEY, upload_id, 1, *(new_blob(backend) for _ in range(SEGMENT_COUNT_MAX + 1)))
    put_part(store, bucket, KEY, upload_id, 1, new_blob(backend))

    freed = [each.freed_count for each in steps(store)]

    assert freed == [SEGMENT_COUNT_MAX, 1]
    assert_consistent(store)


def test_what_was_retired_first_is_walked_first(store: Store, bucket: Bucket, backend: int) -> None:
    sequences = [put(store, bucket, KEY, backend).version_seq for _ in range(4)]

    left = []
    for _ in steps(store):
        rows = run_sql(store, "SELECT version_seq FROM object_versions WHERE state = 'retired' ORDER BY 1")
        left.append([row[0] for row in rows])

    assert left == [sequences[1:3], sequences[2:3], []]


@pytest.mark.parametrize(
    "lock", ["legal_hold = TRUE", f"retention_mode = 'COMPLIANCE', retain_until_us = {START_US + 10_000_000}"]
)
def test_the_reaper_stops_at_a_row_whose_lock_still_holds(
    store: Store, bucket: Bucket, backend: int, lock: str
) -> None:
    put(store, bucket, KEY, backend)
    put(store, bucket, b"other", backend)
    delete(store, bucket)
    delete(store, bucket, b"other")
    run_sql(store, f"UPDATE object_versions SET {lock} WHERE object_key = :key", {"key": KEY})

    stopped = sum(len(each.stopped_at) for each in steps(store))

    assert stopped == 1
    assert store.read(reaper.waiting) == (0, 1)
    assert run_sql(store, "SELECT problem FROM retired") == [("a lock still holds",)]
    assert run_sql(store, "SELECT object_key FROM object_versions") == [(KEY,)]
    assert run_sql(store, "SELECT COUNT(*) FROM object_locations") == [(1,)]
    assert_consistent(store)


def released(store: Store) -> list[int]:
    return store.read(partial(reaper.list_released, count_max=100))


def test_a_row_is_taken_up_again_once_its_lock_has_ended(
    store: Store, clock: SetClock, bucket: Bucket, backend: int
) -> None:
    for key, lock in (
        (b"held", "legal_hold = TRUE"),
        (b"kept", f"retention_mode = 'GOVERNANCE', retain_until_us = {START_US + 10_000_000}"),
        (b"long", f"retention_mode = 'COMPLIANCE', retain_until_us = {START_US + 99_000_000}"),
    ):
        put(store, bucket, key, backend)
        delete(store, bucket, key)
        run_sql(store, f"UPDATE object_versions SET {lock} WHERE object_key = :key", {"key": key})
    assert sum(len(each.stopped_at) for each in steps(store)) == 3
    assert released(store) == []

    run_sql(store, "UPDATE object_versions SET legal_hold = FALSE WHERE object_key = :key", {"key": b"held"})
    clock.move(11)
    again = released(store)
    store.write(partial(reaper.take_up_again, retired_ids=again))
    freed = sum(each.freed_count for each in steps(store))

    assert (len(again), freed) == (2, 2)
    assert store.read(reaper.waiting) == (0, 1)
    assert run_sql(store, "SELECT object_key FROM object_versions") == [(b"long",)]
    assert_consistent(store)


def test_a_live_version_among_the_retired_is_taken_up_once_it_is_none(
    store: Store, bucket: Bucket, backend: int
) -> None:
    published = put(store, bucket, KEY, backend)
    run_sql(
        store,
        "INSERT INTO retired (kind, target_seq, created_at_us) VALUES ('version', :seq, 1)",
        {"seq": published.version_seq},
    )
    assert len(step(store).stopped_at) == 1
    assert released(store) == []

    delete(store, bucket)

    assert len(released(store)) == 1
    store.write(partial(reaper.take_up_again, retired_ids=released(store)))
    assert sum(each.freed_count for each in steps(store)) == 1
    assert store.read(reaper.waiting) == (0, 0)


def test_the_reaper_stops_at_a_live_version(store: Store, bucket: Bucket, backend: int) -> None:
    published = put(store, bucket, KEY, backend)
    run_sql(
        store,
        "INSERT INTO retired (kind, target_seq, created_at_us) VALUES ('version', :seq, 1)",
        {"seq": published.version_seq},
    )

    assert len(step(store).stopped_at) == 1

    assert store.read(partial(versions.find_current, bucket=bucket.name, key=KEY)).slices[0].locations
    assert_consistent(store)


def test_a_step_takes_several_versions_and_stops_only_at_what_it_may_not_touch(
    store: Store, bucket: Bucket, backend: int
) -> None:
    keys = [b"key-%d" % number for number in range(6)]
    for key in keys:
        put(store, bucket, key, backend)
    upload_id = make_upload(store, bucket)
    store.write(partial(uploads.abort, upload_id=upload_id, bucket=bucket.name, key=ObjectKey(b"big")))
    for key in keys:
        delete(store, bucket, key)
    shared = run_sql(store, "SELECT blob_id FROM object_versions WHERE object_key = :key", {"key": keys[4]})
    run_sql(store, "UPDATE object_versions SET legal_hold = TRUE WHERE object_key = :key", {"key": keys[1]})
    walked = []

    def unit(tx: Tx, count_max: int) -> None:
        reaping = Reaping(tx, grace_us=GRACE_US)
        done = reaping.step(count_max)
        walked.append((done.row_count, reaping.finish(), len(done.stopped_at), done.has_more))

    for count_max in (10, 4, 10, 10):
        store.write(partial(unit, count_max=count_max))

    # The upload was retired first: it is walked alone, and the versions behind it together.
    assert walked == [(1, 0, 0, True), (4, 3, 1, True), (2, 2, 0, True), (0, 0, 0, False)]
    assert store.read(reaper.waiting) == (0, 1)
    assert run_sql(store, "SELECT object_key FROM object_versions") == [(keys[1],)]
    assert run_sql(store, "SELECT 1 FROM blobs WHERE blob_id = :id", {"id": shared[0][0]}) == []
    ((queued,),) = run_sql(store, "SELECT COUNT(*) FROM cleanup_queue")
    assert queued == 5
    assert_consistent(store)


def test_a_long_version_ends_the_step_of_those_behind_it(
    store: Store, bucket: Bucket, backend: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaper, "SEGMENT_COUNT_MAX", 3)
    put(store, bucket, b"first", backend)
    long = new_version(bucket, b"long", *(new_blob(backend) for _ in range(7)))
    store.write(partial(publish, new=long))
    put(store, bucket, b"last", backend)
    for key in (b"first", b"long", b"last"):
        delete(store, bucket, key)
    # A version that is named twice is taken apart once.
    run_sql(
        store,
        "INSERT INTO retired (kind, target_seq, created_at_us)"
        " SELECT kind, target_seq, 1 FROM retired WHERE retired_id = 1",
    )
    freed = []

    def unit(tx: Tx) -> bool:
        reaping = Reaping(tx, grace_us=GRACE_US)
        has_more = reaping.step(10).has_more
        freed.append(reaping.finish())
        return has_more

    while store.write(unit):
        assert_consistent(store)

    assert freed == [4, 3, 2, 0]
    assert store.read(reaper.waiting) == (0, 0)
    assert_consistent(store)


def test_a_row_whose_version_is_gone_is_done_with(store: Store) -> None:
    run_sql(store, "INSERT INTO retired (kind, target_seq, created_at_us) VALUES ('version', 77, 1)")
    run_sql(store, "INSERT INTO retired (kind, target_seq, created_at_us) VALUES ('part', 78, 1)")
    run_sql(
        store, "INSERT INTO retired (kind, target_id, created_at_us) VALUES ('upload', :id, 1)", {"id": b"u"}
    )

    assert [each.freed_count for each in steps(store)] == [0, 0, 0]
    assert store.read(reaper.waiting) == (0, 0)


def test_a_step_that_is_rolled_back_freed_nothing(store: Store, bucket: Bucket, backend: int) -> None:
    put(store, bucket, KEY, backend)
    delete(store, bucket)

    def unit(tx: object) -> None:
        reaper.reap_step(tx, grace_us=0)  # type: ignore[arg-type]
        raise InterruptedError

    with pytest.raises(InterruptedError):
        store.write(unit)

    assert run_sql(store, "SELECT COUNT(*) FROM cleanup_queue") == [(0,)]
    assert_consistent(store)
    assert reap_all(store) == 1


def test_the_grace_begins_when_the_reaper_frees_not_when_the_version_was_retired(
    store: Store, bucket: Bucket, backend: int, clock: SetClock
) -> None:
    put(store, bucket, KEY, backend)
    delete(store, bucket)
    clock.move(500)

    step(store)

    assert run_sql(store, "SELECT not_before_us FROM cleanup_queue") == [(START_US + 500_000_000 + GRACE_US,)]


def test_every_table_that_refers_to_blobs_is_asked(store: Store, bucket: Bucket, backend: int) -> None:
    """One blob for each kind of reference, each kept alive by that kind alone."""
    put(store, bucket, b"single", backend)
    store.write(partial(publish, new=new_version(bucket, b"many", new_blob(backend), new_blob(backend))))
    upload_id = make_upload(store, bucket, KEY)
    put_part(store, bucket, KEY, upload_id, 1, new_blob(backend))

    for table in references.REFERRING_TABLES:
        for (blob_id,) in run_sql(store, f"SELECT blob_id FROM {table} WHERE blob_id IS NOT NULL"):
            assert isinstance(blob_id, bytes)
            assert store.read(partial(references.is_referenced, blob_id=blob_id)), table
            free = with_changes(
                references.free_unreferenced, blob_ids=[blob_id], not_before_us=0, reason="test"
            )
            assert store.write(free) == 0, table
    assert not store.read(partial(references.is_referenced, blob_id=b"unknown"))
