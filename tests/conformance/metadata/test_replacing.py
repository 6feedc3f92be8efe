"""A blob gives way to others in every version that is it: compare and set, told in the journal, nothing left over."""

from collections.abc import Sequence
from functools import partial

import pytest

from engine.errors import BlobGone
from engine.metadata import replacing
from engine.metadata.publish import publish
from engine.metadata.quota import backend_subject
from engine.metadata.remove import remove
from engine.metadata.replacing import find_first_use, replace_blob
from engine.metadata.store import Store, Tx
from engine.metadata.versions import find_current
from engine.names import ObjectKey
from engine.records import Bucket, NewBlob, ObjectHeaders, Segment, Versioning
from tests.conformance.metadata.conftest import OpenStore
from tests.conformance.metadata.interleaving import overlap
from tests.conformance.metadata.replaying import blobs_of, images_of, replayed, rows_told
from tests.support.engines import metadata_on, open_metadata
from tests.support.metadata import (
    SetClock,
    assert_consistent,
    make_backend,
    make_bucket,
    new_blob,
    new_version,
    reap_all,
    run_sql,
    set_versioning,
    totals_of,
)

GRACE_US = 1_000_000
SIZE = 300


@pytest.fixture
def bucket(store: Store) -> Bucket:
    return make_bucket(store)


def far(store: Store) -> int:
    return make_backend(store, "far", kind="s3")


def near(store: Store) -> int:
    return make_backend(store, "near", kind="memory")


def put_shared(store: Store, bucket: Bucket, keys: Sequence[bytes]) -> NewBlob:
    """Versions of one blob, the later ones copies of the first."""
    blob = new_blob(far(store), size_bytes=SIZE)
    headers = ObjectHeaders(content_type="a/b", user={"x": "y"}, tags={"t": "u"})
    store.write(partial(publish, new=new_version(bucket, keys[0], blob, headers=headers)))
    for key in keys[1:]:
        store.write(partial(publish, new=new_version(bucket, key, joined=[blob.blob])))
    return blob


def pieces(store: Store, sizes: Sequence[int]) -> tuple[list[NewBlob], list[Segment]]:
    """Fresh blobs, and a version's segments of them."""
    blobs = [new_blob(near(store), size_bytes=size) for size in sizes]
    segments, start = [], 0
    for ordinal, (blob, size) in enumerate(zip(blobs, sizes, strict=True)):
        segments.append(
            Segment(
                ordinal=ordinal, start_offset=start, blob_id=blob.blob.blob_id, blob_offset=0, length=size
            )
        )
        start += size
    return blobs, segments


def replace(
    store: Store, bucket: Bucket, old: NewBlob, blobs: Sequence[NewBlob], segments: Sequence[Segment]
) -> bool:
    return store.write(unit(bucket, old, blobs, segments))


def unit(
    bucket: Bucket, old: NewBlob, blobs: Sequence[NewBlob], segments: Sequence[Segment]
) -> partial[bool]:
    return partial(
        replace_blob,
        old_blob_id=old.blob.blob_id,
        bucket=bucket,
        blobs=blobs,
        segments=segments,
        is_sealed=False,
        grace_us=GRACE_US,
    )


def waiting(store: Store) -> list[object]:
    return [row[0] for row in run_sql(store, "SELECT storage_key FROM cleanup_queue")]


@pytest.mark.parametrize("sizes", [[SIZE], [100, 150, 50]], ids=["one", "several"])
def test_every_version_names_the_new_ones_and_the_old_is_freed(
    store: Store, bucket: Bucket, sizes: list[int]
) -> None:
    old = put_shared(store, bucket, [b"a", b"b", b"c"])
    before = {
        key: store.read(partial(find_current, bucket=bucket.name, key=key)) for key in (b"a", b"b", b"c")
    }
    blobs, segments = pieces(store, sizes)

    assert not replace(store, bucket, old, blobs, segments)

    for key, was in before.items():
        now = store.read(partial(find_current, bucket=bucket.name, key=key))
        assert now.version == was.version
        assert [each.segment.length for each in now.slices] == sizes
        assert [each.blob.blob_id for each in now.slices] == [each.blob.blob_id for each in blobs]
    assert waiting(store) == [old.locations[0].storage_key]
    assert totals_of(store, backend_subject(far(store))).used_bytes == 0
    assert_consistent(store)


