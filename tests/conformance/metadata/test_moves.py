"""Pieces that were copied elsewhere: each location is switched whole or not at all, and copies stay apart."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pytest

from engine.errors import BackendQuotaExceeded, IntentLost, PlacementRefused
from engine.metadata import backends, intents, moves, reaper, remove, versions
from engine.metadata.intents import Intent
from engine.metadata.locations import mark_location
from engine.metadata.moves import Copied, Movable, Switched
from engine.metadata.publish import publish
from engine.metadata.quota import backend_subject
from engine.metadata.store import Store, Tx
from engine.names import object_key
from engine.records import BackendState, Bucket, Location, LocationState, NewBlob, VolumeState
from tests.conformance.metadata.conftest import OpenStore
from tests.conformance.metadata.interleaving import overlap
from tests.support.metadata import (
    assert_consistent,
    make_backend,
    make_bucket,
    make_volume,
    new_blob,
    new_version,
    run_sql,
    totals_of,
    volume_key,
)

GRACE_US = 1_000_000


@pytest.fixture
def bucket(store: Store) -> Bucket:
    return make_bucket(store)


def remote(store: Store, name: str, *, quota_bytes: int | None = None) -> int:
    """A backend whose keys are just names."""
    return make_backend(store, name, kind="memory", quota_bytes=quota_bytes)


def put(store: Store, bucket: Bucket, key: bytes, *backend_ids: int) -> NewBlob:
    blob = new_blob(*backend_ids)
    store.write(partial(publish, new=new_version(bucket, key, blob)))
    return blob


def copy_key(location: Location) -> str:
    return f"copy of {location.piece_index} of {location.storage_key}"


def copied(location: Location, backend_id: int, *, intent_id: bytes | None = None) -> Copied:
    new = replace(location, backend_id=backend_id, storage_key=copy_key(location))
    return Copied(old=location, new=new, intent_id=intent_id)


def switch(store: Store, *copies: Copied) -> list[Switched]:
    return store.write(partial(moves.switch_pieces, copies=copies, reason="moved", grace_us=GRACE_US))


def pieces(store: Store, blob: NewBlob) -> Sequence[Location]:
    return store.read(partial(versions.read_locations, blob_id=blob.blob.blob_id))


def queue(store: Store) -> set[tuple[object, ...]]:
    return set(run_sql(store, "SELECT backend_id, storage_key, reason FROM cleanup_queue"))


def set_state(store: Store, backend_id: int, state: BackendState) -> None:
    store.write(partial(backends.set_state, backend_id=backend_id, state=state, reason=None))


def test_a_switched_piece_lies_elsewhere_and_its_old_bytes_wait_for_their_readers(
    store: Store, bucket: Bucket
) -> None:
    near, far = remote(store, "near"), remote(store, "far")
    blob = put(store, bucket, b"key", near)
    (old,) = blob.locations

    outcomes = switch(store, copied(old, far))

    assert outcomes == [Switched.MOVED]
    (now,) = pieces(store, blob)
    assert (now.backend_id, now.storage_key) == (far, copy_key(old))
    assert queue(store) == {(near, old.storage_key, "moved")}
    (due_us,) = run_sql(store, "SELECT not_before_us FROM cleanup_queue")[0]
    assert due_us == store.read(lambda tx: tx.now_us()) + GRACE_US
    here, there = totals_of(store, backend_subject(near)), totals_of(store, backend_subject(far))
    assert (here.used_bytes, here.orphan_bytes, here.object_count) == (0, 110, 0)
    assert (there.used_bytes, there.orphan_bytes, there.object_count) == (110, 0, 1)
    assert_consistent(store)


def test_a_suspect_piece_is_trusted_again_where_its_copy_lies(store: Store, bucket: Bucket) -> None:
    near, far = remote(store, "near"), remote(store, "far")
    blob = put(store, bucket, b"key", near)
    store.write(partial(mark_location, location=blob.locations[0], state=LocationState.SUSPECT))

    switch(store, copied(blob.locations[0], far))

    assert [each.state for each in pieces(store, blob)] == [LocationState.LIVE]


def test_a_copy_of_a_piece_that_was_moved_or_freed_is_deleted_at_once(store: Store, bucket: Bucket) -> None:
    near, far, other = remote(store, "near"), remote(store, "far"), remote(store, "other")
    moved, freed = put(store, bucket, b"moved", near), put(store, bucket, b"freed", near)
    switch(store, copied(moved.locations[0], other))
    store.write(lambda tx: remove.remove(tx, bucket.name, object_key(b"freed")))
    while store.write(partial(reaper.reap_step, grace_us=GRACE_US)).has_more:
        pass

    late = [copied(each.locations[0], far) for each in (moved, freed)]
    outcomes = switch(store, *late)

    assert outcomes == [Switched.GONE, Switched.GONE]
    assert {(far, each.new.storage_key, "moved lost") for each in late} <= queue(store)
    assert totals_of(store, backend_subject(far)).orphan_bytes == 220
    assert_consistent(store)


@pytest.mark.parametrize("state", [each for each in BackendState if each is not BackendState.ACTIVE])
def test_only_an_active_backend_is_moved_to(store: Store, bucket: Bucket, state: BackendState) -> None:
    near, far = remote(store, "near"), remote(store, "far")
    blob = put(store, bucket, b"key", near)
    set_state(store, far, state)

    assert switch(store, copied(blob.locations[0], far)) == [Switched.REFUSED]
    assert pieces(store, blob)[0].backend_id == near


def test_a_volume_that_is_emptied_is_not_moved_to(store: Store, bucket: Bucket) -> None:
    near, disk = remote(store, "near"), make_backend(store, "disk")
    blob = put(store, bucket, b"key", near)
    volume_id = make_volume(store, disk)
    run_sql(store, "UPDATE volumes SET state = :state", {"state": VolumeState.COMPACTING.value})
    copy = copied(blob.locations[0], disk)
    copy = replace(copy, new=replace(copy.new, storage_key=volume_key(volume_id, 4096)))

    assert switch(store, copy) == [Switched.REFUSED]


def test_a_copy_never_joins_the_failure_domain_of_another_piece(store: Store, bucket: Bucket) -> None:
    near, far, other = remote(store, "near"), remote(store, "far"), remote(store, "other")
    run_sql(store, "UPDATE backends SET failure_domain = 'shared' WHERE name <> 'near'")
    blob = put(store, bucket, b"key", near, far)

    assert switch(store, copied(blob.locations[0], other)) == [Switched.NOT_APART]
    # Within the domain it is in a piece may move.
    assert switch(store, copied(blob.locations[1], other)) == [Switched.MOVED]


def test_two_pieces_of_one_blob_do_not_join_one_domain_in_one_transaction(
    store: Store, bucket: Bucket
) -> None:
    near, far, other = remote(store, "near"), remote(store, "far"), remote(store, "other")
    blob = put(store, bucket, b"key", near, far)

    outcomes = switch(store, *(copied(each, other) for each in blob.locations))

    assert outcomes == [Switched.MOVED, Switched.NOT_APART]


def test_two_works_that_move_pieces_of_one_blob_keep_them_apart(open_store: OpenStore) -> None:
    one_store, other_store = open_store(), open_store()
    bucket = make_bucket(one_store)
    near, far, other = (remote(one_store, name) for name in ("near", "far", "other"))
    blob = put(one_store, bucket, b"key", near, far)

    one, second = overlap(
        one_store,
        partial(moves.switch_pieces, copies=[copied(blob.locations[0], other)], reason="a", grace_us=0),
        other_store,
        partial(moves.switch_pieces, copies=[copied(blob.locations[1], other)], reason="b", grace_us=0),
    )

    assert (one.result, second.result) == ([Switched.MOVED], [Switched.NOT_APART])
    assert {each.backend_id for each in pieces(one_store, blob)} == {other, far}
    assert_consistent(one_store)


def test_a_full_account_takes_no_piece_and_nothing_is_switched(store: Store, bucket: Bucket) -> None:
    near, far, small = remote(store, "near"), remote(store, "far"), remote(store, "small", quota_bytes=150)
    blobs = [put(store, bucket, b"%d" % number, near) for number in range(3)]

    with pytest.raises(BackendQuotaExceeded) as full:
        switch(
            store,
            copied(blobs[0].locations[0], small),
            copied(blobs[1].locations[0], small),
            copied(blobs[2].locations[0], far),
        )

    assert full.value.backend_id == small
    assert {pieces(store, blob)[0].backend_id for blob in blobs} == {near}
    assert switch(store, copied(blobs[0].locations[0], small)) == [Switched.MOVED]
    assert_consistent(store)


def test_an_announced_copy_fulfils_its_intent_or_nothing_is_switched(store: Store, bucket: Bucket) -> None:
    near, far = remote(store, "near"), remote(store, "far")
    blob = put(store, bucket, b"key", near)
    copy = copied(blob.locations[0], far, intent_id=b"intent----------")
    with pytest.raises(IntentLost):
        switch(store, copy)
    intent = Intent(intent_id=b"intent----------", backend_id=far, storage_key=copy.new.storage_key)
    store.write(partial(intents.announce, instance_id=b"instance--------", intents=[intent]))

    assert switch(store, copy) == [Switched.MOVED]
    assert store.read(intents.count) == 0


def test_pieces_come_in_order_with_all_that_copying_takes(store: Store, bucket: Bucket) -> None:
    near, far = remote(store, "near"), remote(store, "far")
    blobs = [put(store, bucket, b"%d" % number, near, far) for number in range(5)]

    def page(after: str) -> list[Movable]:
        return store.read(partial(moves.list_movable, backend_id=near, after=after, count_max=3))

    first = page("")
    rest = page(first[-1].location.storage_key)

    assert [each.location for each in (*first, *rest)] == sorted(
        (blob.locations[0] for blob in blobs), key=lambda each: each.storage_key
    )
    by_id = {blob.blob.blob_id: blob for blob in blobs}
    for each in (*first, *rest):
        blob = by_id[each.location.blob_id]
        assert (each.blob, each.others) == (blob.blob, (blob.locations[1],))


def test_reading_again_leaves_out_what_was_moved(store: Store, bucket: Bucket) -> None:
    near, far = remote(store, "near"), remote(store, "far")
    stays, goes = put(store, bucket, b"stays", near), put(store, bucket, b"goes", near)
    movables = store.read(partial(moves.list_movable, backend_id=near, after="", count_max=10))
    switch(store, copied(goes.locations[0], far))

    again = store.read(partial(moves.read_again, movables=movables))

    assert [each.location.blob_id for each in again] == [stays.blob.blob_id]


# --- fences ---


def test_a_fenced_backend_is_counted_after_those_who_saw_it_take_pieces(open_store: OpenStore) -> None:
    one_store, other_store = open_store(), open_store()
    bucket = make_bucket(one_store)
    near = remote(one_store, "near")
    blob = new_blob(near)

    def drained(tx: Tx) -> int:
        backends.fence_backend(tx, near)
        return backends.count_pieces(tx, near, count_max=10)

    _, counted = overlap(
        one_store, partial(publish, new=new_version(bucket, b"key", blob)), other_store, drained
    )

    assert counted.result == 1


def test_who_places_pieces_waits_for_a_fence_and_sees_the_state_behind_it(open_store: OpenStore) -> None:
    one_store, other_store = open_store(), open_store()
    bucket = make_bucket(one_store)
    near = remote(one_store, "near")

    def drain(tx: Tx) -> None:
        backends.fence_backend(tx, near)
        backends.set_state(tx, near, BackendState.DRAINED, reason=None)

    _, put_late = overlap(
        one_store, drain, other_store, partial(publish, new=new_version(bucket, b"key", new_blob(near)))
    )

    assert isinstance(put_late.error, PlacementRefused)


def test_pieces_are_counted_up_to_a_bound(store: Store, bucket: Bucket) -> None:
    near = remote(store, "near")
    for number in range(4):
        put(store, bucket, b"%d" % number, near)

    count = partial(backends.count_pieces, backend_id=near)

    assert [store.read(partial(count, count_max=bound)) for bound in (1, 3, 4, 9)] == [1, 3, 4, 4]


def test_a_state_tells_why_and_by_whom(store: Store) -> None:
    near = remote(store, "near")
    begun = store.read(partial(backends.find_standing, backend_id=near))

    store.write(
        partial(
            backends.set_state,
            backend_id=near,
            state=BackendState.DRAINING,
            reason="asked for",
            operation="operations/1",
        )
    )

    now = store.read(partial(backends.find_standing, backend_id=near))
    assert (begun.state, begun.operation, begun.reason) == (BackendState.ACTIVE, None, None)
    assert (now.state, now.operation, now.reason) == (BackendState.DRAINING, "operations/1", "asked for")


def test_states_change_one_behind_the_other(open_store: OpenStore) -> None:
    one_store, other_store = open_store(), open_store()
    ids = [remote(one_store, name) for name in ("near", "far")]

    def drain_unless_last(tx: Tx, backend_id: int) -> bool:
        backends.lock_states(tx)
        active = [row.backend_id for row in backends.list_backends(tx) if row.state is BackendState.ACTIVE]
        if active == [backend_id]:
            return False
        backends.set_state(tx, backend_id, BackendState.DRAINING, reason=None)
        return True

    one, other = overlap(
        one_store,
        partial(drain_unless_last, backend_id=ids[0]),
        other_store,
        partial(drain_unless_last, backend_id=ids[1]),
    )

    assert (one.result, other.result) == (True, False)
