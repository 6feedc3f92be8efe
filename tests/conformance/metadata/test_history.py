"""Histories: every version and marker of a bucket, newest first, page by page, also while versions go between pages."""

from functools import partial

import pytest

from engine.errors import IsDeleteMarker, NoSuchBucket, NoSuchVersion
from engine.metadata import buckets, versions
from engine.metadata.history import list_history
from engine.metadata.publish import publish
from engine.metadata.remove import remove, remove_version
from engine.metadata.store import Store, Tx
from engine.names import BucketName, ObjectKey
from engine.records import HISTORY_START, Bucket, HistoryEntry, HistoryPage, HistoryPosition, Versioning
from tests.support.metadata import assert_consistent, journal_of, make_bucket, new_version

KEYS = [b"a", b"a/", b"a/1", b"a/2/x", b"a/2/y", b"b", b"b//c", "\u00e9/1".encode(), b"z" * 1024]


def page(
    tx: Tx,
    *,
    prefix: bytes = b"",
    delimiter: bytes = b"",
    after: HistoryPosition = HISTORY_START,
    count_max: int = 1000,
) -> HistoryPage:
    return list_history(
        tx,
        bucket=BucketName("photos"),
        prefix=prefix,
        delimiter=delimiter,
        after=after,
        count_max=count_max,
    )


def fill(store: Store, bucket: Bucket) -> list[tuple[bytes, int]]:
    """Ten versions of every second key, one of the others, a marker over every third: all, as a history orders them."""

    def unit(tx: Tx) -> list[tuple[bytes, int]]:
        made: list[tuple[bytes, int]] = []
        for index, key in enumerate(KEYS):
            for _ in range(10 if index % 2 == 0 else 1):
                made.append((key, publish(tx, new_version(bucket, key)).version_seq))
            if index % 3 == 0:
                removed = remove(tx, bucket.name, ObjectKey(key))
                assert removed.version_seq is not None
                made.append((key, removed.version_seq))
        return made

    return sorted(store.write(unit), key=lambda each: (each[0], -each[1]))


@pytest.fixture
def kept(store: Store) -> Bucket:
    bucket = make_bucket(store)
    store.write(partial(buckets.set_versioning, name=bucket.name, versioning=Versioning.ENABLED))
    return store.read(partial(buckets.find_bucket, name=bucket.name))


@pytest.mark.parametrize("delimiter", [b"", b"/"])
@pytest.mark.parametrize("count_max", [1, 2, 3, 8, 1000])
def test_pages_of_any_size_give_every_version_once(
    store: Store, kept: Bucket, count_max: int, delimiter: bytes
) -> None:
    made = fill(store, kept)
    for prefix in (b"", b"a", b"a/", b"none"):
        whole = [each for each in made if each[0].startswith(prefix)]
        cut = {each: each[0].find(delimiter, len(prefix)) if delimiter else -1 for each in whole}
        after = HISTORY_START
        found: list[tuple[bytes, int]] = []
        folded: list[bytes] = []
        while True:
            got = store.read(
                partial(page, prefix=prefix, delimiter=delimiter, after=after, count_max=count_max)
            )
            assert len(got.entries) + len(got.common_prefixes) <= count_max
            found += [(each.listed.key, each.version_seq) for each in got.entries]
            folded += got.common_prefixes
            if got.next_after is None:
                break
            after = got.next_after

        assert found == [each for each in whole if cut[each] < 0]
        assert folded == sorted({each[0][: cut[each] + 1] for each in whole if cut[each] >= 0})


def test_deleting_every_page_before_the_next_one_leaves_nothing(store: Store, kept: Bucket) -> None:
    fill(store, kept)
    after = HISTORY_START
    while True:
        got = store.read(partial(page, after=after, count_max=4))
        for entry in got.entries:
            store.write(
                partial(
                    remove_version,
                    bucket_name=kept.name,
                    key=entry.listed.key,
                    version_id=entry.version_id,
                )
            )
        if got.next_after is None:
            break
        after = got.next_after

    assert store.read(page).entries == []
    store.write(partial(buckets.delete_bucket, name=kept.name))
    assert_consistent(store)


def test_a_version_that_is_named_alone_is_where_the_page_begins_and_one_that_is_gone_passes_over_none(
    store: Store, kept: Bucket
) -> None:
    made = fill(store, kept)
    entries = store.read(page).entries
    third = entries[2]
    named = HistoryPosition(key=third.listed.key, version_id=third.version_id)
    gone = HistoryPosition(key=third.listed.key, version_id="0" * 32)

    behind, again = store.read(partial(page, after=named)), store.read(partial(page, after=gone))

    assert [each.version_seq for each in behind.entries] == [each[1] for each in made[3:]]
    assert [each.version_seq for each in again.entries] == [each[1] for each in made]


def test_exactly_one_version_of_a_key_is_the_latest_and_it_is_the_newest(store: Store, kept: Bucket) -> None:
    fill(store, kept)

    entries = store.read(page).entries

    for key in KEYS:
        of_key: list[HistoryEntry] = [each for each in entries if each.listed.key == key]
        assert [each.is_current for each in of_key] == [True] + [False] * (len(of_key) - 1)


def test_a_marker_beyond_the_prefix_of_the_page_lists_nothing(store: Store, kept: Bucket) -> None:
    made = fill(store, kept)
    outside = HistoryPosition(key=b"b", version_id="0" * 32, version_seq=made[-1][1] + 1)

    got = store.read(partial(page, prefix=b"a", after=outside))

    assert (got.entries, got.next_after) == ([], None)


def test_a_history_of_no_bucket_is_refused(store: Store) -> None:
    with pytest.raises(NoSuchBucket):
        store.read(page)


def test_versions_are_found_by_their_ids_and_markers_are_told_apart(store: Store, kept: Bucket) -> None:
    first = store.write(partial(publish, new=new_version(kept, b"k", etag="1" * 32)))
    store.write(partial(publish, new=new_version(kept, b"k", etag="2" * 32)))
    marker = store.write(partial(remove, bucket_name=kept.name, key=ObjectKey(b"k")))
    find = partial(versions.find_version, bucket="photos", key=b"k")

    assert store.read(partial(find, version_id=first.version_id)).version.etag == "1" * 32
    with pytest.raises(IsDeleteMarker):
        store.read(partial(find, version_id=str(marker.version_id)))
    with pytest.raises(NoSuchVersion):
        store.read(partial(find, version_id="0" * 32))
    with pytest.raises(NoSuchVersion):
        store.read(partial(versions.find_version, bucket="photos", key=b"x", version_id=first.version_id))
    with pytest.raises(NoSuchBucket):
        store.read(partial(versions.find_version, bucket="none", key=b"k", version_id=first.version_id))


def test_a_bucket_that_keeps_versions_never_goes_back_and_each_change_is_in_the_journal(
    store: Store, kept: Bucket
) -> None:
    before = len(journal_of(store))

    store.write(partial(buckets.set_versioning, name=kept.name, versioning=Versioning.ENABLED))
    assert len(journal_of(store)) == before
    store.write(partial(buckets.set_versioning, name=kept.name, versioning=Versioning.SUSPENDED))

    assert len(journal_of(store)) == before + 1
    with pytest.raises(ValueError, match="unversioned"):
        store.write(partial(buckets.set_versioning, name=kept.name, versioning=Versioning.OFF))
    assert store.read(partial(buckets.find_bucket, name=kept.name)).versioning is Versioning.SUSPENDED
