"""Multipart uploads under way: parts that stand until another of their number comes, pages of uploads, aborts."""

from dataclasses import replace
from functools import partial

import pytest

from engine.errors import BucketQuotaExceeded, NoSuchBucket, NoSuchUpload, PlacementRefused
from engine.metadata import backends, buckets, quota, uploads
from engine.metadata.store import Store
from engine.names import BucketName, ObjectKey
from engine.records import BackendState, Bucket, UploadsPage
from engine.units import PART_NUMBER_MAX
from tests.support.metadata import (
    SetClock,
    assert_consistent,
    counted,
    journal_of,
    make_backend,
    make_bucket,
    make_upload,
    new_blob,
    new_part,
    put_part,
    reap_all,
    run_sql,
    totals_of,
)

KEY = ObjectKey(b"big")


def abort(store: Store, bucket: Bucket, upload_id: bytes) -> None:
    store.write(partial(uploads.abort, upload_id=upload_id, bucket=bucket.name, key=KEY))


def numbers(store: Store, upload_id: bytes) -> list[tuple[int, str]]:
    parts = store.read(partial(uploads.list_parts, upload_id=upload_id, after=0, count_max=100))
    return [(each.part_number, each.etag) for each in parts]


def test_an_upload_is_found_only_under_its_own_key_and_bucket(store: Store) -> None:
    bucket, other = make_bucket(store), make_bucket(store, "other")
    upload_id = make_upload(store, bucket, KEY)

    found = store.read(partial(uploads.find_upload, upload_id=upload_id, bucket=bucket.name, key=KEY))

    assert (found.key, found.account, found.headers.content_type) == (KEY, "main", "text/plain")
    for name, key in ((other.name, KEY), (bucket.name, ObjectKey(b"else"))):
        with pytest.raises(NoSuchUpload):
            store.read(partial(uploads.find_upload, upload_id=upload_id, bucket=name, key=key))
    with pytest.raises(NoSuchBucket):
        store.read(partial(uploads.find_upload, upload_id=upload_id, bucket=BucketName("nowhere"), key=KEY))


