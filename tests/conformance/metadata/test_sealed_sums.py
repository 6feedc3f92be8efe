"""How much is sealed is summed up page by page, whole blobs and slices alike, and comes to what the rows hold."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from engine.metadata import keys, sealed_sums
from engine.metadata.publish import publish
from engine.metadata.remove import remove
from engine.metadata.store import Store
from engine.names import ObjectKey
from engine.records import Bucket, NewBlob
from tests.support.metadata import make_backend, make_bucket, new_blob, new_version

KEY = b"key-0"


@pytest.fixture(autouse=True)
def ring_key(store: Store) -> None:
    store.write(
        partial(
            keys.insert_key,
            key_id=KEY,
            key_name="main",
            provider="file",
            wrapped_material=b"wrapped",
            state="primary",
            check_value=b"check",
        )
    )


def sealed(new: NewBlob) -> NewBlob:
    return replace(new, blob=replace(new.blob, key_id=KEY, wrapped_dek=b"dek", frame_bytes=65536))


def put_blobs(store: Store, bucket: Bucket, key: bytes, *blobs: NewBlob) -> None:
    store.write(partial(publish, new=new_version(bucket, key, *blobs)))


def whole(
    store: Store, page: Callable[..., Any], start: Any, count_max: int
) -> Counter[tuple[int, bytes | None]]:
    found: Counter[tuple[int, bytes | None]] = Counter()
    position = start
    while position is not None:
        sums, position = store.read(partial(page, after=position, count_max=count_max))
        for each in sums:
            found[each.subject_id, each.key_id] += each.size_bytes
    return found


@pytest.mark.parametrize("count_max", [1, 2, 3, 100])
def test_pages_add_up_whatever_their_size(store: Store, count_max: int) -> None:
    near, far = (make_backend(store, name, kind="memory") for name in ("near", "far"))
    photos, films = make_bucket(store, "photos"), make_bucket(store, "films")
    put_blobs(store, photos, b"plain", new_blob(near, size_bytes=1000))
    put_blobs(store, photos, b"sealed", sealed(new_blob(near, far, size_bytes=200)))
    put_blobs(store, photos, b"empty")
    put_blobs(
        store,
        films,
        b"slices",
        new_blob(far, size_bytes=30),
        sealed(new_blob(far, size_bytes=4)),
        sealed(new_blob(near, size_bytes=5)),
    )

    pieces = whole(store, sealed_sums.sum_pieces, b"", count_max)
    versions = whole(store, sealed_sums.sum_versions, 0, count_max)

    # A copy occupies ten bytes more than its blob has.
    assert pieces == {(near, None): 1010, (near, KEY): 210 + 15, (far, KEY): 210 + 14, (far, None): 40}
    assert versions == {
        (photos.bucket_id, None): 1000,
        (photos.bucket_id, KEY): 200,
        (films.bucket_id, None): 30,
        (films.bucket_id, KEY): 9,
    }


def test_what_was_removed_is_in_no_bucket_and_still_on_its_backend(store: Store) -> None:
    near = make_backend(store, kind="memory")
    bucket = make_bucket(store)
    put_blobs(store, bucket, b"k", sealed(new_blob(near, size_bytes=200)))

    store.write(partial(remove, bucket_name=bucket.name, key=ObjectKey(b"k")))

    assert whole(store, sealed_sums.sum_versions, 0, 10) == {}
    assert whole(store, sealed_sums.sum_pieces, b"", 10) == {(near, KEY): 210}


def test_nothing_is_nothing(store: Store) -> None:
    assert store.read(partial(sealed_sums.sum_pieces, after=b"")) == ([], None)
    assert store.read(partial(sealed_sums.sum_versions, after=0)) == ([], None)
