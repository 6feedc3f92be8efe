"""Accounts of bytes: never above the limit, whatever the stripes hold; over the limit only what is there stays."""

import itertools
import random
from functools import partial

import pytest

from engine.errors import BucketQuotaExceeded
from engine.metadata import buckets, quota, uploads
from engine.metadata.buckets import find_bucket
from engine.metadata.complete import CompleteOrder, complete
from engine.metadata.remove import remove
from engine.metadata.store import Store, Tx
from engine.names import ObjectKey
from engine.records import Bucket
from tests.support.metadata import (
    assert_consistent,
    make_backend,
    make_bucket,
    make_upload,
    new_blob,
    put,
    put_part,
    run_sql,
    totals_of,
)

SUBJECT = "backend:test"
STRIPE_COUNTS = [1, 2, 3, 7]


def open_account(store: Store, limit_bytes: int | None, stripe_count: int = 1) -> None:
    store.write(
        partial(quota.ensure_subject, subject=SUBJECT, limit_bytes=limit_bytes, stripe_count=stripe_count)
    )


def take(store: Store, size_bytes: int) -> bool:
    return store.write(partial(quota.take, subject=SUBJECT, size_bytes=size_bytes, objects=1))


def reserve(store: Store, size_bytes: int) -> int | None:
    return store.write(partial(quota.reserve, subject=SUBJECT, size_bytes=size_bytes))


def give_back(store: Store, size_bytes: int) -> None:
    store.write(partial(quota.give_back, subject=SUBJECT, size_bytes=size_bytes, objects=1))


def set_limit(store: Store, limit_bytes: int | None) -> None:
    store.write(partial(quota.set_limit, subject=SUBJECT, limit_bytes=limit_bytes))


def held(store: Store) -> int:
    totals = totals_of(store, SUBJECT)
    return totals.used_bytes + totals.orphan_bytes + totals.reserved_bytes


def shares(store: Store) -> int | None:
    ((total,),) = run_sql(store, "SELECT SUM(share_bytes) FROM backend_quotas WHERE subject = 'backend:test'")
    assert total is None or isinstance(total, int)
    return total


@pytest.mark.parametrize("stripe_count", STRIPE_COUNTS)
def test_the_shares_of_a_new_account_sum_up_to_its_limit(store: Store, stripe_count: int) -> None:
    open_account(store, 1000, stripe_count)

    assert shares(store) == 1000


@pytest.mark.parametrize("stripe_count", STRIPE_COUNTS)
def test_the_last_byte_is_taken_and_no_byte_more(store: Store, stripe_count: int) -> None:
    open_account(store, 1000, stripe_count)

    assert take(store, 600)
    assert not take(store, 401)
    assert take(store, 400)
    assert not take(store, 1)
    assert take(store, 0)

    assert held(store) == shares(store) == 1000


@pytest.mark.parametrize("stripe_count", STRIPE_COUNTS)
def test_free_shares_move_to_where_room_is_wanted(store: Store, stripe_count: int) -> None:
    open_account(store, 1000, stripe_count)

    assert reserve(store, 1000) is not None

    assert held(store) == 1000
    assert shares(store) == 1000


@pytest.mark.parametrize("stripe_count", STRIPE_COUNTS)
def test_one_stripe_may_be_negative_only_the_sum_means_something(store: Store, stripe_count: int) -> None:
    open_account(store, 1000, stripe_count)
    stripe = reserve(store, 900)
    assert stripe is not None
    store.write(
        partial(
            quota.settle_reserved,
            subject=SUBJECT,
            stripe=stripe,
            reserved_bytes=900,
            used_bytes=900,
            objects=1,
        )
    )
    give_back(store, 900)

    assert (held(store), totals_of(store, SUBJECT).object_count) == (0, 0)
    assert take(store, 1000)
    assert not take(store, 1)


def test_a_stripe_below_zero_lends_its_room_to_the_others(store: Store) -> None:
    open_account(store, 100, 2)
    run_sql(store, "UPDATE backend_quotas SET used_bytes = 50 WHERE subject = 'backend:test' AND stripe = 1")

    # In whichever stripe: only the sum means something.
    give_back(store, 50)

    assert held(store) == 0
    assert take(store, 100)
    assert not take(store, 1)


@pytest.mark.parametrize("stripe_count", STRIPE_COUNTS)
def test_without_limit_everything_fits(store: Store, stripe_count: int) -> None:
    open_account(store, None, stripe_count)

    assert take(store, 2**60)
    assert reserve(store, 2**60) is not None
    assert totals_of(store, SUBJECT).limit_bytes is None


def test_an_account_is_opened_once(store: Store) -> None:
    open_account(store, 100)
    assert take(store, 60)

    open_account(store, 500)

    assert (totals_of(store, SUBJECT).limit_bytes, held(store)) == (100, 60)


