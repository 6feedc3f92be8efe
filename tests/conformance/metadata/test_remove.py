"""remove: a version or a marker in one transaction, locks asked first; the newest one left is current again."""

from functools import partial

import pytest

from engine.errors import BucketNotEmpty, NoSuchBucket, NoSuchKey, PreconditionFailed, VersionLocked
from engine.metadata import buckets, quota, versions
from engine.metadata.remove import remove, remove_version
from engine.metadata.store import Store
from engine.names import ObjectKey
from engine.records import Bucket, RemoveConditions, Removed, Versioning
from tests.support.metadata import (
    START_US,
    SetClock,
    assert_consistent,
    journal_of,
    make_backend,
    make_bucket,
    put,
    reap_all,
    run_sql,
    set_versioning,
    totals_of,
)

KEY = ObjectKey(b"one")


def remove_key(store: Store, bucket: Bucket) -> Removed:
    return store.write(partial(remove, bucket_name=bucket.name, key=KEY))


def remove_id(store: Store, bucket: Bucket, version_id: str) -> Removed:
    return store.write(partial(remove_version, bucket_name=bucket.name, key=KEY, version_id=version_id))


def current_etag(store: Store) -> str | None:
    try:
        return store.read(partial(versions.find_current, bucket="photos", key=KEY)).version.etag
    except NoSuchKey:
        return None


def lock(store: Store, column: str, value: int | str, version_seq: int) -> None:
    text = f"UPDATE object_versions SET {column} = :value WHERE version_seq = :version_seq"
    run_sql(store, text, {"value": value, "version_seq": version_seq})


