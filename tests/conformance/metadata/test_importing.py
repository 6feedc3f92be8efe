"""What lies on a backend becomes versions in place: once, never over what is there, never what is about to go."""

from collections.abc import Sequence
from functools import partial

import pytest

from engine.clock import uuid7
from engine.errors import BucketQuotaExceeded, NoSuchBucket, PlacementRefused
from engine.imported import ImportedObject
from engine.metadata import backends, cleanup, versions
from engine.metadata.bucket_settings import OwnBucket
from engine.metadata.importing import Importable, Stand, import_objects, stand_of
from engine.metadata.quota import backend_subject, bucket_subject
from engine.metadata.remove import remove
from engine.metadata.store import Store
from engine.names import ObjectKey
from engine.records import BackendState, Bucket, ObjectHeaders, StoredVersion, Versioning
from tests.support.metadata import (
    START_US,
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

OLD_US = START_US - 86_400_000_000


@pytest.fixture
def bucket(store: Store) -> Bucket:
    return make_bucket(store)


@pytest.fixture
def backend_id(store: Store) -> int:
    return make_backend(store, "far", kind="s3")


def importable(key: bytes, *, etag: str = "e" * 32, size_bytes: int = 100) -> Importable:
    return Importable(
        key=ObjectKey(key),
        source=ImportedObject(key=key.decode(), etag=etag),
        size_bytes=size_bytes,
        modified_at_us=OLD_US,
        headers=ObjectHeaders(content_type="text/plain", user={"colour": "blue"}, tags={"a": "b"}),
    )


def take(
    store: Store, bucket: Bucket, backend_id: int, *objects: Importable, beside: Sequence[int] = ()
) -> list[Stand]:
    unit = partial(
        import_objects,
        bucket=OwnBucket(name=bucket.name, bucket_id=bucket.bucket_id),
        objects=objects,
        backend_id=backend_id,
        backend_ids=[backend_id, *beside],
        ids=uuid7,
    )
    return store.write(unit)


def current(store: Store, bucket: Bucket, key: bytes) -> StoredVersion:
    return store.read(partial(versions.find_current, bucket=bucket.name, key=ObjectKey(key)))


def test_a_version_says_what_the_store_says(store: Store, bucket: Bucket, backend_id: int) -> None:
    stands = take(store, bucket, backend_id, importable(b"a"), importable(b"b", size_bytes=0))

    assert stands == [Stand.FREE, Stand.FREE]
    stored = current(store, bucket, b"a")
    assert stored.version.etag == "e" * 32
    assert stored.version.created_at_us == OLD_US
    assert stored.version.headers == importable(b"a").headers
    (slice_,) = stored.slices
    assert not slice_.blob.has_checksums
    assert [each.storage_key for each in slice_.locations] == [importable(b"a").source.storage_key]
    assert totals_of(store, backend_subject(backend_id)).used_bytes == 100
    assert totals_of(store, bucket_subject(bucket.bucket_id)).object_count == 2
    assert {row[0] for row in run_sql(store, "SELECT origin FROM object_locations")} == {"imported"}
    assert [kind for kind, _ in journal_of(store)].count("version") == 2
    assert_consistent(store)


def test_what_was_taken_over_is_known_whatever_its_etag_is_now(
    store: Store, bucket: Bucket, backend_id: int
) -> None:
    take(store, bucket, backend_id, importable(b"a"))

    again = take(store, bucket, backend_id, importable(b"a"), importable(b"a|"), importable(b"a/b"))
    changed = take(store, bucket, backend_id, importable(b"a", etag="f" * 32))

    assert again == [Stand.KNOWN, Stand.FREE, Stand.FREE]
    assert changed == [Stand.KNOWN]
    assert current(store, bucket, b"a").version.etag == "e" * 32


def test_what_another_backend_took_from_the_same_bucket_is_known(
    store: Store, bucket: Bucket, backend_id: int
) -> None:
    beside = make_backend(store, "beside", kind="s3")
    take(store, bucket, beside, importable(b"a"))

    assert take(store, bucket, backend_id, importable(b"a"), beside=[beside]) == [Stand.KNOWN]


@pytest.mark.parametrize("versioning", Versioning)
def test_a_key_that_is_there_is_left_and_so_is_its_marker(
    store: Store, bucket: Bucket, backend_id: int, versioning: Versioning
) -> None:
    set_versioning(store, bucket, versioning)
    put(store, bucket, b"a", make_backend(store, "near", kind="memory"), etag="1" * 32)
    put(store, bucket, b"gone")
    store.write(lambda tx: remove(tx, bucket.name, ObjectKey(b"gone")))

    stands = take(store, bucket, backend_id, importable(b"a"), importable(b"gone"))

    left = Stand.FREE if versioning is Versioning.OFF else Stand.TAKEN
    assert stands == [Stand.TAKEN, left]
    assert current(store, bucket, b"a").version.etag == "1" * 32


def test_a_deletion_that_waits_keeps_an_object_from_coming_back(
    store: Store, bucket: Bucket, backend_id: int
) -> None:
    take(store, bucket, backend_id, importable(b"a"))
    store.write(lambda tx: remove(tx, bucket.name, ObjectKey(b"a")))

    assert take(store, bucket, backend_id, importable(b"a")) == [Stand.KNOWN]
    reap_all(store)
    assert take(store, bucket, backend_id, importable(b"a")) == [Stand.LEAVING]
    assert take(store, bucket, backend_id, importable(b"a", etag="f" * 32)) == [Stand.LEAVING]
    own = OwnBucket(name=bucket.name, bucket_id=bucket.bucket_id)
    look = partial(stand_of, bucket=own, key=ObjectKey(b"a"), backend_ids=[backend_id])
    assert store.read(look) is Stand.LEAVING

    items = store.write(partial(cleanup.claim_due, process_id=uuid7(), lease=None, count_max=10))
    assert [each.storage_key for each in items] == [importable(b"a").source.storage_key]
    store.write(partial(cleanup.settle_deleted, items=items))
    assert take(store, bucket, backend_id, importable(b"a", etag="f" * 32)) == [Stand.FREE]
    assert_consistent(store)


def test_the_backend_s_quota_counts_it_and_does_not_keep_it_out(store: Store, bucket: Bucket) -> None:
    small = make_backend(store, "small", kind="s3", quota_bytes=10)

    assert take(store, bucket, small, importable(b"a")) == [Stand.FREE]
    assert totals_of(store, backend_subject(small)).used_bytes == 100


def test_the_bucket_s_quota_keeps_all_of_a_batch_out(store: Store, backend_id: int) -> None:
    bucket = make_bucket(store, "small", quota_bytes=150)

    with pytest.raises(BucketQuotaExceeded):
        take(store, bucket, backend_id, importable(b"a"), importable(b"b"))

    assert totals_of(store, bucket_subject(bucket.bucket_id)).object_count == 0
    assert_consistent(store)


def test_a_backend_that_takes_nothing_and_a_bucket_that_is_another_get_nothing(
    store: Store, bucket: Bucket, backend_id: int
) -> None:
    def read_only(state: BackendState) -> None:
        store.write(lambda tx: backends.set_state(tx, backend_id, state, reason=None))

    read_only(BackendState.READ_ONLY)
    with pytest.raises(PlacementRefused):
        take(store, bucket, backend_id, importable(b"a"))
    read_only(BackendState.ACTIVE)

    other = OwnBucket(name=bucket.name, bucket_id=bucket.bucket_id + 1)
    unit = partial(
        import_objects,
        bucket=other,
        objects=[importable(b"a")],
        backend_id=backend_id,
        backend_ids=[backend_id],
        ids=uuid7,
    )
    with pytest.raises(NoSuchBucket):
        store.write(unit)