def test_nothing_of_it_is_lost_in_a_replay(
    engine: str, store: Store, clock: SetClock, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bucket = make_bucket(store)
    old = put_shared(store, bucket, [b"a", b"b"])
    replace(store, bucket, old, *pieces(store, [100, 200]))
    images = images_of(store)

    with metadata_on(engine):
        empty = open_metadata(tmp_path_factory.mktemp("empty"), clock)
        for run in (images, images[-3:], images):
            lost = replayed(run, empty, restore_blob=blobs_of(store))
            assert lost == {}
        assert rows_told(empty) == rows_told(store)
        empty.close()


def test_many_versions_take_several_transactions(
    store: Store, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replacing, "VERSION_COUNT_MAX", 2)
    old = put_shared(store, bucket, [b"a", b"b", b"c"])
    blobs, segments = pieces(store, [SIZE])

    assert replace(store, bucket, old, blobs, segments)
    assert_consistent(store)
    assert waiting(store) == []
    assert not replace(store, bucket, old, (), segments)

    assert waiting(store) == [old.locations[0].storage_key]
    assert_consistent(store)


def test_what_only_waits_for_the_reaper_is_left_to_it(store: Store, bucket: Bucket) -> None:
    old = put_shared(store, bucket, [b"a"])
    store.write(lambda tx: remove(tx, bucket.name, ObjectKey(b"a")))

    assert store.read(partial(find_first_use, blob_id=old.blob.blob_id)) is None
    with pytest.raises(BlobGone):
        replace(store, bucket, old, *pieces(store, [SIZE]))

    assert reap_all(store) == 1
    with pytest.raises(BlobGone):
        replace(store, bucket, old, *pieces(store, [SIZE]))
    assert_consistent(store)


def test_a_retired_version_keeps_the_old_one_until_it_is_reaped(store: Store, bucket: Bucket) -> None:
    old = put_shared(store, bucket, [b"a", b"b"])
    store.write(lambda tx: remove(tx, bucket.name, ObjectKey(b"a")))

    replace(store, bucket, old, *pieces(store, [SIZE]))
    assert waiting(store) == []

    assert reap_all(store) == 1
    assert waiting(store) == [old.locations[0].storage_key]
    assert_consistent(store)


def test_versions_of_a_history_are_all_replaced(store: Store, bucket: Bucket) -> None:
    set_versioning(store, bucket, Versioning.ENABLED)
    old = put_shared(store, bucket, [b"a", b"a"])

    replace(store, bucket, old, *pieces(store, [SIZE]))

    assert waiting(store) == [old.locations[0].storage_key]
    assert_consistent(store)


def test_a_removal_at_the_same_time_leaves_no_blob_behind(open_store: OpenStore, bucket: Bucket) -> None:
    one, other = open_store(), open_store()
    for number, first in enumerate((True, False)):
        keys = [f"{number}-{each}".encode() for each in "ab"]
        old = put_shared(one, bucket, keys)
        blobs, segments = pieces(one, [100, 200])

        def removal(tx: Tx, key: bytes = keys[0]) -> None:
            remove(tx, bucket.name, ObjectKey(key))

        replacement = unit(bucket, old, blobs, segments)
        if first:
            overlap(one, replacement, other, removal)
        else:
            overlap(other, removal, one, replacement)
        reap_all(one)

        assert_consistent(one)
        named = run_sql(one, "SELECT COUNT(*) FROM blobs")
        assert named == [((number + 1) * 2,)]
