"""Copies are added only where a blob lacks them, and go only beside enough good ones, whoever else does the same."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pytest

from engine.errors import BackendQuotaExceeded
from engine.metadata import backends, pieces, reaper, redundancy, remove, repairs
from engine.metadata.locations import mark_location
from engine.metadata.moves import Copied
from engine.metadata.pieces import mark_verified
from engine.metadata.publish import publish
from engine.metadata.quota import backend_subject
from engine.metadata.redundancy import Added
from engine.metadata.repairs import Repair, RepairKind, RepairState
from engine.metadata.store import Store, Tx
from engine.names import object_key
from engine.placement.redundancy import choose_excess
from engine.records import BackendState, Bucket, Copies, Location, LocationState, NewBlob
from tests.conformance.metadata.conftest import OpenStore
from tests.conformance.metadata.interleaving import overlap
from tests.support.metadata import (
    assert_consistent,
    make_backend,
    make_bucket,
    new_blob,
    new_version,
    run_sql,
    totals_of,
)


@pytest.fixture
def bucket(store: Store) -> Bucket:
    return make_bucket(store)


def remotes(store: Store, *names: str) -> list[int]:
    return [make_backend(store, name, kind="memory") for name in names]


def put(store: Store, bucket: Bucket, *backend_ids: int, copy_count: int = 2) -> NewBlob:
    made = new_blob(*backend_ids)
    blob = replace(made, blob=replace(made.blob, scheme=Copies(count=copy_count)))
    store.write(partial(publish, new=new_version(bucket, b"key", blob)))
    return blob


def copy_of(blob: NewBlob, backend_id: int, *, piece_index: int) -> Copied:
    old = blob.locations[0]
    new = replace(
        old, piece_index=piece_index, backend_id=backend_id, storage_key=f"copy {piece_index} on {backend_id}"
    )
    return Copied(old=old, new=new)


def add(store: Store, *copies: Copied, away: Sequence[int] = ()) -> list[Added]:
    return store.write(partial(redundancy.add_pieces, copies=copies, away=away))


def trim(tx: Tx, blob: NewBlob, *, since_us: int = 0, away: Sequence[int] = ()) -> Location | None:
    return redundancy.trim_piece(
        tx,
        blob.blob.blob_id,
        choose=choose_excess,
        verified_since_us=since_us,
        away=away,
        grace_us=0,
    )


def locations(store: Store, blob: NewBlob) -> list[Location]:
    found = store.read(partial(pieces.list_pieces_of, blob_id=blob.blob.blob_id))
    return [each.location for each in found]


def places(store: Store, blob: NewBlob) -> set[int]:
    return {each.backend_id for each in locations(store, blob)}


def due(store: Store, kind: RepairKind = RepairKind.HEAL) -> list[Repair]:
    return store.read(partial(repairs.list_due, kind=kind, count_max=100))


# --- what asks for repairs ---


def test_a_blob_written_below_its_scheme_asks_for_its_copies_in_the_same_transaction(
    store: Store, bucket: Bucket
) -> None:
    near, far = remotes(store, "near", "far")

    blob = put(store, bucket, near)
    put(store, bucket, near, far)

    (asked,) = due(store)
    assert (asked.blob_id, asked.state) == (blob.blob.blob_id, RepairState.DETECTED)


@pytest.mark.parametrize("state", [LocationState.SUSPECT, LocationState.LOST])
def test_a_copy_that_is_found_bad_asks_once(store: Store, bucket: Bucket, state: LocationState) -> None:
    near, far = remotes(store, "near", "far")
    blob = put(store, bucket, near, far)

    for _ in range(2):
        store.write(partial(mark_location, location=blob.locations[0], state=state))

    assert [each.blob_id for each in due(store)] == [blob.blob.blob_id]


def test_a_repair_that_failed_comes_later_and_one_that_ended_may_be_asked_for_again(
    store: Store, bucket: Bucket
) -> None:
    (near,) = remotes(store, "near")
    blob = put(store, bucket, near)
    (asked,) = due(store)

    store.write(lambda tx: repairs.postpone(tx, RepairKind.HEAL, asked, "no room"))

    assert due(store) == []
    (waits,) = store.read(partial(repairs.list_repairs, kind=RepairKind.HEAL, after=b"", count_max=10))
    assert (waits.attempt_count, waits.error, waits.due_us > asked.due_us) == (1, "no room", True)
    store.write(lambda tx: repairs.end(tx, RepairKind.HEAL, blob.blob.blob_id))
    counts = store.read(repairs.count_repairs)[RepairKind.HEAL]
    assert (counts.waiting_count, counts.ended_count) == (0, 1)
    store.write(lambda tx: repairs.ask_repair(tx, RepairKind.HEAL, blob.blob.blob_id, reason="again"))
    (again,) = due(store)
    assert (again.reason, again.attempt_count, again.error) == ("again", 0, None)


def test_backends_are_failed_when_most_instances_say_so(store: Store) -> None:
    one, other = remotes(store, "one", "other")
    instances = [b"instance-------%d" % number for number in range(3)]
    run_sql(store, "DELETE FROM backend_views")

    def view(tx: Tx, number: int, backend_id: int, is_failed: bool) -> None:
        problem = "it does not answer" if is_failed else None
        backends.note_view(
            tx,
            backend_id=backend_id,
            instance_id=instances[number],
            problem=problem,
            is_failed=is_failed,
        )

    for number in range(3):
        store.write(partial(view, number=number, backend_id=one, is_failed=number < 2))
        store.write(partial(view, number=number, backend_id=other, is_failed=number < 1))

    assert store.read(partial(backends.find_failed, since_us=0)) == {one}
    store.write(partial(view, number=0, backend_id=one, is_failed=False))
    assert store.read(partial(backends.find_failed, since_us=0)) == set()
    assert store.read(partial(backends.find_failed, since_us=2**62)) == set()


# --- copies that are added ---


def test_an_added_copy_is_a_piece_of_the_blob_and_takes_room(store: Store, bucket: Bucket) -> None:
    near, far = remotes(store, "near", "far")
    blob = put(store, bucket, near)

    assert add(store, copy_of(blob, far, piece_index=1)) == [Added.ADDED]

    assert places(store, blob) == {near, far}
    there = totals_of(store, backend_subject(far))
    assert (there.used_bytes, there.orphan_bytes, there.object_count) == (110, 0, 1)
    assert_consistent(store)


def test_a_copy_that_the_blob_does_not_lack_goes_to_cleanup(store: Store, bucket: Bucket) -> None:
    near, far, other = remotes(store, "near", "far", "other")
    whole = put(store, bucket, near, far)
    freed = put(store, bucket, near)
    store.write(lambda tx: remove.remove(tx, bucket.name, object_key(b"key")))
    while store.write(partial(reaper.reap_step, grace_us=0)).has_more:
        pass
    whole = put(store, bucket, near, far)

    outcomes = add(store, copy_of(whole, other, piece_index=2), copy_of(freed, far, piece_index=1))

    assert outcomes == [Added.NEEDLESS, Added.NEEDLESS]
    assert places(store, whole) == {near, far}
    keys = {
        key for (key,) in run_sql(store, "SELECT storage_key FROM cleanup_queue WHERE reason = 'healed lost'")
    }
    assert keys == {f"copy 2 on {other}", f"copy 1 on {far}"}
    assert_consistent(store)


def test_what_lies_on_a_backend_that_is_away_counts_for_nothing(store: Store, bucket: Bucket) -> None:
    near, far, other = remotes(store, "near", "far", "other")
    blob = put(store, bucket, near, far)

    assert add(store, copy_of(blob, other, piece_index=2), away=[far]) == [Added.ADDED]

    assert places(store, blob) == {near, far, other}


def test_copies_stay_apart_and_go_where_pieces_are_taken(store: Store, bucket: Bucket) -> None:
    near, twin, shut = remotes(store, "near", "twin", "shut")
    run_sql(store, "UPDATE backends SET failure_domain = 'near' WHERE name = 'twin'")
    store.write(partial(backends.set_state, backend_id=shut, state=BackendState.READ_ONLY, reason=None))
    blob = put(store, bucket, near)

    outcomes = add(store, copy_of(blob, twin, piece_index=1), copy_of(blob, shut, piece_index=2))

    assert outcomes == [Added.NOT_APART, Added.REFUSED]
    assert places(store, blob) == {near}


def test_a_full_account_takes_no_copy_and_nothing_is_added(store: Store, bucket: Bucket) -> None:
    near, small = (
        make_backend(store, "near", kind="memory"),
        make_backend(store, "small", kind="memory", quota_bytes=50),
    )
    blob = put(store, bucket, near)

    with pytest.raises(BackendQuotaExceeded):
        add(store, copy_of(blob, small, piece_index=1))

    assert places(store, blob) == {near}
    assert_consistent(store)


def test_two_that_heal_one_blob_end_with_one_copy_more(open_store: OpenStore) -> None:
    one_store, other_store = open_store(), open_store()
    bucket = make_bucket(one_store)
    near, far, other = remotes(one_store, "near", "far", "other")
    blob = put(one_store, bucket, near)

    one, second = overlap(
        one_store,
        partial(redundancy.add_pieces, copies=[copy_of(blob, far, piece_index=1)], away=()),
        other_store,
        partial(redundancy.add_pieces, copies=[copy_of(blob, other, piece_index=1)], away=()),
    )

    assert (one.result, second.result) == ([Added.ADDED], [Added.NEEDLESS])
    assert places(one_store, blob) == {near, far}
    assert_consistent(one_store)


# --- copies that go ---


def test_one_copy_too_many_goes_and_no_more(store: Store, bucket: Bucket) -> None:
    blob = put(store, bucket, *remotes(store, "near", "far", "other"))

    gone = store.write(partial(trim, blob=blob))

    assert gone is not None
    assert places(store, blob) == {each.backend_id for each in blob.locations} - {gone.backend_id}
    assert store.write(partial(trim, blob=blob)) is None
    account = totals_of(store, backend_subject(gone.backend_id))
    assert (account.used_bytes, account.orphan_bytes, account.object_count) == (0, 110, 0)
    assert run_sql(store, "SELECT storage_key, reason FROM cleanup_queue") == [(gone.storage_key, "trimmed")]
    assert_consistent(store)


def test_only_copies_that_were_read_lately_count_for_what_is_left(store: Store, bucket: Bucket) -> None:
    blob = put(store, bucket, *remotes(store, "near", "far", "other"))
    since_us = store.read(lambda tx: tx.now_us()) + 1

    assert store.write(partial(trim, blob=blob, since_us=since_us)) is None

    run_sql(store, "UPDATE object_locations SET verified_at_us = :at WHERE piece_index > 0", {"at": since_us})
    gone = store.write(partial(trim, blob=blob, since_us=since_us))
    assert gone is not None
    assert gone.piece_index == 0


def test_a_bad_copy_goes_first_and_a_good_one_never_beside_it(store: Store, bucket: Bucket) -> None:
    near, far, other = remotes(store, "near", "far", "other")
    blob = put(store, bucket, near, far, other)
    store.write(partial(mark_location, location=blob.locations[1], state=LocationState.SUSPECT))

    gone = store.write(partial(trim, blob=blob))

    assert gone is not None
    assert gone.backend_id == far
    assert store.write(partial(trim, blob=blob)) is None


def test_with_one_good_copy_nothing_goes(store: Store, bucket: Bucket) -> None:
    blob = put(store, bucket, *remotes(store, "near", "far", "other"))
    for each in blob.locations[:2]:
        store.write(partial(mark_location, location=each, state=LocationState.SUSPECT))

    assert store.write(partial(trim, blob=blob)) is None
    assert len(locations(store, blob)) == 3


def test_a_copy_on_a_backend_that_is_away_neither_counts_nor_goes(store: Store, bucket: Bucket) -> None:
    near, far, other = remotes(store, "near", "far", "other")
    blob = put(store, bucket, near, far, other)

    assert store.write(partial(trim, blob=blob, away=[far])) is None
    assert places(store, blob) == {near, far, other}


def test_two_that_trim_one_blob_never_go_below_its_scheme(open_store: OpenStore) -> None:
    one_store, other_store = open_store(), open_store()
    bucket = make_bucket(one_store)
    blob = put(one_store, bucket, *remotes(one_store, "near", "far", "other"))

    one, second = overlap(
        one_store,
        partial(trim, blob=blob),
        other_store,
        partial(trim, blob=blob),
    )

    assert one.result is not None
    assert second.result is None
    assert len(locations(one_store, blob)) == 2
    assert_consistent(one_store)


def test_verifying_makes_a_copy_count(store: Store, bucket: Bucket) -> None:
    blob = put(store, bucket, *remotes(store, "near", "far", "other"))
    since_us = store.read(lambda tx: tx.now_us())

    store.write(partial(mark_verified, locations=blob.locations))

    assert store.write(partial(trim, blob=blob, since_us=since_us)) is not None


def test_a_blob_that_is_gone_is_repaired_no_more_and_those_that_stand_still_are(
    store: Store, bucket: Bucket
) -> None:
    (near,) = remotes(store, "near")
    gone = put(store, bucket, near)
    store.write(partial(repairs.ask_repair, kind=RepairKind.TRIM, blob_id=gone.blob.blob_id, reason="test"))
    for _ in range(20):
        # Each takes the place of the one before, and nobody can heal any of them.
        standing = put(store, bucket, near)
    last = put(store, bucket, near)
    store.write(partial(repairs.end, kind=RepairKind.HEAL, blob_id=standing.blob.blob_id))

    while store.write(partial(reaper.reap_step, grace_us=0)).has_more:
        pass

    waiting = store.read(partial(repairs.list_repairs, kind=RepairKind.HEAL, after=b"", count_max=100))
    assert [each.blob_id for each in waiting] == [last.blob.blob_id]
    assert store.read(partial(repairs.list_repairs, kind=RepairKind.TRIM, after=b"", count_max=100)) == []
    # One that ended is remembered, for how long it took.
    assert store.read(repairs.count_repairs)[RepairKind.HEAL].ended_count == 1
    assert_consistent(store)