def test_parts_come_back_in_the_order_of_their_numbers_and_in_pages(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    upload_id = make_upload(store, bucket, KEY)
    for number in (3, 1, PART_NUMBER_MAX, 2):
        put_part(store, bucket, KEY, upload_id, number, new_blob(backend))

    first = store.read(partial(uploads.list_parts, upload_id=upload_id, after=0, count_max=2))
    rest = store.read(partial(uploads.list_parts, upload_id=upload_id, after=2, count_max=2))

    assert [each.part_number for each in (*first, *rest)] == [1, 2, 3, PART_NUMBER_MAX]
    assert_consistent(store)


def test_a_resent_part_takes_the_place_of_the_one_before(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    upload_id = make_upload(store, bucket, KEY)
    put_part(store, bucket, KEY, upload_id, 1, new_blob(backend, size_bytes=100))

    again = new_part(bucket, KEY, upload_id, 1, new_blob(backend, size_bytes=30), etag="again")
    store.write(partial(uploads.put_part, new=again))

    assert numbers(store, upload_id) == [(1, "again")]
    assert totals_of(store, quota.bucket_subject(bucket.bucket_id)).used_bytes == 30
    assert_consistent(store)
    assert reap_all(store) == 1
    assert_consistent(store)


def test_a_part_of_an_upload_that_is_not_open_is_refused(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    upload_id = make_upload(store, bucket, KEY)
    abort(store, bucket, upload_id)

    with pytest.raises(NoSuchUpload):
        put_part(store, bucket, KEY, upload_id, 1, new_blob(backend))

    assert_consistent(store)


def test_parts_count_against_the_buckets_quota(store: Store) -> None:
    bucket, backend = make_bucket(store, quota_bytes=150), make_backend(store, kind="memory")
    upload_id = make_upload(store, bucket, KEY)
    put_part(store, bucket, KEY, upload_id, 1, new_blob(backend, size_bytes=100))

    with pytest.raises(BucketQuotaExceeded):
        put_part(store, bucket, KEY, upload_id, 2, new_blob(backend, size_bytes=51))
    put_part(store, bucket, KEY, upload_id, 1, new_blob(backend, size_bytes=150))

    assert totals_of(store, quota.bucket_subject(bucket.bucket_id)).used_bytes == 150
    assert_consistent(store)


def test_a_part_is_placed_like_any_piece(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    upload_id = make_upload(store, bucket, KEY)
    store.write(partial(backends.set_state, backend_id=backend, state=BackendState.DRAINING, reason=None))

    with pytest.raises(PlacementRefused):
        put_part(store, bucket, KEY, upload_id, 1, new_blob(backend))


def test_an_abort_gives_the_bucket_its_room_back_and_leaves_the_parts_to_the_reaper(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    upload_id = make_upload(store, bucket, KEY)
    for number in range(1, 4):
        put_part(store, bucket, KEY, upload_id, number, new_blob(backend), new_blob(backend))

    abort(store, bucket, upload_id)

    assert totals_of(store, quota.bucket_subject(bucket.bucket_id)).used_bytes == 0
    assert totals_of(store, quota.backend_subject(backend)).used_bytes == 6 * 110
    assert_consistent(store)
    assert reap_all(store) == 6
    assert totals_of(store, quota.backend_subject(backend)).used_bytes == 0
    assert_consistent(store)


def test_an_abort_happens_once(store: Store) -> None:
    bucket = make_bucket(store)
    upload_id = make_upload(store, bucket, KEY)
    abort(store, bucket, upload_id)
    before = len(journal_of(store))

    with pytest.raises(NoSuchUpload):
        abort(store, bucket, upload_id)

    assert len(journal_of(store)) == before


def test_a_bucket_goes_with_its_open_uploads(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    upload_id = make_upload(store, bucket, KEY)
    put_part(store, bucket, KEY, upload_id, 1, new_blob(backend))

    store.write(partial(buckets.delete_bucket, name=bucket.name))

    assert run_sql(store, "SELECT state FROM multipart_uploads") == [("aborted",)]
    assert_consistent(store)
    assert reap_all(store) == 1
    assert_consistent(store)


# --- expiry ---


def test_uploads_that_began_too_long_ago_are_aborted_some_at_a_time(store: Store, clock: SetClock) -> None:
    bucket = make_bucket(store)
    for _ in range(3):
        make_upload(store, bucket, KEY)
    clock.move(100)
    young = make_upload(store, bucket, KEY)

    expire = partial(uploads.expire_open, before_us=clock.now_us(), count_max=2)
    counts = [store.write(expire) for _ in range(3)]

    assert counts == [2, 1, 0]
    assert run_sql(store, "SELECT upload_id FROM multipart_uploads WHERE state = 'open'") == [(young,)]


def test_a_finished_upload_is_forgotten_once_its_parts_are_walked(store: Store, clock: SetClock) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    upload_id = make_upload(store, bucket, KEY)
    put_part(store, bucket, KEY, upload_id, 1, new_blob(backend))
    abort(store, bucket, upload_id)
    expire = partial(uploads.expire_finished, before_us=clock.now_us() + 1, count_max=10)

    assert store.write(expire) == 0
    reap_all(store)
    assert store.write(expire) == 1

    assert run_sql(store, "SELECT COUNT(*) FROM multipart_uploads") == [(0,)]
    assert_consistent(store)


# --- pages of uploads ---


def page(
    store: Store,
    *,
    prefix: bytes = b"",
    delimiter: bytes = b"",
    after: tuple[bytes, bytes] = (b"", b""),
    count_max: int = 1000,
) -> UploadsPage:
    return store.read(
        partial(
            uploads.list_uploads,
            bucket=BucketName("photos"),
            prefix=prefix,
            delimiter=delimiter,
            after_key=after[0],
            after_upload_id=after[1],
            count_max=count_max,
        )
    )


def walk(store: Store, *, prefix: bytes = b"", delimiter: bytes = b"", count_max: int) -> list[bytes]:
    """Keys and common prefixes over all pages."""
    found: list[bytes] = []
    after = (b"", b"")
    for _ in range(100):
        got = page(store, prefix=prefix, delimiter=delimiter, after=after, count_max=count_max)
        found += sorted([*(each.key for each in got.uploads), *got.common_prefixes])
        if got.next_key is None or got.next_upload_id is None:
            return found
        after = (got.next_key, got.next_upload_id)
    raise AssertionError(f"the pages never end: {found[:20]}")


KEYS = [b"a/1", b"a/2", b"a/2", b"b", b"b", b"b/", b"c/x/y", "\u00e9".encode(), "\U0010ffff/1".encode()]


@pytest.mark.parametrize("count_max", [1, 2, 3, 100])
@pytest.mark.parametrize("delimiter", [b"", b"/"])
@pytest.mark.parametrize("prefix", [b"", b"a/", b"b", b"c/", b"none"])
def test_pages_of_any_size_list_each_upload_and_common_prefix_once(
    store: Store, prefix: bytes, delimiter: bytes, count_max: int
) -> None:
    bucket = make_bucket(store)
    for key in KEYS:
        make_upload(store, bucket, key)

    found = walk(store, prefix=prefix, delimiter=delimiter, count_max=count_max)

    keys = [key for key in KEYS if key.startswith(prefix)]
    folded = [key[: key.find(b"/", len(prefix)) + 1] for key in keys if key.find(b"/", len(prefix)) >= 0]
    plain = [key for key in keys if key.find(b"/", len(prefix)) < 0]
    assert found == sorted([*plain, *set(folded)] if delimiter else keys)


def test_uploads_of_one_key_are_told_apart_by_their_ids(store: Store) -> None:
    bucket = make_bucket(store)
    ids = sorted(make_upload(store, bucket, b"one") for _ in range(3))

    behind = page(store, after=(b"one", ids[0]))
    none = page(store, after=(b"one", uploads.LAST_ID))

    assert [each.upload_id for each in behind.uploads] == ids[1:]
    assert list(none.uploads) == []


def test_no_page_of_no_uploads(store: Store) -> None:
    make_upload(store, make_bucket(store), b"one")

    got = page(store, count_max=0)

    assert (list(got.uploads), list(got.common_prefixes), got.next_key) == ([], [], None)


def test_finished_uploads_are_not_listed(store: Store) -> None:
    bucket = make_bucket(store)
    abort(store, bucket, make_upload(store, bucket, KEY))

    assert walk(store, count_max=10) == []


def test_folders_of_uploads_are_skipped_not_read(store: Store) -> None:
    bucket = make_bucket(store)
    for folder in range(10):
        for number in range(30):
            make_upload(store, bucket, f"dir-{folder}/{number:02}".encode())

    got, cost = counted(
        store,
        partial(
            uploads.list_uploads,
            bucket=bucket.name,
            prefix=b"",
            delimiter=b"/",
            after_key=b"",
            after_upload_id=b"",
            count_max=1000,
        ),
    )

    assert len(got.common_prefixes) == 10
    assert cost.row_count < 150


def test_a_resent_part_of_a_closed_transaction_leaves_no_image(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    upload_id = make_upload(store, bucket, KEY)
    part = new_part(bucket, KEY, upload_id, 1, new_blob(backend))

    with pytest.raises(NoSuchUpload):
        store.write(partial(uploads.put_part, new=replace(part, upload_id=b"?" * 16)))

    assert numbers(store, upload_id) == []
