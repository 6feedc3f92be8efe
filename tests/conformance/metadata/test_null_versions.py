"""The null version: at most one of a key, wherever it stands, whatever becomes of the bucket's versioning."""

from functools import partial

import pytest

from engine.errors import NoSuchKey, VersionLocked
from engine.metadata import versions
from engine.metadata.remove import remove, remove_version
from engine.metadata.store import Store
from engine.names import ObjectKey
from engine.records import Bucket, Versioning
from tests.support.metadata import assert_consistent, make_backend, make_bucket, put, run_sql, set_versioning

KEY = ObjectKey(b"one")


def history(store: Store) -> list[tuple[str, bool, bool]]:
    """Live versions of the key, the newest first: ETag, whether it is the null version, whether it is current."""
    rows = run_sql(
        store,
        "SELECT etag, version_id, is_current FROM object_versions WHERE state = 'live' ORDER BY version_seq DESC",
    )
    return [(str(etag), version_id == "null", bool(is_current)) for etag, version_id, is_current in rows]


@pytest.fixture
def bucket(store: Store) -> Bucket:
    return make_bucket(store)


@pytest.fixture
def backend(store: Store) -> int:
    return make_backend(store, kind="memory")


def test_enabling_versioning_keeps_the_null_version_under_newer_ones(
    store: Store, bucket: Bucket, backend: int
) -> None:
    put(store, bucket, KEY, backend, etag="null")
    set_versioning(store, bucket, Versioning.ENABLED)

    put(store, bucket, KEY, backend, etag="new")

    assert history(store) == [("new", False, True), ("null", True, False)]
    assert_consistent(store)


def test_a_suspended_bucket_replaces_the_null_version_wherever_it_stands(
    store: Store, bucket: Bucket, backend: int
) -> None:
    put(store, bucket, KEY, backend, etag="old null")
    set_versioning(store, bucket, Versioning.ENABLED)
    put(store, bucket, KEY, backend, etag="kept")
    set_versioning(store, bucket, Versioning.SUSPENDED)

    published = put(store, bucket, KEY, backend, etag="new null")

    assert history(store) == [("new null", True, True), ("kept", False, False)]
    assert published.replaced_version_seq is not None
    assert_consistent(store)


def test_a_suspended_bucket_keeps_versions_that_have_ids(store: Store, bucket: Bucket, backend: int) -> None:
    set_versioning(store, bucket, Versioning.ENABLED)
    put(store, bucket, KEY, backend, etag="kept")
    set_versioning(store, bucket, Versioning.SUSPENDED)

    published = put(store, bucket, KEY, backend, etag="null")

    assert published.replaced_version_seq is None
    assert history(store) == [("null", True, True), ("kept", False, False)]


def test_a_marker_of_a_suspended_bucket_is_its_null_version(
    store: Store, bucket: Bucket, backend: int
) -> None:
    put(store, bucket, KEY, backend, etag="null")
    set_versioning(store, bucket, Versioning.SUSPENDED)

    removed = store.write(partial(remove, bucket_name=bucket.name, key=KEY))
    again = store.write(partial(remove, bucket_name=bucket.name, key=KEY))

    assert (removed.version_id, removed.is_delete_marker) == ("null", True)
    assert again.is_delete_marker
    assert history(store) == [("", True, True)]
    assert_consistent(store)


def test_removing_the_null_version_by_its_id_leaves_the_others(
    store: Store, bucket: Bucket, backend: int
) -> None:
    put(store, bucket, KEY, backend, etag="null")
    set_versioning(store, bucket, Versioning.ENABLED)
    put(store, bucket, KEY, backend, etag="kept")

    store.write(partial(remove_version, bucket_name=bucket.name, key=KEY, version_id="null"))

    assert history(store) == [("kept", False, True)]
    assert_consistent(store)


def test_a_locked_null_version_deep_in_the_history_is_not_replaced(
    store: Store, bucket: Bucket, backend: int
) -> None:
    locked = put(store, bucket, KEY, backend, etag="locked")
    set_versioning(store, bucket, Versioning.ENABLED)
    put(store, bucket, KEY, backend, etag="current")
    set_versioning(store, bucket, Versioning.SUSPENDED)
    run_sql(
        store,
        "UPDATE object_versions SET legal_hold = TRUE WHERE version_seq = :version_seq",
        {"version_seq": locked.version_seq},
    )

    with pytest.raises(VersionLocked):
        put(store, bucket, KEY, backend)
    with pytest.raises(VersionLocked):
        store.write(partial(remove, bucket_name=bucket.name, key=KEY))

    assert history(store) == [("current", False, True), ("locked", True, False)]
    assert_consistent(store)


def test_the_schema_itself_refuses_a_second_null_or_current_version(
    store: Store, bucket: Bucket, backend: int
) -> None:
    put(store, bucket, KEY, backend)
    copied = "object_key, :version_id, :is_current, size_bytes, etag, account_id, created_at_us"
    columns = "object_key, version_id, is_current, size_bytes, etag, account_id, created_at_us"
    text = f"INSERT INTO object_versions (bucket_id, {columns}) SELECT bucket_id, {copied} FROM object_versions LIMIT 1"

    with pytest.raises(Exception, match=r"(?i)unique"):
        run_sql(store, text, {"version_id": "null", "is_current": False})
    with pytest.raises(Exception, match=r"(?i)unique"):
        run_sql(store, text, {"version_id": "other", "is_current": True})


def test_the_schema_itself_holds_that_retired_means_without_bucket(
    store: Store, bucket: Bucket, backend: int
) -> None:
    put(store, bucket, KEY, backend)

    for change in ("state = 'retired'", "bucket_id = NULL", "state = 'retired', bucket_id = NULL"):
        with pytest.raises(Exception, match=r"(?i)check"):
            run_sql(store, f"UPDATE object_versions SET {change}")


def test_a_key_with_only_a_marker_is_no_key(store: Store, bucket: Bucket) -> None:
    set_versioning(store, bucket, Versioning.ENABLED)

    removed = store.write(partial(remove, bucket_name=bucket.name, key=KEY))

    assert removed.is_delete_marker
    with pytest.raises(NoSuchKey):
        store.read(partial(versions.find_current, bucket="photos", key=KEY))
    assert_consistent(store)
