"""Deletions of prefixes, buckets and stale uploads: whatever a step is interrupted by, the next one puts it right."""

from collections.abc import Callable
from functools import partial

import pytest

from engine.errors import BucketNotEmpty, DatabaseUnavailable, LeaseLost, NoSuchBucket, OutcomeUnknown
from engine.metadata import prefixes
from engine.metadata.buckets import delete_bucket, find_bucket
from engine.metadata.prefixes import Content
from engine.metadata.store import Store, Tx
from engine.records import Bucket, HistoryPosition, Versioning
from engine.upkeep.long_work import LongWork, Step
from engine.upkeep.prefix_deletion import (
    GONE,
    BucketDeletion,
    PrefixDeletion,
    read_position,
    write_position,
)
from engine.upkeep.stale_uploads import StaleUploads
from tests.support.deployments import TestDeployment
from tests.support.interruptions import InterruptedStore, fence_of, lead, take_over
from tests.support.metadata import (
    assert_consistent,
    make_backend,
    make_bucket,
    make_upload,
    put,
    reap_all,
    run_sql,
    set_versioning,
)

Make = Callable[[Store], LongWork]

JOB = "operation"
BATCH = 2


def no_fence(tx: Tx) -> None:
    """Nobody else works here."""


@pytest.fixture
def store(deployment: TestDeployment) -> Store:
    return deployment.store


@pytest.fixture
def backend(store: Store) -> int:
    return make_backend(store, "elsewhere", kind="memory")


def fill(store: Store, backend: int, name: str = "pictures") -> Bucket:
    """Eleven versions and markers behind `b/`, of five keys, and one before and behind them."""
    bucket = make_bucket(store, name)
    set_versioning(store, bucket, Versioning.ENABLED)
    for key in (b"a", b"b/1", b"b/1", b"b/1", b"b/2", b"b/3", b"b/4", b"b/5", b"b/5", b"c"):
        put(store, bucket, key, backend)
    return bucket


def deleting(bucket: Bucket, *, all_versions: bool = True, up_to_seq: int | None = None) -> Make:
    return lambda store: PrefixDeletion(
        store,
        fence=no_fence,
        bucket=bucket.name,
        bucket_id=bucket.bucket_id,
        prefix=b"b/",
        all_versions=all_versions,
        up_to_seq=up_to_seq,
        batch_count_max=BATCH,
    )


def deleting_bucket(bucket: Bucket) -> Make:
    return lambda store: BucketDeletion(
        store, fence=no_fence, bucket=bucket.name, bucket_id=bucket.bucket_id, batch_count_max=BATCH
    )


def run(work: LongWork, cursor: str | None = None) -> list[Step]:
    """To its end, as a runner does."""
    steps: list[Step] = []
    while True:
        steps.append(work.step(cursor))
        cursor = steps[-1].cursor
        if steps[-1].is_last:
            return steps


def run_interrupted(store: Store, make: Make, *, at: int, is_committed: bool) -> bool:
    """Fail the write of one number, and go on from the last step that was stored; whether there was such a write."""
    interrupted = InterruptedStore(store, at=at, is_committed=is_committed)
    work, cursor = make(interrupted), None
    while True:
        try:
            step = work.step(cursor)
        except (DatabaseUnavailable, OutcomeUnknown):
            run(make(store), cursor)
            return True
        cursor = step.cursor
        if step.is_last:
            return False


def keys(store: Store) -> set[bytes]:
    rows = run_sql(store, "SELECT DISTINCT object_key FROM object_versions WHERE state = 'live'")
    return {bytes(key) for (key,) in rows}  # type: ignore[arg-type]


@pytest.mark.parametrize("is_committed", [False, True])
@pytest.mark.parametrize("all_versions", [False, True])
def test_a_prefix_is_deleted_whichever_write_fails(
    store: Store, backend: int, all_versions: bool, is_committed: bool
) -> None:
    at = 0
    was_interrupted = True

    while was_interrupted:
        at += 1
        bucket = fill(store, backend, f"pictures-{at}")
        make = deleting(bucket, all_versions=all_versions)
        was_interrupted = run_interrupted(store, make, at=at, is_committed=is_committed)

        left = prefixes.count_prefix(
            store, bucket_id=bucket.bucket_id, prefix=b"b/", all_versions=all_versions, count_max=100
        )
        others = prefixes.count_prefix(
            store, bucket_id=bucket.bucket_id, prefix=b"", all_versions=False, count_max=100
        )
        markers = run_sql(
            store,
            "SELECT COUNT(*) FROM object_versions WHERE bucket_id = :id AND is_delete_marker",
            {"id": bucket.bucket_id},
        )
        assert left == Content()
        assert others.count == 2
        assert markers == [(0 if all_versions else 5,)]
    assert at > 4
    assert_consistent(store)


