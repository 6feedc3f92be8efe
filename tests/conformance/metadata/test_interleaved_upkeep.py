"""Upkeep beside clients and beside itself, in both orders: one wins whole, the other finds out, every row agrees."""

from dataclasses import replace
from functools import partial

import pytest

from engine.errors import (
    BlobGone,
    PlacementRefused,
)
from engine.metadata import (
    cleanup,
    intents,
    leases,
    locations,
    quota,
    reaper,
    versions,
    volumes,
)
from engine.metadata.publish import publish
from engine.metadata.remove import remove
from engine.metadata.store import Tx
from engine.records import Location, Versioning, VolumeState
from tests.conformance.metadata.conftest import OpenStore
from tests.conformance.metadata.interleaving import overlap
from tests.conformance.metadata.two import KEY, Two, etag, settled
from tests.support.metadata import (
    assert_consistent,
    make_backend,
    make_bucket,
    make_volume,
    new_blob,
    new_version,
    put,
    reap_all,
    run_sql,
    totals_of,
    volume_key,
    with_changes,
)

BOTH_VERSIONINGS = [Versioning.OFF, Versioning.ENABLED]


@pytest.mark.parametrize("put_first", [True, False])
def test_put_and_reaper(two: Two, put_first: bool) -> None:
    for name in ("oldest", "older"):
        put(two.near, two.bucket, KEY, two.backend_id, etag=name)
    put_unit = partial(publish, new=new_version(two.bucket, KEY, new_blob(two.backend_id), etag="new"))
    reap_unit = partial(reaper.reap_step, grace_us=0)

    if put_first:
        _, other = overlap(two.near, put_unit, two.far, reap_unit)
        assert other.result is not None
        assert other.result.freed_count == 1
    else:
        reaped, _ = overlap(two.near, reap_unit, two.far, put_unit)
        assert reaped.result is not None
        assert reaped.result.freed_count == 1

    assert etag(two.near) == "new"
    settled(two)
    assert totals_of(two.near, quota.backend_subject(two.backend_id)).used_bytes == 110


@pytest.mark.parametrize("copy_first", [True, False])
def test_a_joining_copy_and_the_reaper(two: Two, copy_first: bool) -> None:
    put(two.near, two.bucket, KEY, two.backend_id)
    blob = two.near.read(partial(versions.find_current, bucket="photos", key=KEY)).slices[0].blob
    two.near.write(partial(remove, bucket_name=two.bucket.name, key=KEY))
    copy_unit = partial(publish, new=new_version(two.bucket, b"copy", joined=[blob], etag="copy"))
    reap_unit = partial(reaper.reap_step, grace_us=0)

    if copy_first:
        copied, reaped = overlap(two.near, copy_unit, two.far, reap_unit)
        assert copied.error is None
    else:
        reaped, copied = overlap(two.near, reap_unit, two.far, copy_unit)
        assert isinstance(copied.error, BlobGone)

    assert reaped.result is not None
    assert reaped.result.freed_count == (0 if copy_first else 1)
    assert etag(two.near, b"copy") == ("copy" if copy_first else None)
    settled(two)


@pytest.mark.parametrize("put_first", [True, False])
def test_publish_and_the_start_of_a_compaction(open_store: OpenStore, put_first: bool) -> None:
    near, far = open_store(), open_store()
    bucket, backend_id = make_bucket(near), make_backend(near)
    volume_id = make_volume(near, backend_id)
    near.write(partial(volumes.volume_closed, volume_id=volume_id, size_bytes=9000))
    blob = new_blob(backend_id, storage_key=volume_key(volume_id, 8192))
    put_unit = partial(publish, new=new_version(bucket, KEY, blob, etag="new"))

    def compact(tx: Tx) -> tuple[bool, bool]:
        """As compaction begins: the state first, then what is to be moved."""
        began = volumes.set_volume_state(
            tx, volume_id, from_state=VolumeState.CLOSED, to_state=VolumeState.COMPACTING
        )
        return began, volumes.has_locations(tx, backend_id=backend_id, volume_id=volume_id)

    if put_first:
        published, compacted = overlap(near, put_unit, far, compact)
        assert published.error is None
    else:
        compacted, published = overlap(near, compact, far, put_unit)
        assert isinstance(published.error, PlacementRefused)

    # Whatever compaction saw when it began is all that there will be.
    assert compacted.result == (True, put_first)
    assert_consistent(near)


def test_two_candidates_have_one_leader(two: Two) -> None:
    one, other = overlap(
        two.near,
        partial(leases.acquire, worker="reaper", holder=b"near", ttl_s=30.0),
        two.far,
        partial(leases.acquire, worker="reaper", holder=b"far", ttl_s=30.0),
    )

    assert one.result is not None
    assert (other.result, other.error) == (None, None)
    two.far.write(partial(leases.check, lease=one.result))


