"""Rows of those who look after bytes: pieces by key with their blobs, bad ones apart, passes and findings."""

from functools import partial

import pytest

from engine.metadata import discrepancies, facts, pieces, quota, scrub_passes, volumes
from engine.metadata.discrepancies import Direction, DiscrepancyKind, Mismatch
from engine.metadata.locations import mark_location
from engine.metadata.publish import publish
from engine.metadata.store import Store
from engine.records import Location, LocationState, VolumeState
from tests.conformance.metadata.conftest import OpenStore
from tests.support.metadata import (
    SetClock,
    assert_consistent,
    make_backend,
    make_bucket,
    make_volume,
    new_blob,
    new_version,
    put,
    run_sql,
    totals_of,
    volume_key,
    with_changes,
)

RUN, LATER = b"run------------1", b"run------------2"


@pytest.fixture
def backend(store: Store) -> int:
    return make_backend(store, kind="memory")


def stored(store: Store, backend_id: int, count: int) -> list[Location]:
    """Locations of so many objects, in the order of their storage keys."""
    bucket = make_bucket(store)
    blobs = [new_blob(backend_id) for _ in range(count)]
    for number, blob in enumerate(blobs):
        store.write(partial(publish, new=new_version(bucket, b"key-%d" % number, blob)))
    return sorted((each.locations[0] for each in blobs), key=lambda each: each.storage_key)


def test_pieces_come_in_the_order_of_their_keys_with_their_blobs(store: Store, backend: int) -> None:
    locations = stored(store, backend, 5)

    first = store.read(partial(pieces.list_pieces, backend_id=backend, after="", count_max=3))
    rest = store.read(
        partial(pieces.list_pieces, backend_id=backend, after=first[-1].location.storage_key, count_max=3)
    )

    assert [each.location for each in first + rest] == locations
    assert [each.blob.blob_id for each in first + rest] == [each.blob_id for each in locations]
    key = locations[2].storage_key
    assert store.read(partial(pieces.find_piece, backend_id=backend, storage_key=key)) == first[2]
    assert store.read(partial(pieces.find_piece, backend_id=backend, storage_key="none")) is None


def test_bad_pieces_are_listed_and_counted_until_they_verify_again(
    store: Store, backend: int, clock: SetClock
) -> None:
    locations = stored(store, backend, 4)
    store.write(partial(mark_location, location=locations[1], state=LocationState.SUSPECT))
    store.write(partial(mark_location, location=locations[2], state=LocationState.LOST))

    bad = store.read(partial(pieces.list_bad, backend_id=backend, after="", count_max=10))
    counts = store.read(partial(pieces.count_bad, backend_id=backend))
    clock.move(60)
    store.write(partial(pieces.mark_verified, locations=[each.location for each in bad]))

    assert [each.location.storage_key for each in bad] == [each.storage_key for each in locations[1:3]]
    assert counts == {LocationState.SUSPECT: 1, LocationState.LOST: 1}
    assert store.read(partial(pieces.count_bad, backend_id=backend)) == {}
    now = store.read(partial(pieces.list_pieces, backend_id=backend, after="", count_max=10))
    assert [each.verified_at_us for each in now] == [
        clock.now_us() - 60_000_000 * (each.location not in locations[1:3]) for each in now
    ]


def test_a_corrected_size_moves_the_account_along_and_a_piece_that_moved_is_left(
    store: Store, backend: int
) -> None:
    location, _ = stored(store, backend, 2)

    grown = store.write(with_changes(pieces.correct_size, location=location, stored_bytes=500))
    again = store.write(with_changes(pieces.correct_size, location=location, stored_bytes=700))

    assert (grown, again) == (True, False)
    assert totals_of(store, quota.backend_subject(backend)).used_bytes == 110 + 500
    assert_consistent(store)


