"""Listings: byte order, common prefixes by seeking past them, markers that continue, at a cost that is bounded."""

from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import NoSuchBucket
from engine.metadata.listing import list_versions, successor
from engine.metadata.publish import publish
from engine.metadata.remove import remove
from engine.metadata.store import Store, Tx
from engine.names import BucketName, ObjectKey
from engine.records import Bucket, ListingPage, Versioning
from engine.streams import Checksum, ChecksumAlgorithm
from tests.support.metadata import (
    counted,
    make_backend,
    make_bucket,
    new_blob,
    new_version,
    put,
    set_versioning,
)

BATCH_COUNT = 500


def fill(store: Store, bucket: Bucket, keys: list[bytes]) -> None:
    def unit(tx: Tx, batch: list[bytes]) -> None:
        for key in batch:
            publish(tx, new_version(bucket, key))

    for start in range(0, len(keys), BATCH_COUNT):
        store.write(partial(unit, batch=keys[start : start + BATCH_COUNT]))


def page(
    tx: Tx, *, prefix: bytes = b"", delimiter: bytes = b"", after: bytes = b"", count_max: int = 1000
) -> ListingPage:
    return list_versions(
        tx,
        bucket=BucketName("photos"),
        prefix=prefix,
        delimiter=delimiter,
        after=after,
        count_max=count_max,
    )


def walk(
    store: Store, *, prefix: bytes = b"", delimiter: bytes = b"", after: bytes = b"", count_max: int = 1000
) -> list[bytes]:
    """All entries over all pages, keys and common prefixes as they came."""
    found: list[bytes] = []
    while True:
        got = store.read(partial(page, prefix=prefix, delimiter=delimiter, after=after, count_max=count_max))
        entries = sorted([*(each.key for each in got.versions), *got.common_prefixes])
        assert len(entries) <= count_max
        assert not found or not entries or found[-1] < entries[0]
        found += entries
        if got.next_after is None:
            return found
        assert got.next_after == entries[-1]
        after = got.next_after


def expected(keys: list[bytes], prefix: bytes, delimiter: bytes) -> list[bytes]:
    """What folding every key gives."""
    entries = set()
    for key in keys:
        if key.startswith(prefix):
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            entries.add(key if cut < 0 else key[: cut + len(delimiter)])
    return sorted(entries)


KEYS = sorted(
    [
        b"a",
        b"a/",
        b"a/1",
        b"a/2/x",
        b"a/2/y",
        b"a/\xc3\xa9",
        b"a0",
        b"b",
        b"b//c",
        b"b/c",
        "\u00e9/1".encode(),
        "\u00e9/2".encode(),
        "e\u0301".encode(),
        "\U0010ffff".encode(),
        "\U0010ffff/\U0010ffff".encode(),
        b"a\x7f",
        b" ",
        b"/",
        b"//",
        b"z" * 1024,
    ]
)