def test_nobody_has_no_account(store: Store) -> None:
    assert store.read(partial(quota.read_quota, subject="backend:nobody")) is None
    assert not store.write(partial(quota.take, subject="backend:nobody", size_bytes=1))


def test_a_promise_settles_into_what_became_real(store: Store) -> None:
    open_account(store, 100)
    stripe = reserve(store, 80)
    assert stripe is not None

    store.write(
        partial(
            quota.settle_reserved, subject=SUBJECT, stripe=stripe, reserved_bytes=80, used_bytes=30, objects=1
        )
    )

    totals = totals_of(store, SUBJECT)
    assert (totals.reserved_bytes, totals.used_bytes, totals.object_count) == (0, 30, 1)
    assert take(store, 70)


def test_orphans_still_count_until_they_are_freed(store: Store) -> None:
    open_account(store, 100)
    assert take(store, 100)

    store.write(partial(quota.orphan, subject=SUBJECT, size_bytes=100, objects=1))
    assert not take(store, 1)
    store.write(partial(quota.free_orphan, subject=SUBJECT, size_bytes=100))

    assert take(store, 100)


# --- over the limit ---


@pytest.mark.parametrize("stripe_count", STRIPE_COUNTS)
def test_a_lowered_limit_keeps_what_is_there_and_takes_nothing_new(store: Store, stripe_count: int) -> None:
    open_account(store, 1000, stripe_count)
    assert take(store, 800)

    set_limit(store, 100)

    assert held(store) == shares(store) == 800
    assert not take(store, 1)
    assert reserve(store, 1) is None


@pytest.mark.parametrize("stripe_count", STRIPE_COUNTS)
def test_what_leaves_an_account_over_its_limit_makes_no_room_above_the_limit(
    store: Store, stripe_count: int
) -> None:
    open_account(store, 1000, stripe_count)
    for _ in range(8):
        assert take(store, 100)
    set_limit(store, 250)

    for left in (700, 600, 500, 400, 300):
        give_back(store, 100)
        assert held(store) == shares(store) == left
        assert not take(store, 1)
    give_back(store, 100)

    assert shares(store) == 250
    assert take(store, 50)
    assert not take(store, 1)


@pytest.mark.parametrize("stripe_count", STRIPE_COUNTS)
def test_bytes_that_came_past_the_limit_raise_it_only_until_they_are_gone(
    store: Store, stripe_count: int
) -> None:
    open_account(store, 100, stripe_count)
    assert take(store, 90)

    store.write(partial(quota.add_orphan, subject=SUBJECT, size_bytes=50))
    assert held(store) == shares(store) == 140
    store.write(partial(quota.free_orphan, subject=SUBJECT, size_bytes=50))

    assert shares(store) == 100
    assert take(store, 10)
    assert not take(store, 1)


@pytest.mark.parametrize("stripe_count", STRIPE_COUNTS)
def test_bytes_past_the_account_use_its_free_room_before_they_raise_it(
    store: Store, stripe_count: int
) -> None:
    open_account(store, 700, stripe_count)

    store.write(partial(quota.add_orphan, subject=SUBJECT, size_bytes=600))

    assert shares(store) == 700
    assert not take(store, 101)
    assert take(store, 100)


@pytest.mark.parametrize("found_bytes", [10, 400])
@pytest.mark.parametrize("stripe_count", STRIPE_COUNTS)
def test_every_stripe_keeps_room_when_uncounted_bytes_are_found(
    store: Store, stripe_count: int, found_bytes: int
) -> None:
    open_account(store, 1600, stripe_count)

    store.write(partial(quota.add_orphan, subject=SUBJECT, size_bytes=found_bytes))

    # One without room makes every writer that comes to it lock all of them.
    rooms = run_sql(
        store,
        "SELECT share_bytes - used_bytes - orphan_bytes - reserved_bytes FROM backend_quotas"
        " WHERE subject = 'backend:test'",
    )
    assert shares(store) == 1600
    assert min(int(room) for (room,) in rooms) >= 50  # type: ignore[arg-type]


@pytest.mark.parametrize("stripe_count", STRIPE_COUNTS)
def test_a_promise_that_ends_over_the_limit_makes_no_room(store: Store, stripe_count: int) -> None:
    open_account(store, 1000, stripe_count)
    stripe = reserve(store, 500)
    assert stripe is not None
    set_limit(store, 100)

    store.write(
        partial(quota.settle_reserved, subject=SUBJECT, stripe=stripe, reserved_bytes=500, used_bytes=200)
    )

    assert held(store) == shares(store) == 200
    assert not take(store, 1)


@pytest.mark.parametrize("stripe_count", STRIPE_COUNTS)
def test_a_limit_is_shared_out_anew_over_uneven_stripes(store: Store, stripe_count: int) -> None:
    open_account(store, 1000, stripe_count)
    assert reserve(store, 800) is not None

    set_limit(store, 900)

    assert shares(store) == 900
    assert not take(store, 101)
    assert take(store, 100)