def test_truth_is_the_same_whatever_the_page(
    store: Store, backend: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = make_bucket(store)
    for number in range(7):
        put(store, bucket, b"key-%d" % (number % 3), backend, size_bytes=100 + number)

    for page in (1, 2, 3, 100):
        monkeypatch.setattr(facts, "SUM_PAGE_COUNT_MAX", page)
        on_backend = store.read(partial(facts.backend_truth, backend_id=backend))
        in_bucket = store.read(partial(facts.bucket_truth, bucket_id=bucket.bucket_id))

        assert (on_backend.used_bytes, on_backend.object_count) == (sum(110 + n for n in range(7)), 7)
        assert (in_bucket.used_bytes, in_bucket.object_count) == (104 + 105 + 106, 3)


def test_versions_of_one_key_are_added_up_over_pages(
    store: Store, backend: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = make_bucket(store)
    run_sql(store, "UPDATE buckets SET versioning = 'enabled'")
    for number in range(5):
        put(store, bucket, b"key", backend, size_bytes=100 + number)
    monkeypatch.setattr(facts, "SUM_PAGE_COUNT_MAX", 2)

    truth = store.read(partial(facts.bucket_truth, bucket_id=bucket.bucket_id))

    assert (truth.used_bytes, truth.object_count) == (510, 5)


def test_a_pass_is_whole_once_it_ended_and_stays_so_while_the_next_is_under_way(
    store: Store, backend: int, clock: SetClock
) -> None:
    began_us = clock.now_us()
    store.write(partial(scrub_passes.begin_pass, backend_id=backend))
    for cursor in ("a", "b"):
        store.write(
            partial(
                scrub_passes.advance_pass,
                backend_id=backend,
                cursor=cursor,
                piece_count=2,
                passed_bytes=20,
                bad_count=1,
            )
        )
    under_way = store.read(scrub_passes.list_passes)[backend]
    clock.move(60)
    store.write(partial(scrub_passes.end_pass, backend_id=backend))
    store.write(partial(scrub_passes.begin_pass, backend_id=backend))
    begun = store.read(scrub_passes.list_passes)[backend]

    assert (under_way.cursor, under_way.piece_count, under_way.passed_bytes, under_way.bad_count) == (
        "b",
        4,
        40,
        2,
    )
    assert (under_way.ended_at_us, under_way.whole_begun_at_us) == (None, None)
    assert (begun.cursor, begun.piece_count, begun.ended_at_us) == ("", 0, None)
    assert (begun.begun_at_us, begun.whole_begun_at_us) == (clock.now_us(), began_us)


def mismatch(backend_id: int, subject: str, kind: DiscrepancyKind = DiscrepancyKind.MISSING) -> Mismatch:
    return Mismatch(
        backend_id=backend_id,
        direction=Direction.ROWS,
        kind=kind,
        subject=subject,
        size_bytes=100,
        detail="it is not there",
        blob_id=b"blob-----------1",
        piece_index=0,
    )


def test_what_a_later_comparison_does_not_see_again_is_forgotten(store: Store, backend: int) -> None:
    for subject in ("a", "b"):
        store.write(partial(discrepancies.note, mismatch=mismatch(backend, subject), run_id=RUN))
    store.write(partial(discrepancies.note, mismatch=mismatch(backend, "b"), run_id=LATER))

    forgotten = store.write(
        partial(discrepancies.forget_unseen, backend_id=backend, direction=Direction.ROWS, run_id=LATER)
    )

    assert forgotten == 1
    (kept,) = store.read(partial(discrepancies.list_discrepancies, after=0, count_max=10))
    assert kept.mismatch == mismatch(backend, "b")


def test_a_settled_finding_stands_anew_when_it_is_seen_again(
    store: Store, backend: int, clock: SetClock
) -> None:
    store.write(partial(discrepancies.note, mismatch=mismatch(backend, "a"), run_id=RUN))
    (found,) = store.read(partial(discrepancies.list_discrepancies, after=0, count_max=10))
    note = partial(
        discrepancies.note_resolution,
        discrepancy_id=found.discrepancy_id,
        resolution="healed",
        is_settled=True,
    )

    store.write(note)
    (settled,) = store.read(partial(discrepancies.list_discrepancies, after=0, count_max=10))
    open_ones = partial(discrepancies.list_discrepancies, after=0, count_max=10, only_open=True)
    assert (settled.resolution, settled.resolved_at_us) == ("healed", clock.now_us())
    assert store.read(open_ones) == []

    store.write(partial(discrepancies.note, mismatch=mismatch(backend, "a"), run_id=LATER))
    assert store.read(open_ones) == [found]


def test_findings_are_listed_by_page_kind_and_backend_and_counted(open_store: OpenStore) -> None:
    store = open_store()
    near, far = make_backend(store, "near"), make_backend(store, "far")
    for number in range(3):
        store.write(partial(discrepancies.note, mismatch=mismatch(near, f"k{number}"), run_id=RUN))
    store.write(partial(discrepancies.note, mismatch=mismatch(far, "k", DiscrepancyKind.SIZE), run_id=RUN))

    first = store.read(partial(discrepancies.list_discrepancies, after=0, count_max=2))
    rest = store.read(partial(discrepancies.list_discrepancies, after=first[-1].discrepancy_id, count_max=2))
    of_far = store.read(partial(discrepancies.list_discrepancies, after=0, count_max=9, backend_id=far))
    of_kind = store.read(
        partial(discrepancies.list_discrepancies, after=0, count_max=9, kind=DiscrepancyKind.MISSING)
    )

    assert [each.mismatch.subject for each in first + rest] == ["k0", "k1", "k2", "k"]
    assert [each.mismatch.subject for each in of_far] == ["k"]
    assert [each.mismatch.subject for each in of_kind] == ["k0", "k1", "k2"]
    counts = store.read(discrepancies.count_discrepancies)
    assert [(each.backend_id, each.kind, each.count, each.size_bytes) for each in counts] == [
        (near, DiscrepancyKind.MISSING, 3, 300),
        (far, DiscrepancyKind.SIZE, 1, 100),
    ]


def test_a_volume_row_is_forgotten_only_when_no_piece_lies_in_it(store: Store) -> None:
    backend_id = make_backend(store)
    holding, empty = make_volume(store, backend_id), make_volume(store, backend_id)
    bucket = make_bucket(store)
    blob = new_blob(backend_id, storage_key=volume_key(holding, 8192))
    store.write(partial(publish, new=new_version(bucket, b"key", blob)))
    forget = partial(volumes.forget_if_empty, backend_id=backend_id)

    assert not store.write(partial(forget, volume_id=holding))
    assert store.write(partial(forget, volume_id=empty))

    (left,) = store.read(partial(volumes.list_volumes, backend_id=backend_id))
    assert (left.volume_id, left.state) == (holding, VolumeState.OPEN)
