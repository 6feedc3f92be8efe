"""Complete: listed parts become one version, once; the same list answers the same for a day, another list nothing."""

from dataclasses import replace
from functools import partial
from typing import cast

import pytest

from engine.errors import (
    InvalidPart,
    NoSuchUpload,
    ObjectTooLarge,
    PartOrder,
    PartTooSmall,
    PreconditionFailed,
    VersionLocked,
)
from engine.metadata import buckets, quota, uploads, versions
from engine.metadata.complete import CompleteOrder, complete, find_result
from engine.metadata.publish import publish
from engine.metadata.store import Store, Tx
from engine.names import ObjectKey
from engine.objects.complete import Completed, Completer, CompleteRequest
from engine.objects.parts import Parts
from engine.objects.read import Span
from engine.records import Bucket, ListedPart, Part
from engine.streams import Checksum, ChecksumAlgorithm
from engine.units import DAY_S, OBJECT_SIZE_MAX_BYTES, PART_NUMBER_MAX
from tests.support.metadata import (
    SetClock,
    assert_consistent,
    journal_of,
    make_backend,
    make_bucket,
    make_upload,
    new_blob,
    new_part,
    new_version,
    put,
    put_part,
    reap_all,
    run_sql,
    totals_of,
)

KEY = ObjectKey(b"big")


@pytest.fixture
def bucket(store: Store) -> Bucket:
    return make_bucket(store)


@pytest.fixture
def backend(store: Store) -> int:
    return make_backend(store, kind="memory")


def request_of(bucket: Bucket, upload_id: bytes, *numbers: int) -> CompleteRequest:
    listed = [ListedPart(part_number=number, etag=f"{number:032x}") for number in numbers]
    return CompleteRequest(upload_id=upload_id, bucket=bucket.name, key=KEY, parts=listed)


def order_of(bucket: Bucket, upload_id: bytes, *parts: Part) -> CompleteOrder:
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


def ask(store: Store, request: CompleteRequest, *, part_size_min_bytes: int = 1) -> Completed:
    return Completer(store, part_size_min_bytes=part_size_min_bytes).complete(request)


def test_parts_become_segments_in_the_order_of_their_numbers(
    store: Store, bucket: Bucket, backend: int
) -> None:
    upload_id = make_upload(store, bucket, KEY)
    blobs = {
        number: [new_blob(backend, size_bytes=10 * number + half) for half in (1, 2)] for number in (7, 2, 5)
    }
    for number, pair in blobs.items():
        put_part(store, bucket, KEY, upload_id, number, *pair)

    ask(store, request_of(bucket, upload_id, 2, 5, 7))
    stored = store.read(partial(versions.find_current, bucket=bucket.name, key=KEY))

    assert [each.blob.blob_id for each in stored.slices] == [
        each.blob.blob_id for number in (2, 5, 7) for each in blobs[number]
    ]
    assert [each.segment.part_number for each in stored.slices] == [2, 2, 5, 5, 7, 7]
    assert [each.segment.ordinal for each in stored.slices] == list(range(6))
    assert (stored.version.part_count, stored.version.size_bytes) == (3, sum(range(1, 3)) * 3 + 280)
    assert stored.version.headers.user == {"colour": "blue"}
    assert_consistent(store)


def test_unlisted_parts_go_to_the_reaper_and_give_their_room_back(
    store: Store, bucket: Bucket, backend: int
) -> None:
    upload_id = make_upload(store, bucket, KEY)
    for number in (1, 2, 3):
        put_part(store, bucket, KEY, upload_id, number, new_blob(backend))

    ask(store, request_of(bucket, upload_id, 1, 3))

    assert totals_of(store, quota.bucket_subject(bucket.bucket_id)).used_bytes == 200
    assert_consistent(store)
    assert reap_all(store) == 1
    assert totals_of(store, quota.backend_subject(backend)).used_bytes == 220
    assert_consistent(store)


def test_the_reaper_leaves_what_the_version_took_over(store: Store, bucket: Bucket, backend: int) -> None:
    upload_id = make_upload(store, bucket, KEY)
    put_part(store, bucket, KEY, upload_id, 1, new_blob(backend))
    ask(store, request_of(bucket, upload_id, 1))

    assert reap_all(store) == 0

    stored = store.read(partial(versions.find_current, bucket=bucket.name, key=KEY))
    assert len(stored.slices[0].locations) == 1
    assert run_sql(store, "SELECT COUNT(*) FROM multipart_parts") == [(0,)]
    assert_consistent(store)


