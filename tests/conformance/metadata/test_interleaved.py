"""Two processes at once, in both orders: one wins whole, the other finds out, and every row agrees afterwards."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest

from engine.errors import (
    BucketNotEmpty,
    BucketQuotaExceeded,
    EngineError,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    PreconditionFailed,
)
from engine.metadata import (
    bucket_documents,
    buckets,
    quota,
    uploads,
)
from engine.metadata.complete import CompleteOrder, complete
from engine.metadata.publish import publish
from engine.metadata.remove import remove
from engine.metadata.store import Store, Tx
from engine.records import Bucket, DocumentKind, Part, RemoveConditions, Versioning
from tests.conformance.metadata.interleaving import overlap
from tests.conformance.metadata.two import KEY, Two, etag, settled
from tests.support.metadata import (
    make_bucket,
    make_upload,
    new_blob,
    new_part,
    new_version,
    put,
    put_part,
    run_sql,
    set_versioning,
    totals_of,
)

BOTH_VERSIONINGS = [Versioning.OFF, Versioning.ENABLED]


@pytest.mark.parametrize("versioning", BOTH_VERSIONINGS)
def test_put_and_put_of_one_key_leave_the_later_one_current(two: Two, versioning: Versioning) -> None:
    set_versioning(two.near, two.bucket, versioning)
    units = [
        partial(publish, new=new_version(two.bucket, KEY, new_blob(two.backend_id), etag=name))
        for name in ("first", "second")
    ]

    one, other = overlap(two.near, units[0], two.far, units[1])

    assert one.result is not None
    assert other.result is not None
    assert other.result.version_seq > one.result.version_seq
    assert etag(two.near) == etag(two.far) == "second"
    settled(two)


def test_two_conditional_puts_make_one_object(two: Two) -> None:
    units = [
        partial(
            publish,
            new=new_version(two.bucket, KEY, new_blob(two.backend_id), etag=name, if_none_match=True),
        )
        for name in ("first", "second")
    ]

    one, other = overlap(two.near, units[0], two.far, units[1])

    assert one.error is None
    assert isinstance(other.error, PreconditionFailed)
    assert etag(two.far) == "first"
    settled(two)


@pytest.mark.parametrize("versioning", BOTH_VERSIONINGS)
@pytest.mark.parametrize("put_first", [True, False])
def test_of_a_put_and_a_delete_that_saw_the_same_version_one_wins(
    two: Two, versioning: Versioning, put_first: bool
) -> None:
    put(two.near, two.bucket, KEY, two.backend_id, etag="seen")
    set_versioning(two.near, two.bucket, versioning)
    new = new_version(two.bucket, KEY, new_blob(two.backend_id), etag="new", if_match_etag="seen")
    put_unit = partial(publish, new=new)
    delete_unit = partial(
        remove, bucket_name=two.bucket.name, key=KEY, conditions=RemoveConditions(etag="seen")
    )

    if put_first:
        _, deleted = overlap(two.near, put_unit, two.far, delete_unit)
        assert isinstance(deleted.error, PreconditionFailed)
    else:
        _, written = overlap(two.near, delete_unit, two.far, put_unit)
        assert isinstance(written.error, NoSuchKey)

    assert etag(two.near) == ("new" if put_first else None)
    settled(two)


@pytest.mark.parametrize("put_first", [True, False])
def test_of_a_put_and_a_complete_where_nothing_was_one_wins(two: Two, put_first: bool) -> None:
    upload_id = make_upload(two.near, two.bucket, KEY)
    parts = [put_part(two.near, two.bucket, KEY, upload_id, 1, new_blob(two.backend_id))]
    order = replace(order_of(two.bucket, upload_id, parts), if_none_match=True)
    new = new_version(two.bucket, KEY, new_blob(two.backend_id), etag="put", if_none_match=True)
    put_unit, complete_unit = partial(publish, new=new), partial(complete, order=order)

    if put_first:
        _, completed = overlap(two.near, put_unit, two.far, complete_unit)
        assert isinstance(completed.error, PreconditionFailed)
    else:
        _, written = overlap(two.near, complete_unit, two.far, put_unit)
        assert isinstance(written.error, PreconditionFailed)

    assert etag(two.near) == ("put" if put_first else "made-2")
    settled(two)


@pytest.mark.parametrize("versioning", BOTH_VERSIONINGS)
@pytest.mark.parametrize("put_first", [True, False])
def test_put_and_delete_of_one_key(two: Two, versioning: Versioning, put_first: bool) -> None:
    put(two.near, two.bucket, KEY, two.backend_id, etag="old")
    set_versioning(two.near, two.bucket, versioning)
    put_unit = partial(publish, new=new_version(two.bucket, KEY, new_blob(two.backend_id), etag="new"))
    delete_unit = partial(remove, bucket_name=two.bucket.name, key=KEY)

    if put_first:
        overlap(two.near, put_unit, two.far, delete_unit)
    else:
        overlap(two.near, delete_unit, two.far, put_unit)

    assert etag(two.near) == (None if put_first else "new")
    settled(two)


@pytest.mark.parametrize("complete_first", [True, False])
def test_complete_and_abort_have_one_winner(two: Two, complete_first: bool) -> None:
    upload_id = make_upload(two.near, two.bucket, KEY)
    parts = [put_part(two.near, two.bucket, KEY, upload_id, n, new_blob(two.backend_id)) for n in (1, 2)]
    complete_unit = partial(complete, order=order_of(two.bucket, upload_id, parts))
    abort_unit = partial(uploads.abort, upload_id=upload_id, bucket=two.bucket.name, key=KEY)
    error: EngineError | None

    if complete_first:
        completed, aborted = overlap(two.near, complete_unit, two.far, abort_unit)
        error = aborted.error
        assert completed.error is None
    else:
        aborted, completed = overlap(two.near, abort_unit, two.far, complete_unit)
        error = completed.error
        assert aborted.error is None

    assert isinstance(error, NoSuchUpload)
    assert etag(two.near) == ("made-2" if complete_first else None)
    settled(two)
    used = totals_of(two.near, quota.backend_subject(two.backend_id)).used_bytes
    assert used == (220 if complete_first else 0)


def order_of(bucket: Bucket, upload_id: bytes, parts: list[Part]) -> CompleteOrder:
    return CompleteOrder(
        upload_id=upload_id,
        bucket=bucket.name,
        key=KEY,
        parts=parts,
        parts_digest=b"digest",
        etag="made-2",
        checksums=(),
        result=lambda _: "{}",
    )


def test_two_completes_make_one_version(two: Two) -> None:
    upload_id = make_upload(two.near, two.bucket, KEY)
    part = put_part(two.near, two.bucket, KEY, upload_id, 1, new_blob(two.backend_id))
    unit = partial(complete, order=order_of(two.bucket, upload_id, [part]))

    one, other = overlap(two.near, unit, two.far, unit)

    assert one.error is None
    assert isinstance(other.error, NoSuchUpload)
    assert run_sql(two.near, "SELECT COUNT(*) FROM object_versions") == [(1,)]
    settled(two)


@pytest.mark.parametrize("part_first", [True, False])
def test_a_part_and_an_abort(two: Two, part_first: bool) -> None:
    upload_id = make_upload(two.near, two.bucket, KEY)
    part_unit = partial(
        uploads.put_part, new=new_part(two.bucket, KEY, upload_id, 1, new_blob(two.backend_id))
    )
    abort_unit = partial(uploads.abort, upload_id=upload_id, bucket=two.bucket.name, key=KEY)

    if part_first:
        stored, _ = overlap(two.near, part_unit, two.far, abort_unit)
        assert stored.error is None
    else:
        _, stored = overlap(two.near, abort_unit, two.far, part_unit)
        assert isinstance(stored.error, NoSuchUpload)

    settled(two)
    assert totals_of(two.near, quota.bucket_subject(two.bucket.bucket_id)).used_bytes == 0
    assert totals_of(two.near, quota.backend_subject(two.backend_id)).used_bytes == 0


def test_the_same_part_from_two_clients_leaves_the_later_one(two: Two) -> None:
    upload_id = make_upload(two.near, two.bucket, KEY)
    units = [
        partial(
            uploads.put_part,
            new=new_part(two.bucket, KEY, upload_id, 1, new_blob(two.backend_id), etag=name),
        )
        for name in ("first", "second")
    ]

    overlap(two.near, units[0], two.far, units[1])

    (part,) = two.near.read(partial(uploads.list_parts, upload_id=upload_id, after=0, count_max=10))
    assert part.etag == "second"
    settled(two)


@pytest.mark.parametrize("stripe_count", [1, 3])
def test_two_reservations_at_the_limit_have_one_winner(two: Two, stripe_count: int) -> None:
    opened = partial(quota.ensure_subject, subject="backend:test", limit_bytes=100, stripe_count=stripe_count)
    two.near.write(opened)
    unit = partial(quota.reserve, subject="backend:test", size_bytes=60)

    one, other = overlap(two.near, unit, two.far, unit)

    # Whoever looks at all stripes begins again, and may come second that way.
    assert (one.error, other.error) == (None, None)
    assert [one.result, other.result].count(None) == 1
    assert totals_of(two.near, "backend:test").reserved_bytes == 60


def test_many_writers_never_lead_above_the_limit(two: Two) -> None:
    two.near.write(partial(quota.ensure_subject, subject="backend:test", limit_bytes=1000, stripe_count=4))
    start = threading.Barrier(8)

    def reserve(store: Store) -> int:
        start.wait(20)
        unit = partial(quota.reserve, subject="backend:test", size_bytes=7)
        return sum(store.write(unit) is not None for _ in range(30))

    with ThreadPoolExecutor(8) as threads:
        counts = list(threads.map(reserve, [two.near, two.far] * 4))

    assert sum(counts) == 1000 // 7
    assert totals_of(two.near, "backend:test").reserved_bytes == 1000 // 7 * 7


def test_the_last_room_of_a_bucket_goes_to_one(two: Two) -> None:
    bucket = make_bucket(two.near, "small", quota_bytes=150)
    units = [
        partial(publish, new=new_version(bucket, name, new_blob(two.backend_id))) for name in (b"a", b"b")
    ]

    one, other = overlap(two.near, units[0], two.far, units[1])

    errors = [each for each in (one.error, other.error) if each is not None]
    assert len(errors) == 1
    assert isinstance(errors[0], BucketQuotaExceeded)
    settled(two)


@pytest.mark.parametrize("put_first", [True, False])
def test_deleting_a_bucket_and_a_put_into_it(two: Two, put_first: bool) -> None:
    put_unit = partial(publish, new=new_version(two.bucket, KEY, new_blob(two.backend_id), etag="new"))
    delete_unit = partial(buckets.delete_bucket, name=two.bucket.name)

    if put_first:
        published, deleted = overlap(two.near, put_unit, two.far, delete_unit)
        assert published.error is None
        assert isinstance(deleted.error, BucketNotEmpty)
        assert etag(two.far) == "new"
    else:
        deleted, published = overlap(two.near, delete_unit, two.far, put_unit)
        assert deleted.error is None
        assert isinstance(published.error, NoSuchBucket)

    settled(two)


@pytest.mark.parametrize("upload_first", [True, False])
def test_deleting_a_bucket_and_completing_an_upload_into_it(two: Two, upload_first: bool) -> None:
    upload_id = make_upload(two.near, two.bucket, KEY)
    part = put_part(two.near, two.bucket, KEY, upload_id, 1, new_blob(two.backend_id))
    complete_unit = partial(complete, order=order_of(two.bucket, upload_id, [part]))
    delete_unit = partial(buckets.delete_bucket, name=two.bucket.name)

    if upload_first:
        completed, deleted = overlap(two.near, complete_unit, two.far, delete_unit)
        assert completed.error is None
        assert isinstance(deleted.error, BucketNotEmpty)
    else:
        deleted, completed = overlap(two.near, delete_unit, two.far, complete_unit)
        assert deleted.error is None
        assert isinstance(completed.error, NoSuchBucket)

    settled(two)


SETTINGS: dict[str, Callable[[Tx], object]] = {
    "a document": partial(
        bucket_documents.put_document, name="photos", kind=DocumentKind.TAGGING, document="[]"
    ),
    "versioning": partial(buckets.set_versioning, name="photos", versioning=Versioning.ENABLED),
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("set_first", [True, False])
def test_deleting_a_bucket_and_setting_something_of_it(two: Two, name: str, set_first: bool) -> None:
    delete_unit = partial(buckets.delete_bucket, name=two.bucket.name)

    if set_first:
        changed, deleted = overlap(two.near, SETTINGS[name], two.far, delete_unit)
        assert (changed.error, deleted.error) == (None, None)
    else:
        deleted, changed = overlap(two.near, delete_unit, two.far, SETTINGS[name])
        assert deleted.error is None
        assert isinstance(changed.error, NoSuchBucket)

    assert two.far.read(partial(buckets.list_buckets, account_id=None, after="", count_max=9)) == []


def test_a_document_that_two_change_at_once_is_the_later_ones(two: Two) -> None:
    delete_unit = partial(bucket_documents.delete_document, name="photos", kind=DocumentKind.TAGGING)
    two.near.write(SETTINGS["a document"])
    put_unit = partial(
        bucket_documents.put_document, name="photos", kind=DocumentKind.TAGGING, document="[1]"
    )

    deleted, put_again = overlap(two.near, delete_unit, two.far, put_unit)

    assert (deleted.error, put_again.error) == (None, None)
    found = bucket_documents.look_up_document(two.near, two.bucket.bucket_id, DocumentKind.TAGGING)
    assert found == "[1]"


def test_readers_never_miss_a_key_that_is_being_overwritten(two: Two) -> None:
    put(two.near, two.bucket, KEY, two.backend_id, etag="0")
    stop = threading.Event()

    def read() -> list[str | None]:
        seen = []
        while not stop.is_set():
            seen.append(etag(two.far))
        return seen

    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(read)
        for number in range(1, 150):
            put(two.near, two.bucket, KEY, two.backend_id, etag=str(number))
        stop.set()
        seen = reading.result(20)

    assert None not in seen
    numbers = [int(each) for each in seen if each is not None]
    assert numbers == sorted(numbers)
    settled(two)