def test_a_limit_comes_and_goes(store: Store) -> None:
    open_account(store, None, 3)
    assert take(store, 500)

    set_limit(store, 600)
    assert shares(store) == 600
    set_limit(store, None)

    assert shares(store) is None
    assert take(store, 10_000)


@pytest.mark.parametrize("stripe_count", STRIPE_COUNTS)
def test_no_sequence_of_changes_leads_above_the_limit(store: Store, stripe_count: int) -> None:
    open_account(store, 500, stripe_count)

    def unit(tx: Tx) -> None:
        # All of it begins anew when it is run again.
        chance = random.Random(stripe_count)
        used: list[int] = []
        promised: list[tuple[int, int]] = []
        for _ in range(400):
            size = chance.randrange(1, 120)
            match chance.randrange(6):
                case 0 | 1:
                    if quota.take(tx, SUBJECT, size_bytes=size):
                        used.append(size)
                case 2:
                    stripe = quota.reserve(tx, SUBJECT, size)
                    if stripe is not None:
                        promised.append((stripe, size))
                case 3:
                    if promised:
                        stripe, size = promised.pop(chance.randrange(len(promised)))
                        quota.settle_reserved(tx, SUBJECT, stripe, reserved_bytes=size, used_bytes=size)
                        used.append(size)
                case 4:
                    if used:
                        quota.give_back(tx, SUBJECT, size_bytes=used.pop(chance.randrange(len(used))))
                case _:
                    quota.set_limit(tx, SUBJECT, chance.choice([300, 500]))
                    used_now = sum(used) + sum(size for _, size in promised)
                    assert used_now <= 500
            totals = quota.read_quota(tx, SUBJECT)
            assert totals is not None
            assert totals.limit_bytes is not None
            assert totals.used_bytes + totals.reserved_bytes == sum(used) + sum(size for _, size in promised)
            stripes = tx.rows("list_quota_stripes", {"subject": SUBJECT})
            share = sum(int(str(row[1])) for row in stripes)
            assert share == max(totals.limit_bytes, totals.used_bytes + totals.reserved_bytes)

    store.write(unit)


# --- buckets ---


def delete(store: Store, bucket: Bucket, key: bytes) -> None:
    store.write(partial(remove, bucket_name=bucket.name, key=ObjectKey(key)))


def lower(store: Store, bucket: Bucket, quota_bytes: int) -> None:
    def unit(tx: Tx) -> None:
        found = find_bucket(tx, bucket.name)
        buckets.update_settings(tx, found, scheme=found.scheme, seal=found.seal, quota_bytes=quota_bytes)

    store.write(unit)


def test_a_bucket_over_its_lowered_quota_takes_deletes_until_it_is_below(store: Store) -> None:
    bucket, backend = make_bucket(store, quota_bytes=400), make_backend(store, kind="memory")
    for key in (b"1", b"2", b"3", b"4"):
        put(store, bucket, key, backend)
    lower(store, bucket, 200)

    for key in (b"1", b"2"):
        with pytest.raises(BucketQuotaExceeded):
            put(store, bucket, b"new", backend, size_bytes=1)
        delete(store, bucket, key)
    with pytest.raises(BucketQuotaExceeded):
        put(store, bucket, b"new", backend, size_bytes=1)
    delete(store, bucket, b"3")
    put(store, bucket, b"new", backend)

    assert totals_of(store, quota.bucket_subject(bucket.bucket_id)).used_bytes == 200
    assert_consistent(store)


def test_an_upload_completes_in_a_bucket_that_is_over_its_limit_since(store: Store) -> None:
    bucket, backend = make_bucket(store, quota_bytes=400), make_backend(store, kind="memory")
    upload_id = make_upload(store, bucket)
    parts = [put_part(store, bucket, b"big", upload_id, number, new_blob(backend)) for number in (1, 2)]
    lower(store, bucket, 100)

    order = CompleteOrder(
        upload_id=upload_id,
        bucket=bucket.name,
        key=ObjectKey(b"big"),
        parts=parts,
        parts_digest=b"d",
        etag="e-2",
        checksums=(),
        result=lambda _: "{}",
    )
    store.write(partial(complete, order=order))

    assert totals_of(store, quota.bucket_subject(bucket.bucket_id)).used_bytes == 200
    assert_consistent(store)


def test_shared_blobs_count_once_for_every_version_in_a_bucket(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    upload_id = make_upload(store, bucket)
    for number in itertools.chain((1, 2), (1,)):
        put_part(store, bucket, b"big", upload_id, number, new_blob(backend))

    store.write(partial(uploads.abort, upload_id=upload_id, bucket=bucket.name, key=ObjectKey(b"big")))

    totals = totals_of(store, quota.bucket_subject(bucket.bucket_id))
    assert (totals.used_bytes, totals.object_count) == (0, 0)
    assert_consistent(store)