def test_the_same_list_again_answers_the_same_also_after_the_key_was_overwritten(
    store: Store, bucket: Bucket, backend: int
) -> None:
    upload_id = make_upload(store, bucket, KEY)
    put_part(store, bucket, KEY, upload_id, 1, new_blob(backend))
    first = ask(store, request_of(bucket, upload_id, 1))
    put(store, bucket, KEY, backend, etag="later")
    reap_all(store)

    again = ask(store, request_of(bucket, upload_id, 1))

    assert (first.is_repeated, again.is_repeated) == (False, True)
    assert (again.etag, again.checksums) == (first.etag, first.checksums)
    assert store.read(partial(versions.find_current, bucket=bucket.name, key=KEY)).version.etag == "later"
    assert_consistent(store)


def test_another_list_after_it_was_completed_finds_no_upload(
    store: Store, bucket: Bucket, backend: int
) -> None:
    upload_id = make_upload(store, bucket, KEY)
    for number in (1, 2):
        put_part(store, bucket, KEY, upload_id, number, new_blob(backend))
    ask(store, request_of(bucket, upload_id, 1, 2))

    with pytest.raises(NoSuchUpload):
        ask(store, request_of(bucket, upload_id, 1))


def test_the_answer_is_kept_for_a_day(store: Store, bucket: Bucket, backend: int, clock: SetClock) -> None:
    upload_id = make_upload(store, bucket, KEY)
    put_part(store, bucket, KEY, upload_id, 1, new_blob(backend))
    ask(store, request_of(bucket, upload_id, 1))
    reap_all(store)

    def expire(tx: Tx) -> int:
        return uploads.expire_finished(tx, before_us=tx.now_us() - DAY_S * 1_000_000, count_max=10)

    clock.move(DAY_S)
    assert store.write(expire) == 0
    assert ask(store, request_of(bucket, upload_id, 1)).is_repeated
    clock.move(1)
    assert store.write(expire) == 1
    with pytest.raises(NoSuchUpload):
        ask(store, request_of(bucket, upload_id, 1))


def test_an_upload_is_completed_only_under_its_own_key(store: Store, bucket: Bucket, backend: int) -> None:
    upload_id = make_upload(store, bucket, KEY)
    put_part(store, bucket, KEY, upload_id, 1, new_blob(backend))

    with pytest.raises(NoSuchUpload):
        ask(store, replace(request_of(bucket, upload_id, 1), key=ObjectKey(b"other")))
    ask(store, request_of(bucket, upload_id, 1))

    other_key = ObjectKey(b"other")
    found = partial(find_result, upload_id=upload_id, bucket=bucket.name, key=other_key)
    assert store.read(found) is None


# --- lists that are refused; the upload stands after each ---


def test_a_list_out_of_order_twice_or_empty_is_refused(store: Store, bucket: Bucket, backend: int) -> None:
    upload_id = make_upload(store, bucket, KEY)
    for number in (1, 2):
        put_part(store, bucket, KEY, upload_id, number, new_blob(backend))

    for numbers in ((2, 1), (1, 1), ()):
        with pytest.raises(PartOrder):
            ask(store, request_of(bucket, upload_id, *numbers))

    ask(store, request_of(bucket, upload_id, 1, 2))


def test_a_part_that_was_not_uploaded_or_has_another_etag_is_refused(
    store: Store, bucket: Bucket, backend: int
) -> None:
    upload_id = make_upload(store, bucket, KEY)
    put_part(store, bucket, KEY, upload_id, 1, new_blob(backend))
    wrong = replace(request_of(bucket, upload_id), parts=[ListedPart(part_number=1, etag="f" * 32)])

    with pytest.raises(InvalidPart) as missing:
        ask(store, request_of(bucket, upload_id, 1, 4))
    with pytest.raises(InvalidPart) as different:
        ask(store, wrong)

    assert (missing.value.part_number, different.value.part_number) == (4, 1)
    assert_consistent(store)