@pytest.mark.parametrize("count_max", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("delimiter", [b"", b"/", b"//", b"a", b"\xc3\xa9", b"zz"])
@pytest.mark.parametrize(
    "prefix",
    [b"", b"a", b"a/", b"a/2", b"b/", "\u00e9".encode(), b"\xf4", "\U0010ffff".encode(), b"none", b"\xff"],
)
def test_pages_of_any_size_give_what_folding_every_key_gives(
    key_store: Store, prefix: bytes, delimiter: bytes, count_max: int
) -> None:
    found = walk(key_store, prefix=prefix, delimiter=delimiter, count_max=count_max)

    assert found == expected(KEYS, prefix, delimiter)


@pytest.fixture(scope="module")
def key_store(module_store: Store) -> Store:
    fill(module_store, make_bucket(module_store), KEYS)
    return module_store


def test_a_page_begins_behind_its_marker_whether_the_marker_is_a_key_or_not(key_store: Store) -> None:
    for after in [b"", b"a", b"a/", b"a/1", b"a/15", b"a0", b"zzz", b"\xff", "\U0010ffff".encode()]:
        assert walk(key_store, after=after) == [key for key in KEYS if key > after]


def test_a_marker_before_the_prefix_changes_nothing(key_store: Store) -> None:
    assert walk(key_store, prefix=b"a/", after=b"a") == walk(key_store, prefix=b"a/")


def test_a_marker_behind_the_prefix_leaves_nothing(key_store: Store) -> None:
    assert walk(key_store, prefix=b"a/", after=b"b") == []
    assert walk(key_store, prefix=b"a/", delimiter=b"/", after=b"b") == []


def test_a_marker_that_names_a_common_prefix_skips_the_whole_of_it(key_store: Store) -> None:
    assert walk(key_store, prefix=b"a/", delimiter=b"/", after=b"a/2/") == ["a/\u00e9".encode()]


def test_a_marker_inside_a_common_prefix_lists_it_again_while_keys_are_left_in_it(key_store: Store) -> None:
    assert b"a/2/" in walk(key_store, prefix=b"a/", delimiter=b"/", after=b"a/2/x")
    assert b"a/2/" not in walk(key_store, prefix=b"a/", delimiter=b"/", after=b"a/2/y")


def test_no_page_of_nothing(key_store: Store) -> None:
    got = key_store.read(partial(page, count_max=0))

    assert (list(got.versions), list(got.common_prefixes), got.next_after) == ([], [], None)


def test_a_full_last_page_says_that_it_is_the_last(key_store: Store) -> None:
    assert key_store.read(partial(page, count_max=len(KEYS))).next_after is None
    assert key_store.read(partial(page, count_max=len(KEYS) - 1)).next_after == KEYS[-2]
    folded = expected(KEYS, b"", b"/")
    assert key_store.read(partial(page, delimiter=b"/", count_max=len(folded))).next_after is None
    assert key_store.read(partial(page, delimiter=b"/", count_max=len(folded) - 1)).next_after == folded[-2]


def test_a_bucket_that_is_not_there_has_no_listing(store: Store) -> None:
    for count_max in (0, 10):
        with pytest.raises(NoSuchBucket):
            store.read(partial(page, count_max=count_max))


def test_buckets_do_not_see_each_others_keys(store: Store) -> None:
    fill(store, make_bucket(store), [b"mine"])
    fill(store, make_bucket(store, "other"), [b"aaa", b"theirs"])

    assert walk(store) == [b"mine"]


def test_only_current_versions_are_listed_and_no_markers(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    set_versioning(store, bucket, Versioning.ENABLED)
    for _ in range(3):
        put(store, bucket, b"kept", backend)
        put(store, bucket, b"dir/covered", backend)
    store.write(partial(remove, bucket_name=bucket.name, key=ObjectKey(b"dir/covered")))

    assert walk(store) == [b"kept"]
    assert walk(store, delimiter=b"/") == [b"kept"]


def test_an_entry_tells_what_clients_ask_for(store: Store) -> None:
    from dataclasses import replace

    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    checksum = Checksum(algorithm=ChecksumAlgorithm.SHA256, digest=b"d" * 32)
    new = replace(
        new_version(bucket, b"one", new_blob(backend, size_bytes=7), etag="abc"), checksums=(checksum,)
    )
    published = store.write(partial(publish, new=new))

    (entry,) = store.read(page).versions

    assert (entry.key, entry.size_bytes, entry.etag, entry.storage_class) == (b"one", 7, "abc", "STANDARD")
    assert entry.created_at_us == published.created_at_us
    assert list(entry.checksum_algorithms) == ["SHA256"]


@pytest.mark.parametrize(
    ("prefix", "after_all"),
    [
        (b"", b"\xff\xff\xff\xff"),
        (b"a", b"b"),
        (b"a\xff", b"b"),
        (b"a\xff\xff", b"b"),
        (b"a/", b"a0"),
        (b"\xff", b"\xff\xff\xff\xff"),
        (b"\xf4\x8f\xbf\xbf", b"\xf4\x8f\xbf\xc0"),
    ],
)
def test_the_end_of_a_prefix_is_its_last_byte_below_0xff_incremented(prefix: bytes, after_all: bytes) -> None:
    assert successor(prefix) == after_all


@given(
    keys=st.sets(st.text(alphabet="a/b\u00e9\U0010ffff", min_size=1, max_size=6), max_size=30),
    prefix=st.text(alphabet="a/\u00e9", max_size=2),
    delimiter=st.sampled_from(["", "/", "a", "//", "\u00e9"]),
    count_max=st.integers(1, 6),
)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_keys_list_as_folding_them_would(
    store: Store, keys: set[str], prefix: str, delimiter: str, count_max: int
) -> None:
    raw = [key.encode() for key in keys]

    def unit(tx: Tx) -> list[bytes]:
        """Fill, walk, and roll all of it back."""
        bucket = make_rows(tx, raw)
        found: list[bytes] = []
        after = b""
        while True:
            got = list_versions(
                tx,
                bucket=bucket,
                prefix=prefix.encode(),
                delimiter=delimiter.encode(),
                after=after,
                count_max=count_max,
            )
            found += sorted([*(each.key for each in got.versions), *got.common_prefixes])
            if got.next_after is None:
                raise RolledBackError(found)
            after = got.next_after

    with pytest.raises(RolledBackError) as caught:
        store.write(unit)

    assert caught.value.args[0] == expected(raw, prefix.encode(), delimiter.encode())


class RolledBackError(Exception):
    """Carries a result out of a unit that must leave nothing."""


def make_rows(tx: Tx, keys: list[bytes]) -> BucketName:
    from engine.metadata import accounts, buckets
    from engine.records import Origin

    account_id = accounts.ensure_account(tx, "main", Origin.API)
    bucket = buckets.create_bucket(tx, name=BucketName("tried"), account_id=account_id, origin=Origin.API)
    for key in keys:
        publish(tx, new_version(bucket, key))
    return bucket.name


# --- what a page costs ---


@pytest.fixture(scope="module")
def big_store(module_store: Store) -> Store:
    """Ten folders of a thousand keys, and a hundred keys beside them."""
    keys = [f"dir-{folder}/{number:04}".encode() for folder in range(10) for number in range(1000)]
    bucket = make_bucket(module_store, "big")
    fill(module_store, bucket, keys)
    fill(module_store, bucket, [f"plain-{number:03}".encode() for number in range(100)])
    return module_store


def big_page(tx: Tx, **asked: bytes | int) -> ListingPage:
    order: dict[str, bytes | int] = {
        "prefix": b"",
        "delimiter": b"",
        "after": b"",
        "count_max": 1000,
        **asked,
    }
    return list_versions(tx, bucket=BucketName("big"), **order)  # type: ignore[arg-type]


def test_a_page_without_delimiter_reads_one_row_more_than_it_shows(big_store: Store) -> None:
    got, cost = counted(big_store, partial(big_page, after=b"dir-5/0500", count_max=100))

    assert len(got.versions) == 100
    assert cost.row_count <= 100 + 2
    assert cost.statement_count == 2


def test_folders_are_skipped_not_read(big_store: Store) -> None:
    got, cost = counted(big_store, partial(big_page, delimiter=b"/"))

    assert len(got.common_prefixes) == 10
    assert len(got.versions) == 100
    assert cost.statement_count < 30
    assert cost.row_count < 400


def test_a_page_of_one_folder_costs_one_seek(big_store: Store) -> None:
    got, cost = counted(big_store, partial(big_page, delimiter=b"/", after=b"dir-3/", count_max=1))

    assert list(got.common_prefixes) == [b"dir-4/"]
    assert cost.row_count < 30


def test_a_folded_page_of_plain_keys_reads_at_most_a_few_rows_more(big_store: Store) -> None:
    got, cost = counted(big_store, partial(big_page, prefix=b"dir-7/", delimiter=b"/", count_max=500))

    assert len(got.versions) == 500
    assert cost.row_count < 1200
    assert cost.statement_count < 15