def test_removing_retires_the_version_and_frees_the_buckets_quota_at_once(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    published = put(store, bucket, KEY, backend)

    removed = remove_key(store, bucket)

    assert (removed.version_seq, removed.is_delete_marker) == (published.version_seq, False)
    assert current_etag(store) is None
    assert totals_of(store, quota.bucket_subject(bucket.bucket_id)).used_bytes == 0
    assert totals_of(store, quota.backend_subject(backend)).used_bytes == 110
    assert_consistent(store)


def test_removing_nothing_changes_nothing(store: Store) -> None:
    bucket = make_bucket(store)
    before = len(journal_of(store))

    removed = remove_key(store, bucket)

    assert removed == Removed(
        version_seq=None, version_id=None, is_delete_marker=False, versioning=Versioning.OFF
    )
    assert len(journal_of(store)) == before


def test_removing_from_a_bucket_that_is_not_there_is_refused(store: Store) -> None:
    bucket = make_bucket(store)
    store.write(partial(buckets.delete_bucket, name=bucket.name))

    with pytest.raises(NoSuchBucket):
        remove_key(store, bucket)
    with pytest.raises(NoSuchBucket):
        remove_id(store, bucket, "null")


def test_with_versioning_a_marker_covers_the_key_and_hides_it(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    set_versioning(store, bucket, Versioning.ENABLED)
    published = put(store, bucket, KEY, backend, etag="one")

    marker = remove_key(store, bucket)

    assert marker.is_delete_marker
    assert marker.version_id not in (None, "null", published.version_id)
    assert current_etag(store) is None
    assert totals_of(store, quota.bucket_subject(bucket.bucket_id)).used_bytes == 100
    assert_consistent(store)


def test_removing_the_marker_brings_the_version_back(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    set_versioning(store, bucket, Versioning.ENABLED)
    put(store, bucket, KEY, backend, etag="one")
    marker = remove_key(store, bucket)
    assert marker.version_id is not None

    removed = remove_id(store, bucket, marker.version_id)

    assert removed.is_delete_marker
    assert current_etag(store) == "one"
    assert_consistent(store)


def test_removing_the_current_version_makes_the_newest_left_current_markers_counted(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    set_versioning(store, bucket, Versioning.ENABLED)
    first = put(store, bucket, KEY, backend, etag="first")
    remove_key(store, bucket)
    last = put(store, bucket, KEY, backend, etag="last")

    remove_id(store, bucket, last.version_id)
    assert current_etag(store) is None
    assert_consistent(store)

    remove_id(store, bucket, first.version_id)
    assert current_etag(store) is None
    assert_consistent(store)


def test_removing_an_older_version_leaves_the_current_one(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    set_versioning(store, bucket, Versioning.ENABLED)
    first = put(store, bucket, KEY, backend, etag="first")
    put(store, bucket, KEY, backend, etag="second")

    remove_id(store, bucket, first.version_id)

    assert current_etag(store) == "second"
    assert_consistent(store)


def test_a_version_id_nobody_has_removes_nothing(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    put(store, bucket, KEY, backend, etag="one")

    removed = remove_id(store, bucket, "018f0000")

    assert removed.version_seq is None
    assert current_etag(store) == "one"


def test_removing_a_version_twice_removes_it_once(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    put(store, bucket, KEY, backend)

    first, again = remove_id(store, bucket, "null"), remove_id(store, bucket, "null")

    assert (first.version_seq is None, again.version_seq is None) == (False, True)
    assert_consistent(store)


@pytest.mark.parametrize(
    ("column", "value"),
    [("legal_hold", True), ("retention_mode", "GOVERNANCE"), ("retention_mode", "COMPLIANCE")],
)
def test_a_locked_version_is_removed_by_no_path(store: Store, column: str, value: int | str) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    published = put(store, bucket, KEY, backend, etag="locked")
    lock(store, "retain_until_us", START_US + 1_000_000, published.version_seq)
    lock(store, column, value, published.version_seq)

    with pytest.raises(VersionLocked):
        remove_key(store, bucket)
    with pytest.raises(VersionLocked):
        remove_id(store, bucket, "null")
    with pytest.raises(BucketNotEmpty):
        store.write(partial(buckets.delete_bucket, name=bucket.name))

    assert current_etag(store) == "locked"
    assert_consistent(store)


def test_a_marker_covers_a_locked_version(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    set_versioning(store, bucket, Versioning.ENABLED)
    published = put(store, bucket, KEY, backend)
    lock(store, "legal_hold", True, published.version_seq)

    assert remove_key(store, bucket).is_delete_marker
    with pytest.raises(VersionLocked):
        remove_id(store, bucket, published.version_id)


def test_a_lock_that_ran_out_keeps_nothing(store: Store, clock: SetClock) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    published = put(store, bucket, KEY, backend)
    lock(store, "retain_until_us", START_US + 1_000_000, published.version_seq)
    lock(store, "retention_mode", "COMPLIANCE", published.version_seq)

    clock.move(1)

    assert remove_key(store, bucket).version_seq == published.version_seq


def test_delete_all_then_delete_the_bucket_at_once(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    set_versioning(store, bucket, Versioning.ENABLED)
    ids = [put(store, bucket, KEY, backend).version_id for _ in range(5)]
    marker = remove_key(store, bucket)
    assert marker.version_id is not None

    for version_id in [*ids, marker.version_id]:
        remove_id(store, bucket, version_id)
    store.write(partial(buckets.delete_bucket, name=bucket.name))

    assert_consistent(store)
    assert reap_all(store) == 5
    assert_consistent(store)


@pytest.mark.parametrize("versioning", list(Versioning))
def test_a_condition_that_does_not_hold_leaves_everything(
    store: Store, clock: SetClock, versioning: Versioning
) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    set_versioning(store, bucket, versioning)
    clock.move(1.234567)
    published = put(store, bucket, KEY, backend, etag="there")
    size_bytes = store.read(partial(versions.find_current, bucket="photos", key=KEY)).version.size_bytes
    second_ms = published.created_at_us // 1_000_000 * 1000

    for wrong in (
        RemoveConditions(etag="else"),
        RemoveConditions(size_bytes=size_bytes + 1),
        RemoveConditions(modified_at_ms=second_ms + 1),
        RemoveConditions(modified_at_ms=second_ms + 1000),
        RemoveConditions(etag="there", size_bytes=size_bytes + 1),
    ):
        with pytest.raises(PreconditionFailed):
            store.write(partial(remove, bucket_name=bucket.name, key=KEY, conditions=wrong))
        assert current_etag(store) == "there"
    assert_consistent(store)
    right = RemoveConditions(etag="there", size_bytes=size_bytes, modified_at_ms=second_ms)
    store.write(partial(remove, bucket_name=bucket.name, key=KEY, conditions=right))
    assert current_etag(store) is None
    assert_consistent(store)


def test_where_nothing_is_no_etag_matches(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    set_versioning(store, bucket, Versioning.ENABLED)

    for _ in range(2):
        for etag in ("*", "x"):
            with pytest.raises(PreconditionFailed):
                store.write(
                    partial(remove, bucket_name=bucket.name, key=KEY, conditions=RemoveConditions(etag=etag))
                )
        # The second round finds a delete marker, which is no version to match either.
        put(store, bucket, KEY, backend)
        remove_key(store, bucket)

    store.write(partial(remove, bucket_name=bucket.name, key=KEY, conditions=RemoveConditions(size_bytes=7)))
    assert_consistent(store)


def test_a_condition_beside_an_id_is_about_that_version(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    set_versioning(store, bucket, Versioning.ENABLED)
    older = put(store, bucket, KEY, backend, etag="older")
    put(store, bucket, KEY, backend, etag="newer")
    removing = partial(remove_version, bucket_name=bucket.name, key=KEY, version_id=older.version_id)

    with pytest.raises(PreconditionFailed):
        store.write(partial(removing, conditions=RemoveConditions(etag="newer")))
    removed = store.write(partial(removing, conditions=RemoveConditions(etag="older")))

    assert removed.version_seq == older.version_seq
    with pytest.raises(PreconditionFailed):
        store.write(partial(removing, conditions=RemoveConditions(etag="older")))
    assert current_etag(store) == "newer"