def test_only_the_last_part_may_be_small(store: Store, bucket: Bucket, backend: int) -> None:
    upload_id = make_upload(store, bucket, KEY)
    put_part(store, bucket, KEY, upload_id, 1, new_blob(backend, size_bytes=99))
    put_part(store, bucket, KEY, upload_id, 2, new_blob(backend, size_bytes=1))

    with pytest.raises(PartTooSmall) as caught:
        ask(store, request_of(bucket, upload_id, 1, 2), part_size_min_bytes=100)
    put_part(store, bucket, KEY, upload_id, 1, new_blob(backend, size_bytes=100))
    ask(store, request_of(bucket, upload_id, 1, 2), part_size_min_bytes=100)

    assert (caught.value.part_number, caught.value.size_bytes, caught.value.min_bytes) == (1, 99, 100)


def test_parts_of_more_than_five_tebibytes_are_no_object(store: Store, bucket: Bucket, backend: int) -> None:
    upload_id = make_upload(store, bucket, KEY)
    put_part(store, bucket, KEY, upload_id, 1, new_blob(backend, size_bytes=OBJECT_SIZE_MAX_BYTES))
    put_part(store, bucket, KEY, upload_id, 2, new_blob(backend, size_bytes=1))

    with pytest.raises(ObjectTooLarge):
        ask(store, request_of(bucket, upload_id, 1, 2))

    ask(store, request_of(bucket, upload_id, 1))


def test_a_part_that_changed_since_the_list_was_checked_is_refused(
    store: Store, bucket: Bucket, backend: int
) -> None:
    upload_id = make_upload(store, bucket, KEY)
    part = put_part(store, bucket, KEY, upload_id, 1, new_blob(backend))
    put_part(store, bucket, KEY, upload_id, 1, new_blob(backend))

    with pytest.raises(InvalidPart):
        store.write(partial(complete, order=order_of(bucket, upload_id, part)))

    assert_consistent(store)


def test_conditions_and_locks_are_asked_before_anything_moves(
    store: Store, bucket: Bucket, backend: int
) -> None:
    published = put(store, bucket, KEY, backend, etag="there")
    upload_id = make_upload(store, bucket, KEY)
    part = put_part(store, bucket, KEY, upload_id, 1, new_blob(backend))
    order = order_of(bucket, upload_id, part)

    with pytest.raises(PreconditionFailed):
        store.write(partial(complete, order=replace(order, if_none_match=True)))
    with pytest.raises(PreconditionFailed):
        store.write(partial(complete, order=replace(order, if_match_etag="else")))
    run_sql(
        store,
        "UPDATE object_versions SET legal_hold = TRUE WHERE version_seq = :seq",
        {"seq": published.version_seq},
    )
    with pytest.raises(VersionLocked):
        store.write(partial(complete, order=order))

    assert_consistent(store)
    run_sql(store, "UPDATE object_versions SET legal_hold = FALSE")
    store.write(partial(complete, order=replace(order, if_match_etag="there")))
    assert_consistent(store)


def test_an_aborted_upload_is_not_completed(store: Store, bucket: Bucket, backend: int) -> None:
    upload_id = make_upload(store, bucket, KEY)
    part = put_part(store, bucket, KEY, upload_id, 1, new_blob(backend))
    store.write(partial(uploads.abort, upload_id=upload_id, bucket=bucket.name, key=KEY))

    with pytest.raises(NoSuchUpload):
        store.write(partial(complete, order=order_of(bucket, upload_id, part)))
    with pytest.raises(NoSuchUpload):
        ask(store, request_of(bucket, upload_id, 1))


