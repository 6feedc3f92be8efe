"""A look is one statement on a snapshot of its own, and says what a read of the same would say."""

from functools import partial

import pytest

from engine.errors import NoSuchBucket, NoSuchKey
from engine.metadata.buckets import find_bucket, look_up_bucket
from engine.metadata.publish import publish
from engine.metadata.store import Store
from engine.metadata.versions import find_current, look_up_current
from engine.names import BucketName
from tests.conformance.metadata.conftest import OpenStore
from tests.support.metadata import make_backend, make_bucket, new_blob, new_version, put


@pytest.mark.parametrize("blob_count", [0, 1, 3])
@pytest.mark.parametrize("copy_count", [1, 2])
def test_the_current_version_looks_as_it_reads(store: Store, blob_count: int, copy_count: int) -> None:
    bucket = make_bucket(store)
    backend_ids = [make_backend(store, f"b{number}", kind="memory") for number in range(copy_count)]
    blobs = [new_blob(*backend_ids) for _ in range(blob_count)]
    store.write(partial(publish, new=new_version(bucket, b"key", *blobs)))

    looked = look_up_current(store, bucket.name, b"key")

    assert looked == store.read(partial(find_current, bucket=bucket.name, key=b"key"))
    assert [len(each.locations) for each in looked.slices] == [copy_count] * blob_count


def test_what_is_not_there_is_told_alike(store: Store) -> None:
    make_bucket(store)

    with pytest.raises(NoSuchKey):
        look_up_current(store, "photos", b"none")
    with pytest.raises(NoSuchBucket):
        look_up_current(store, "none", b"none")
    with pytest.raises(NoSuchBucket):
        look_up_bucket(store, "none")


def test_a_look_sees_what_another_process_committed(open_store: OpenStore) -> None:
    ours, theirs = open_store(), open_store()
    bucket = make_bucket(ours)
    backend_id = make_backend(ours, kind="memory")
    put(ours, bucket, b"key", backend_id, etag="a" * 32)
    assert look_up_current(ours, "photos", b"key").version.etag == "a" * 32

    put(theirs, bucket, b"key", backend_id, etag="b" * 32)

    assert look_up_current(ours, "photos", b"key").version.etag == "b" * 32


def test_a_bucket_looks_as_it_reads_also_after_it_changed(store: Store) -> None:
    make_bucket(store, quota_bytes=5)

    assert look_up_bucket(store, "photos") == store.read(lambda tx: find_bucket(tx, BucketName("photos")))
    assert look_up_bucket(store, "photos").quota_bytes == 5