@pytest.mark.parametrize("is_committed", [False, True])
def test_a_bucket_is_deleted_whichever_write_fails(store: Store, backend: int, is_committed: bool) -> None:
    at = 0
    was_interrupted = True

    while was_interrupted:
        at += 1
        bucket = fill(store, backend, f"pictures-{at}")
        for _ in range(3):
            make_upload(store, bucket)
        was_interrupted = run_interrupted(store, deleting_bucket(bucket), at=at, is_committed=is_committed)

        with pytest.raises(NoSuchBucket):
            store.read(partial(find_bucket, name=bucket.name))
        assert keys(store) == set()
    assert at > 8
    reap_all(store)
    assert_consistent(store)


def test_who_lost_the_lease_removes_nothing_more(
    deployment: TestDeployment, store: Store, backend: int
) -> None:
    bucket = fill(store, backend)
    lease = lead(store, JOB)
    work = PrefixDeletion(
        store,
        fence=fence_of(lease),
        bucket=bucket.name,
        bucket_id=bucket.bucket_id,
        prefix=b"b/",
        all_versions=True,
        up_to_seq=None,
        batch_count_max=BATCH,
    )
    first = work.step(None)
    take_over(store, JOB, deployment.clock)
    before = keys(store)

    with pytest.raises(LeaseLost):
        work.step(first.cursor)

    assert keys(store) == before


def test_progress_adds_up_to_what_was_measured(store: Store, backend: int) -> None:
    bucket = fill(store, backend)
    work = deleting(bucket)(store)

    extent = work.measure()
    steps = run(work)

    assert (extent.item_count, extent.size_bytes) == (8, 800)
    assert sum(step.item_count for step in steps) == 8
    assert sum(step.moved_bytes for step in steps) == 800
    assert all(step.item_count <= BATCH for step in steps)


def test_a_bucket_made_again_under_the_name_is_left_alone(store: Store, backend: int) -> None:
    bucket = fill(store, backend)
    make = deleting(bucket)
    run(make(store))
    run(deleting_bucket(bucket)(store))
    fill(store, backend)

    told = [run(make(store))[-1].warnings, run(deleting_bucket(bucket)(store))[-1].warnings]

    assert told == [(GONE,), (GONE,)]
    assert len(keys(store)) == 7


def test_a_bucket_that_is_written_to_meanwhile_stays(store: Store, backend: int) -> None:
    bucket = fill(store, backend)
    work = deleting_bucket(bucket)(store)
    step = work.step(None)
    while step.cursor != "uploads":
        step = work.step(step.cursor)
    put(store, bucket, b"new", backend)

    with pytest.raises(BucketNotEmpty):
        run(work, step.cursor)

    assert keys(store) == {b"new"}


def test_cancelled_in_the_middle_the_rest_stays(store: Store, backend: int) -> None:
    bucket = fill(store, backend)
    work = deleting(bucket)(store)

    work.step(None)
    work.cancelled()

    assert b"c" in keys(store)
    assert len(keys(store)) > 3


@pytest.mark.parametrize("is_committed", [False, True])
def test_stale_uploads_are_aborted_whichever_write_fails(
    store: Store, backend: int, is_committed: bool
) -> None:
    bucket = make_bucket(store, "pictures")
    at = 0
    was_interrupted = True

    while was_interrupted:
        at += 1
        for _ in range(5):
            make_upload(store, bucket)
        now_us = store.read(lambda tx: tx.now_us())

        def make(store: Store, before_us: int = now_us + 1) -> LongWork:
            return StaleUploads(store, fence=no_fence, before_us=before_us, batch_count_max=BATCH)

        was_interrupted = run_interrupted(store, make, at=at, is_committed=is_committed)

        assert run_sql(store, "SELECT DISTINCT state FROM multipart_uploads") == [("aborted",)]
    assert at > 3
    store.write(partial(delete_bucket, name=bucket.name))
    assert_consistent(store)


@pytest.mark.parametrize(
    "position",
    [
        HistoryPosition(key="ü:/7".encode()),
        HistoryPosition(key=b"k", version_id="", version_seq=12),
        HistoryPosition(key=b"1:2", version_id="", version_seq=3),
    ],
)
def test_positions_are_read_as_they_were_written(position: HistoryPosition) -> None:
    assert read_position(write_position(position)) == position


@pytest.mark.parametrize("text", ["", "12", "x:k", "-1:k", "٣:k"])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no position"):
        read_position(text)