def test_ten_thousand_parts_become_one_object_and_leave_in_bounded_steps(
    store: Store, bucket: Bucket, backend: int
) -> None:
    upload_id = make_upload(store, bucket, KEY)

    def upload_parts(tx: Tx, first: int) -> None:
        for number in range(first, first + 500):
            new = new_part(bucket, KEY, upload_id, number, new_blob(backend, size_bytes=number))
            uploads.put_part(tx, new)

    for first in range(1, PART_NUMBER_MAX, 500):
        store.write(partial(upload_parts, first=first))

    ask(store, request_of(bucket, upload_id, *range(1, PART_NUMBER_MAX + 1)))
    stored = store.read(partial(versions.find_current, bucket=bucket.name, key=KEY))

    assert stored.version.part_count == PART_NUMBER_MAX
    assert stored.version.size_bytes == PART_NUMBER_MAX * (PART_NUMBER_MAX + 1) // 2
    at = partial(
        versions.find_ordinal_at,
        version_seq=stored.version.version_seq,
        offset=stored.version.size_bytes - 1,
    )
    assert store.read(at) == PART_NUMBER_MAX - 1
    parts = Parts(store)
    size_bytes = stored.version.size_bytes
    last = Span(start=size_bytes - PART_NUMBER_MAX, stop=size_bytes)
    assert parts.find(stored, PART_NUMBER_MAX).span == last
    assert parts.find(stored, 3).span == Span(start=3, stop=6)
    page = parts.page(stored, after=PART_NUMBER_MAX - 2, count_max=1)
    assert [(part.part_number, part.size_bytes) for part in page.parts] == [(PART_NUMBER_MAX - 1,) * 2]
    assert page.next_after == PART_NUMBER_MAX - 1
    assert parts.page(stored, after=page.next_after, count_max=1).next_after is None
    assert_consistent(store)


def test_a_completed_bucket_goes_like_any_other(store: Store, bucket: Bucket, backend: int) -> None:
    from engine.metadata.remove import remove

    upload_id = make_upload(store, bucket, KEY)
    put_part(store, bucket, KEY, upload_id, 1, new_blob(backend))
    ask(store, request_of(bucket, upload_id, 1))
    store.write(partial(remove, bucket_name=bucket.name, key=KEY))

    store.write(partial(buckets.delete_bucket, name=bucket.name))

    assert reap_all(store) == 1
    assert_consistent(store)


def test_the_image_of_a_completed_upload_names_the_blobs_of_its_parts(
    store: Store, bucket: Bucket, backend: int
) -> None:
    upload_id = make_upload(store, bucket, KEY)
    blobs = [new_blob(backend), new_blob(backend)]
    for number, blob in enumerate(blobs, 1):
        put_part(store, bucket, KEY, upload_id, number, blob)

    ask(store, request_of(bucket, upload_id, 1, 2))

    kind, image = journal_of(store)[-1]
    assert (kind, image["part_count"]) == ("version", 2)
    assert image["segments"] == [
        [blob.blob.blob_id.hex(), 0, 100, number] for number, blob in enumerate(blobs, 1)
    ]


def test_a_copy_of_a_multipart_object_shares_its_blobs(store: Store, bucket: Bucket, backend: int) -> None:
    upload_id = make_upload(store, bucket, KEY)
    for number in (1, 2):
        put_part(store, bucket, KEY, upload_id, number, new_blob(backend))
    ask(store, request_of(bucket, upload_id, 1, 2))
    source = store.read(partial(versions.find_current, bucket=bucket.name, key=KEY))

    copy = new_version(bucket, b"copy", joined=[each.blob for each in source.slices])
    store.write(partial(publish, new=copy))
    put(store, bucket, KEY, backend)

    assert reap_all(store) == 0
    assert_consistent(store)


def test_the_checksums_of_parts_outlive_their_upload(store: Store, bucket: Bucket, backend: int) -> None:
    upload_id = make_upload(store, bucket, KEY)
    # The first part has two blobs: its checksum is told once.
    first = put_part(store, bucket, KEY, upload_id, 1, new_blob(backend), new_blob(backend))
    second = put_part(store, bucket, KEY, upload_id, 2, new_blob(backend))
    whole = Checksum(algorithm=ChecksumAlgorithm.CRC32, digest=b"half")
    order = replace(order_of(bucket, upload_id, first, second), checksums=(whole,))

    store.write(partial(complete, order=order))
    reap_all(store)

    stored = store.read(partial(versions.find_current, bucket=bucket.name, key=KEY))
    parts = Parts(store)
    assert [parts.find(stored, number).checksum for number in (1, 2)] == [*first.checksums, *second.checksums]
    page = parts.page(stored, after=0, count_max=5)
    assert [part.checksum for part in page.parts] == [*first.checksums, *second.checksums]
    _, image = journal_of(store)[-1]
    segments = cast("list[list[object]]", image["segments"])
    assert [segment[3:] for segment in segments] == [[1, "AAAAAQ=="], [1], [2, "AAAAAg=="]]
    assert_consistent(store)
