"""Volumes and the pieces in them: one step at a time in a volume's life, moves that win or lose whole."""

from dataclasses import replace
from functools import partial

import pytest

from engine.metadata import backends, facts, locations, quota, versions, volumes
from engine.metadata.publish import publish
from engine.metadata.store import Store, Tx
from engine.records import BackendState, Location, LocationState, VolumeState
from tests.support.metadata import (
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

OWNER, OTHER = b"process-1-------", b"process-2-------"


@pytest.fixture
def backend(store: Store) -> int:
    return make_backend(store)


def opened(store: Store, backend_id: int, volume_id: bytes, owner: bytes = OWNER) -> bool:
    return store.write(
        partial(volumes.volume_opened, volume_id=volume_id, backend_id=backend_id, owner_process=owner)
    )


def move(store: Store, volume_id: bytes, from_state: VolumeState, to_state: VolumeState) -> bool:
    return store.write(
        partial(volumes.set_volume_state, volume_id=volume_id, from_state=from_state, to_state=to_state)
    )


def only(store: Store, backend_id: int) -> VolumeState:
    (row,) = store.read(partial(volumes.list_volumes, backend_id=backend_id))
    return row.state


def test_an_open_volume_may_change_hands(store: Store, backend: int) -> None:
    volume_id = make_volume(store, backend)

    assert opened(store, backend, volume_id, OTHER)

    (row,) = store.read(partial(volumes.list_volumes, backend_id=backend))
    assert (row.owner_process, row.state) == (OTHER, VolumeState.OPEN)


@pytest.mark.parametrize("state", [VolumeState.CLOSED, VolumeState.COMPACTING, VolumeState.GONE])
def test_a_volume_that_takes_no_appends_is_not_opened_again(
    store: Store, backend: int, state: VolumeState
) -> None:
    volume_id = make_volume(store, backend)
    assert move(store, volume_id, VolumeState.OPEN, state)

    assert not opened(store, backend, volume_id)
    assert only(store, backend) is state


def test_a_volume_is_closed_with_its_size_and_without_owner(store: Store, backend: int) -> None:
    volume_id = make_volume(store, backend)

    store.write(partial(volumes.volume_closed, volume_id=volume_id, size_bytes=4096))
    store.write(partial(volumes.volume_closed, volume_id=volume_id, size_bytes=9999))

    (row,) = store.read(partial(volumes.list_volumes, backend_id=backend))
    assert (row.state, row.size_bytes, row.owner_process) == (VolumeState.CLOSED, 4096, None)


def test_a_step_is_taken_once_from_the_state_it_names(store: Store, backend: int) -> None:
    volume_id = make_volume(store, backend)

    assert not move(store, volume_id, VolumeState.CLOSED, VolumeState.COMPACTING)
    assert move(store, volume_id, VolumeState.OPEN, VolumeState.COMPACTING)
    assert not move(store, volume_id, VolumeState.OPEN, VolumeState.COMPACTING)


def test_only_open_and_closed_volumes_take_pieces(store: Store, backend: int) -> None:
    volume_id = make_volume(store, backend)
    takes = {}
    previous = VolumeState.OPEN
    for state in VolumeState:
        if state is not previous:
            assert move(store, volume_id, previous, state)
        takes[state] = store.write(partial(volumes.takes_pieces, volume_id=volume_id))
        previous = state

    assert takes == {
        VolumeState.OPEN: True,
        VolumeState.CLOSED: True,
        VolumeState.COMPACTING: False,
        VolumeState.GONE: False,
    }
    assert not store.write(partial(volumes.takes_pieces, volume_id=b"unknown"))


def test_a_volume_is_gone_only_when_no_location_names_it(store: Store, backend: int) -> None:
    bucket = make_bucket(store)
    volume_id, empty_id = make_volume(store, backend), make_volume(store, backend)
    blob = new_blob(backend, storage_key=volume_key(volume_id, 8192))
    store.write(partial(publish, new=new_version(bucket, b"one", blob)))

    def mark(tx: Tx, volume_id: bytes) -> bool:
        return volumes.mark_gone_if_empty(
            tx, backend_id=backend, volume_id=volume_id, from_state=VolumeState.OPEN, unlink_after_us=7
        )

    assert not store.write(partial(mark, volume_id=volume_id))
    assert store.write(partial(mark, volume_id=empty_id))
    states = {row.volume_id: row for row in store.read(partial(volumes.list_volumes, backend_id=backend))}
    assert (states[volume_id].state, states[empty_id].state) == (VolumeState.OPEN, VolumeState.GONE)
    assert states[empty_id].unlink_after_us == 7


def test_only_a_gone_volume_is_forgotten(store: Store, backend: int) -> None:
    volume_id = make_volume(store, backend)

    store.write(partial(volumes.forget_volume, volume_id=volume_id))
    assert only(store, backend) is VolumeState.OPEN
    move(store, volume_id, VolumeState.OPEN, VolumeState.GONE)
    store.write(partial(volumes.forget_volume, volume_id=volume_id))

    assert store.read(partial(volumes.list_volumes, backend_id=backend)) == []


def test_locations_of_a_volume_come_in_order_of_offset_and_in_pages(store: Store, backend: int) -> None:
    bucket = make_bucket(store)
    first, second = make_volume(store, backend), make_volume(store, backend)
    for offset in (0x30000, 0x1000, 0x200000000):
        for volume_id in (first, second):
            blob = new_blob(backend, storage_key=volume_key(volume_id, offset))
            store.write(
                partial(publish, new=new_version(bucket, f"{offset}-{volume_id.hex()}".encode(), blob))
            )

    page = partial(volumes.live_locations, backend_id=backend, volume_id=first, count_max=2)
    start = store.read(page)
    rest = store.read(partial(page, after=start[-1].storage_key))

    keys = [each.storage_key for each in (*start, *rest)]
    assert keys == [volume_key(first, offset) for offset in (0x1000, 0x30000, 0x200000000)]
    assert store.read(partial(volumes.has_locations, backend_id=backend, volume_id=second))
    assert not store.read(partial(volumes.has_locations, backend_id=backend, volume_id=b"\0" * 16))


@pytest.mark.parametrize("key", ["pieces/1", "0" * 32, "0" * 31 + ":1", "g" * 32 + ":1", ""])
def test_other_storage_keys_lie_in_no_volume(key: str) -> None:
    assert volumes.volume_of(key) is None


# --- moving pieces ---


def one_piece(store: Store, backend_id: int) -> Location:
    bucket = make_bucket(store)
    put(store, bucket, b"one", backend_id)
    stored = store.read(partial(versions.find_current, bucket=bucket.name, key=b"one"))
    return stored.slices[0].locations[0]


def switch(store: Store, old: Location, new: Location) -> bool:
    return store.write(
        with_changes(locations.switch_location, old=old, new=new, reason="moved", not_before_us=5)
    )


def test_a_moved_piece_is_read_from_its_new_place_and_the_old_one_is_cleaned_up(store: Store) -> None:
    near, far = make_backend(store, kind="memory"), make_backend(store, "far", kind="memory")
    old = one_piece(store, near)
    new = replace(old, backend_id=far, storage_key="fresh", stored_bytes=120)

    assert switch(store, old, new)

    assert list(store.read(partial(versions.read_locations, blob_id=old.blob_id))) == [new]
    assert run_sql(store, "SELECT backend_id, storage_key, reason FROM cleanup_queue") == [
        (near, old.storage_key, "moved")
    ]
    assert totals_of(store, quota.backend_subject(near)).orphan_bytes == old.stored_bytes
    assert totals_of(store, quota.backend_subject(far)).used_bytes == 120
    assert_consistent(store)


def test_a_piece_that_moved_meanwhile_is_not_moved_again(store: Store) -> None:
    near, far = make_backend(store, kind="memory"), make_backend(store, "far", kind="memory")
    old = one_piece(store, near)
    assert switch(store, old, replace(old, backend_id=far, storage_key="first"))

    assert not switch(store, old, replace(old, backend_id=far, storage_key="second"))

    assert [
        each.storage_key for each in store.read(partial(versions.read_locations, blob_id=old.blob_id))
    ] == ["first"]
    assert_consistent(store)


def test_a_move_within_a_full_backend_is_not_refused_for_room(store: Store) -> None:
    near = make_backend(store, kind="memory", quota_bytes=110)
    old = one_piece(store, near)

    assert switch(store, old, replace(old, storage_key="fresh"))

    totals = totals_of(store, quota.backend_subject(near))
    assert (totals.limit_bytes, totals.used_bytes, totals.orphan_bytes) == (110, 110, 110)
    assert_consistent(store)


def test_a_found_piece_is_marked_and_a_moved_one_is_not(store: Store) -> None:
    near = make_backend(store, kind="memory")
    old = one_piece(store, near)

    assert store.write(partial(locations.mark_location, location=old, state=LocationState.SUSPECT))
    assert [each.state for each in store.read(partial(versions.read_locations, blob_id=old.blob_id))] == [
        LocationState.SUSPECT
    ]
    assert switch(store, old, replace(old, storage_key="fresh"))
    assert not store.write(partial(locations.mark_location, location=old, state=LocationState.LOST))

    assert [each.state for each in store.read(partial(versions.read_locations, blob_id=old.blob_id))] == [
        LocationState.LIVE
    ]


# --- backends ---


def test_a_backend_is_named_once_and_keeps_its_id(store: Store) -> None:
    first = make_backend(store, quota_bytes=100)
    again = make_backend(store, quota_bytes=200)

    (row,) = store.read(backends.list_backends)
    assert first == again == row.backend_id
    assert (row.name, row.kind, row.node, row.state) == ("near", "volume", "node-1", BackendState.ACTIVE)
    assert not row.is_registered
    assert totals_of(store, quota.backend_subject(first)).limit_bytes == 200


def test_a_registered_backend_stays_registered(store: Store) -> None:
    backend = make_backend(store)

    store.write(partial(backends.mark_registered, backend_id=backend))
    make_backend(store)

    assert [row.is_registered for row in store.read(backends.list_backends)] == [True]


@pytest.mark.parametrize("state", list(BackendState))
def test_a_backend_is_in_the_state_it_was_put_in(store: Store, state: BackendState) -> None:
    backend = make_backend(store)

    store.write(partial(backends.set_state, backend_id=backend, state=state, reason="why"))

    assert [row.state for row in store.read(backends.list_backends)] == [state]
    assert run_sql(store, "SELECT reason FROM backend_states") == [("why",)]


def test_a_new_backend_has_the_row_that_drains_lock(store: Store) -> None:
    backend = make_backend(store)

    assert run_sql(store, "SELECT backend_id FROM backend_fences") == [(backend,)]


def test_problems_are_what_instances_see_now(store: Store) -> None:
    backend = make_backend(store)
    for instance, problem in ((b"i1", "down"), (b"i2", "full"), (b"i3", None), (b"i2", None)):
        store.write(partial(backends.note_view, backend_id=backend, instance_id=instance, problem=problem))

    now_us = store.read(lambda tx: tx.now_us())
    assert store.read(partial(backends.list_problems, backend_id=backend, since_us=now_us)) == ["down"]
    assert store.read(partial(backends.list_problems, backend_id=backend, since_us=now_us + 1)) == []


def test_a_view_is_what_an_instance_said_last(store: Store) -> None:
    backend = make_backend(store)
    note = partial(backends.note_view, backend_id=backend, instance_id=b"i1", problem=None)
    store.write(partial(note, health="suspected", phi=4.5, breaker="open"))
    store.write(partial(backends.note_view, backend_id=backend, instance_id=b"i2", problem="down"))
    store.write(partial(note, health="degraded", phi=1.25, breaker="half-open"))

    views = store.read(partial(backends.list_views, backend_id=backend, since_us=0))

    assert [(each.health, each.phi, each.breaker, each.problem) for each in views] == [
        ("degraded", 1.25, "half-open", None),
        (None, None, None, "down"),
    ]


# --- what fsck reads ---


def test_a_recount_finds_what_the_rows_hold(store: Store) -> None:
    near = make_backend(store, kind="memory")
    bucket = make_bucket(store)
    put(store, bucket, b"one", near, size_bytes=100)
    put(store, bucket, b"two", near, size_bytes=50)

    truth = store.read(partial(facts.backend_truth, backend_id=near))
    bucket_truth = store.read(partial(facts.bucket_truth, bucket_id=bucket.bucket_id))

    assert (truth.used_bytes, truth.orphan_bytes, truth.object_count) == (170, 0, 2)
    assert (bucket_truth.used_bytes, bucket_truth.object_count) == (150, 2)


def test_blobs_locations_and_waiting_keys_come_in_pages(store: Store) -> None:
    near = make_backend(store, kind="memory")
    bucket = make_bucket(store)
    for number in range(5):
        put(store, bucket, f"{number}".encode(), near)

    blobs = store.read(partial(facts.list_blobs, after=b"", count_max=3))
    blobs += store.read(partial(facts.list_blobs, after=blobs[-1].blob_id, count_max=3))
    found = store.read(partial(facts.list_locations, backend_id=near, after="", count_max=3))
    found += store.read(
        partial(facts.list_locations, backend_id=near, after=found[-1].storage_key, count_max=3)
    )
    for location in found[:3]:
        switch(store, location, replace(location, storage_key=f"z-{location.storage_key}"))
    waiting = store.read(partial(facts.list_cleanup_keys, backend_id=near, after="", count_max=2))
    waiting += store.read(partial(facts.list_cleanup_keys, backend_id=near, after=waiting[-1], count_max=2))

    assert len({each.blob_id for each in blobs}) == 5
    assert [each.storage_key for each in found] == sorted(each.blob_id.hex() for each in blobs)
    assert waiting == [each.storage_key for each in found[:3]]


def test_versions_whose_segments_do_not_add_up_are_found(store: Store) -> None:
    near = make_backend(store, kind="memory")
    bucket = make_bucket(store)
    blobs = [new_blob(near), new_blob(near)]
    published = store.write(partial(publish, new=new_version(bucket, b"one", *blobs)))
    assert store.read(partial(facts.versions_with_wrong_size, count_max=10)) == []

    run_sql(store, "DELETE FROM object_segments WHERE ordinal = 1")

    assert store.read(partial(facts.versions_with_wrong_size, count_max=10)) == [published.version_seq]
