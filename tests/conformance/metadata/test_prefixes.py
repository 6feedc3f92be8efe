"""What lies behind a prefix is counted whole or said to be partial, and removed as clients would remove it."""

from functools import partial

import pytest

from engine.metadata import prefixes
from engine.metadata.prefixes import Content, RemovedPage
from engine.metadata.remove import remove
from engine.metadata.store import Store
from engine.metadata.versions import find_current
from engine.names import ObjectKey
from engine.records import HISTORY_START, Bucket, HistoryPosition, Versioning
from tests.support.metadata import (
    assert_consistent,
    make_backend,
    make_bucket,
    put,
    run_sql,
    set_versioning,
)

KEYS = (b"a", b"b/1", b"b/2", b"b/\xc3\xbc", b"b0", b"c")


@pytest.fixture
def backend(store: Store) -> int:
    return make_backend(store, kind="memory")


@pytest.fixture
def bucket(store: Store, backend: int) -> Bucket:
    made = make_bucket(store)
    for key in KEYS:
        put(store, made, key, backend)
    return made


def count(
    store: Store, bucket: Bucket, prefix: bytes, *, all_versions: bool = False, count_max: int = 100
) -> Content:
    return prefixes.count_prefix(
        store,
        bucket_id=bucket.bucket_id,
        prefix=prefix,
        all_versions=all_versions,
        count_max=count_max,
    )


def remove_all(
    store: Store,
    bucket: Bucket,
    prefix: bytes,
    *,
    all_versions: bool = False,
    up_to_seq: int | None = None,
    count_max: int = 2,
) -> list[RemovedPage]:
    pages: list[RemovedPage] = []
    after: HistoryPosition | None = HISTORY_START
    while after is not None:
        unit = partial(
            prefixes.remove_page,
            bucket=bucket.name,
            prefix=prefix,
            after=after,
            up_to_seq=up_to_seq,
            all_versions=all_versions,
            count_max=count_max,
        )
        pages.append(store.write(unit))
        after = pages[-1].next_after
    return pages


def live(store: Store) -> list[tuple[bytes, bool]]:
    rows = run_sql(
        store,
        "SELECT object_key, is_delete_marker FROM object_versions WHERE state = 'live' ORDER BY version_seq",
    )
    return [(bytes(key), bool(marker)) for key, marker in rows]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("prefix", "expected"), [(b"", 6), (b"b", 4), (b"b/", 3), (b"b/2", 1), (b"c", 1), (b"x", 0)]
)
def test_a_prefix_is_counted_with_the_key_that_equals_it_and_no_neighbour(
    store: Store, bucket: Bucket, prefix: bytes, expected: int
) -> None:
    assert count(store, bucket, prefix) == Content(count=expected, size_bytes=100 * expected)


@pytest.mark.parametrize("all_versions", [False, True])
@pytest.mark.parametrize("page_max", [1, 2, 3, 5, 6, 7])
def test_pages_add_up(store: Store, bucket: Bucket, backend: int, page_max: int, all_versions: bool) -> None:
    set_versioning(store, bucket, Versioning.ENABLED)
    for _ in range(4):
        put(store, bucket, b"b/2", backend)
    start: bytes | None = b""
    found = 0

    while start is not None:
        unit = partial(
            prefixes.count_page,
            bucket_id=bucket.bucket_id,
            start=start,
            before=b"\xff",
            count_max=page_max,
            all_versions=all_versions,
        )
        content, start = store.read(unit)
        found += content.count

    assert found == (10 if all_versions else 6)


def test_counting_that_is_cut_off_says_so(store: Store, bucket: Bucket) -> None:
    assert count(store, bucket, b"", count_max=4) == Content(count=4, size_bytes=400, is_partial=True)
    assert count(store, bucket, b"", count_max=6) == Content(count=6, size_bytes=600)


def test_markers_count_as_versions_and_not_as_objects(store: Store, bucket: Bucket) -> None:
    set_versioning(store, bucket, Versioning.ENABLED)
    store.write(partial(remove, bucket_name=bucket.name, key=ObjectKey(b"c")))

    assert count(store, bucket, b"c").count == 0
    assert count(store, bucket, b"c", all_versions=True) == Content(count=2, size_bytes=100)


def test_what_is_behind_the_prefix_goes_and_nothing_else(store: Store, bucket: Bucket) -> None:
    pages = remove_all(store, bucket, b"b/")

    assert sum(page.count for page in pages) == 3
    assert sum(page.size_bytes for page in pages) == 300
    assert [key for key, _ in live(store)] == [b"a", b"b0", b"c"]
    assert sum(page.count for page in remove_all(store, bucket, b"b/")) == 0
    assert_consistent(store)


def test_where_versions_are_kept_markers_cover_them_once(store: Store, bucket: Bucket, backend: int) -> None:
    set_versioning(store, bucket, Versioning.ENABLED)
    put(store, bucket, b"b/1", backend)

    first = sum(page.count for page in remove_all(store, bucket, b"b/"))
    again = sum(page.count for page in remove_all(store, bucket, b"b/"))

    assert (first, again) == (3, 0)
    assert count(store, bucket, b"b/").count == 0
    assert [key for key, is_marker in live(store) if is_marker] == [b"b/1", b"b/2", b"b/\xc3\xbc"]
    assert_consistent(store)


def test_with_all_versions_nothing_is_left(store: Store, bucket: Bucket, backend: int) -> None:
    set_versioning(store, bucket, Versioning.ENABLED)
    for _ in range(5):
        put(store, bucket, b"b/1", backend)
    remove_all(store, bucket, b"b/")

    removed = sum(page.count for page in remove_all(store, bucket, b"b/", all_versions=True))

    assert removed == 3 + 5 + 3
    assert count(store, bucket, b"b/", all_versions=True) == Content()
    assert [key for key, _ in live(store)] == [b"a", b"b0", b"c"]
    assert_consistent(store)


def test_what_was_written_later_stays(store: Store, bucket: Bucket, backend: int) -> None:
    newest = store.read(prefixes.newest_version_seq)
    put(store, bucket, b"b/2", backend)
    put(store, bucket, b"b/3", backend)

    remove_all(store, bucket, b"b/", up_to_seq=newest)

    assert [key for key, _ in live(store)] == [b"a", b"b0", b"c", b"b/2", b"b/3"]
    assert store.read(partial(find_current, bucket=bucket.name, key=b"b/2")).version.version_seq > newest


def test_a_version_that_is_locked_stays_and_is_told(store: Store, bucket: Bucket) -> None:
    run_sql(
        store,
        "UPDATE object_versions SET legal_hold = :held WHERE object_key = :key",
        {"held": True, "key": b"b/2"},
    )

    pages = remove_all(store, bucket, b"b/", all_versions=True, count_max=1)

    assert [each for page in pages for each in page.locked] == ["b/2 (null)"]
    assert [key for key, _ in live(store)] == [b"a", b"b/2", b"b0", b"c"]