@pytest.mark.parametrize("claim_first", [True, False])
def test_publish_and_recovery_of_its_intent(two: Two, claim_first: bool) -> None:
    intent = intents.Intent(intent_id=b"i" * 16, backend_id=two.backend_id, storage_key="piece")
    two.near.write(partial(intents.announce, instance_id=b"gone", intents=[intent]))
    blob = new_blob(two.backend_id, storage_key="piece", intent_ids=[intent.intent_id])
    put_unit = partial(publish, new=new_version(two.bucket, KEY, blob, etag="new"))
    claim_unit = partial(intents.claim_dead, process_id=b"p" * 16, dead_after_s=15.0, count_max=9)

    if claim_first:
        claimed, published = overlap(two.near, claim_unit, two.far, put_unit)
        assert published.error is not None
    else:
        published, claimed = overlap(two.near, put_unit, two.far, claim_unit)
        assert published.error is None

    assert claimed.result == ([intent] if claim_first else [])
    assert etag(two.near) == (None if claim_first else "new")
    settled(two)


@pytest.mark.parametrize("move_first", [True, False])
def test_a_move_of_a_piece_and_the_reaper_that_frees_it(two: Two, move_first: bool) -> None:
    put(two.near, two.bucket, KEY, two.backend_id)
    old: Location = (
        two.near.read(partial(versions.find_current, bucket="photos", key=KEY)).slices[0].locations[0]
    )
    two.near.write(partial(remove, bucket_name=two.bucket.name, key=KEY))
    fresh = Location(
        blob_id=old.blob_id,
        piece_index=0,
        backend_id=two.backend_id,
        storage_key="fresh",
        stored_bytes=110,
        card_key_id=None,
    )
    move = with_changes(locations.switch_location, old=old, new=fresh, reason="moved", not_before_us=0)
    reap = partial(reaper.reap_step, grace_us=0)

    if move_first:
        moved, _ = overlap(two.near, move, two.far, reap)
    else:
        _, moved = overlap(two.near, reap, two.far, move)

    assert moved.result is move_first
    settled(two)
    waiting = {str(row[0]) for row in run_sql(two.near, "SELECT storage_key FROM cleanup_queue")}
    assert waiting == ({old.storage_key, "fresh"} if move_first else {old.storage_key})


def test_two_moves_of_one_piece_have_one_winner(two: Two) -> None:
    put(two.near, two.bucket, KEY, two.backend_id)
    old: Location = (
        two.near.read(partial(versions.find_current, bucket="photos", key=KEY)).slices[0].locations[0]
    )
    units = [
        with_changes(
            locations.switch_location,
            old=old,
            new=Location(
                blob_id=old.blob_id,
                piece_index=0,
                backend_id=two.backend_id,
                storage_key=name,
                stored_bytes=110,
                card_key_id=None,
            ),
            reason="moved",
            not_before_us=0,
        )
        for name in ("one", "other")
    ]

    one, other = overlap(two.near, units[0], two.far, units[1])

    assert (one.result, other.result) == (True, False)
    settled(two)


def test_two_cleaners_claim_apart(two: Two) -> None:
    for number in range(4):
        put(two.near, two.bucket, KEY, two.backend_id, etag=str(number))
    reap_all(two.near)

    one, other = overlap(
        two.near,
        partial(cleanup.claim_due, process_id=b"near", count_max=2),
        two.far,
        partial(cleanup.claim_due, process_id=b"far", count_max=2),
    )

    assert one.result is not None
    assert other.result is not None
    assert (len(one.result), len(other.result)) == (2, 1)
    assert {each.cleanup_id for each in one.result}.isdisjoint({each.cleanup_id for each in other.result})


@pytest.mark.parametrize("settled_first", [True, False])
def test_a_last_failed_try_and_another_that_deletes_the_bytes(two: Two, settled_first: bool) -> None:
    """Two cleaners hold one row when a claim was taken for stale."""
    put(two.near, two.bucket, KEY, two.backend_id, etag="1")
    put(two.near, two.bucket, KEY, two.backend_id, etag="2")
    reap_all(two.near)
    (claimed,) = two.near.write(partial(cleanup.claim_due, process_id=b"near", count_max=1))
    last_try = replace(claimed, attempts=cleanup.ATTEMPT_COUNT_MAX - 1)
    settle = partial(cleanup.settle_deleted, items=[claimed])
    bury = partial(cleanup.postpone, item=last_try, error="down")

    if settled_first:
        overlap(two.near, settle, two.far, bury)
    else:
        overlap(two.near, bury, two.far, settle)

    dead = two.near.read(partial(cleanup.list_dead, after=0, count_max=10))
    assert len(dead) == (0 if settled_first else 1)
    assert two.near.read(cleanup.depth).queued_count == 0
    orphan_bytes = totals_of(two.near, quota.backend_subject(two.backend_id)).orphan_bytes
    assert orphan_bytes == sum(each.size_bytes for each in dead)
