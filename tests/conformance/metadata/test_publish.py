"""publish: a version becomes its key's current one with all it displaces, or nothing changes at all."""

from dataclasses import replace
from functools import partial

import pytest

from engine.errors import (
    BackendQuotaExceeded,
    BlobGone,
    BucketQuotaExceeded,
    IntentLost,
    NoSuchBucket,
    NoSuchKey,
    PlacementRefused,
    PreconditionFailed,
    VersionLocked,
)
from engine.metadata import backends, intents, quota, versions, volumes
from engine.metadata.publish import publish
from engine.metadata.store import Store
from engine.names import BucketName
from engine.records import (
    ANY_ETAG,
    BackendState,
    LocationState,
    NewVersion,
    ObjectHeaders,
    Segment,
    StoredVersion,
    Versioning,
    VolumeState,
)
from engine.streams import Checksum, ChecksumAlgorithm
from tests.support.metadata import (
    START_US,
    SetClock,
    assert_consistent,
    journal_of,
    make_backend,
    make_bucket,
    make_volume,
    new_blob,
    new_version,
    put,
    reap_all,
    run_sql,
    set_versioning,
    totals_of,
    volume_key,
)

KEY = b"holiday/1.jpg"


def find(store: Store, key: bytes = KEY) -> StoredVersion:
    return store.read(partial(versions.find_current, bucket="photos", key=key))


def refused(store: Store, new: NewVersion, error: type[Exception]) -> None:
    """The version is refused for that reason, and the database is as it was."""
    before = [
        run_sql(store, f"SELECT COUNT(*) FROM {table}") for table in ("object_versions", "blobs", "journal")
    ]

    with pytest.raises(error):
        store.write(partial(publish, new=new))

    assert before == [
        run_sql(store, f"SELECT COUNT(*) FROM {table}") for table in ("object_versions", "blobs", "journal")
    ]
    assert_consistent(store)


def test_a_published_version_reads_back_whole(store: Store) -> None:
    bucket = make_bucket(store)
    near, far = make_backend(store, kind="memory"), make_backend(store, "far", kind="memory")
    blob = new_blob(near, far)
    headers = ObjectHeaders(
        content_type="image/jpeg", system={"cache-control": "no-store"}, user={"colour": "grün"}
    )
    checksum = Checksum(algorithm=ChecksumAlgorithm.CRC32C, digest=b"\0\1\2\3")
    new = replace(new_version(bucket, KEY, blob, headers=headers, etag="abc"), checksums=(checksum,))

    published = store.write(partial(publish, new=new))
    stored = find(store)

    assert (stored.version.etag, stored.version.size_bytes, stored.version.version_id) == ("abc", 100, "null")
    assert stored.version.headers == headers
    assert stored.version.checksums == (checksum,)
    assert stored.version.created_at_us == published.created_at_us == START_US
    assert [each.blob for each in stored.slices] == [blob.blob]
    assert list(stored.slices[0].locations) == list(blob.locations)
    assert stored.slices[0].locations[0].state is LocationState.LIVE
    assert not stored.has_more_slices
    assert_consistent(store)


def test_a_key_is_its_bytes(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    keys = [
        b"a",
        b"A",
        b"a/",
        b"a//",
        "\xe9".encode(),
        "e\u0301".encode(),
        "\U0010ffff".encode(),
        b"a" * 1024,
    ]

    for number, key in enumerate(keys):
        put(store, bucket, key, backend, etag=str(number))

    assert [find(store, key).version.etag for key in keys] == [str(number) for number in range(len(keys))]


def test_an_empty_object_has_no_slices(store: Store) -> None:
    put(store, make_bucket(store), KEY)

    stored = find(store)

    assert (stored.version.size_bytes, list(stored.slices), stored.has_more_slices) == (0, [], False)
    assert_consistent(store)


def test_an_object_of_many_blobs_reads_back_in_order_and_in_pages(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    blobs = [new_blob(backend, size_bytes=10 + number) for number in range(70)]
    store.write(partial(publish, new=new_version(bucket, KEY, *blobs)))

    first = find(store)
    rest = store.read(
        partial(
            versions.read_slices,
            version_seq=first.version.version_seq,
            after_ordinal=first.slices[-1].segment.ordinal,
        )
    )
    at = store.read(partial(versions.find_ordinal_at, version_seq=first.version.version_seq, offset=10 + 11))

    assert first.has_more_slices
    slices = [*first.slices, *rest]
    assert [each.blob.blob_id for each in slices] == [each.blob.blob_id for each in blobs]
    assert slices[-1].segment.start_offset + slices[-1].segment.length == first.version.size_bytes
    assert at == 2
    assert_consistent(store)


def test_versions_are_ordered_by_their_sequence_not_by_the_clock(store: Store, clock: SetClock) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    set_versioning(store, bucket, Versioning.ENABLED)
    first = put(store, bucket, KEY, backend, etag="first")

    clock.move(-3600)
    second = put(store, bucket, KEY, backend, etag="second")

    assert second.version_seq > first.version_seq
    assert second.created_at_us < first.created_at_us
    assert find(store).version.etag == "second"
    assert_consistent(store)


def test_an_overwrite_retires_what_was_there(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    first = put(store, bucket, KEY, backend, size_bytes=100)

    second = put(store, bucket, KEY, backend, size_bytes=30, etag="new")

    assert second.replaced_version_seq == first.version_seq
    assert find(store).version.etag == "new"
    assert totals_of(store, quota.bucket_subject(bucket.bucket_id)).used_bytes == 30
    assert_consistent(store)


def test_a_thousand_overwrites_without_a_reaper_leave_one_version_and_a_bucket_that_can_go(
    store: Store,
) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    for number in range(1000):
        put(store, bucket, KEY, backend, etag=str(number))

    live = run_sql(store, "SELECT etag FROM object_versions WHERE bucket_id IS NOT NULL")
    waiting = run_sql(store, "SELECT COUNT(*) FROM retired")

    assert live == [("999",)]
    assert waiting == [(999,)]
    assert_consistent(store)


def test_a_bucket_that_is_not_there_takes_nothing(store: Store) -> None:
    bucket = make_bucket(store)

    refused(store, replace(new_version(bucket, KEY), bucket=BucketName("nowhere")), NoSuchBucket)


# --- conditions ---


def test_if_none_match_refuses_a_key_that_is_there(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    only_new = partial(new_version, bucket, KEY, if_none_match=True)

    store.write(partial(publish, new=only_new(new_blob(backend))))

    refused(store, only_new(new_blob(backend)), PreconditionFailed)


def test_if_match_asks_for_the_etag_that_is_there(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    expecting = partial(new_version, bucket, KEY, if_match_etag="one")
    refused(store, expecting(new_blob(backend)), NoSuchKey)
    put(store, bucket, KEY, backend, etag="other")
    refused(store, expecting(new_blob(backend)), PreconditionFailed)
    put(store, bucket, KEY, backend, etag="one")

    store.write(partial(publish, new=expecting(new_blob(backend), etag="two")))

    assert find(store).version.etag == "two"


def test_if_match_of_any_etag_asks_that_something_is_there(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    over_any = partial(new_version, bucket, KEY, if_match_etag=ANY_ETAG)
    refused(store, over_any(new_blob(backend)), PreconditionFailed)
    put(store, bucket, KEY, backend, etag="one")

    store.write(partial(publish, new=over_any(new_blob(backend), etag="two")))

    assert find(store).version.etag == "two"


# --- places ---


@pytest.mark.parametrize("state", [VolumeState.COMPACTING, VolumeState.GONE])
def test_a_volume_that_is_compacting_or_gone_is_refused(store: Store, state: VolumeState) -> None:
    bucket, backend = make_bucket(store), make_backend(store)
    volume_id = make_volume(store, backend)
    key = volume_key(volume_id, 8192)
    step = partial(volumes.set_volume_state, volume_id=volume_id, from_state=VolumeState.OPEN, to_state=state)
    assert store.write(step)

    with pytest.raises(PlacementRefused) as caught:
        store.write(partial(publish, new=new_version(bucket, KEY, new_blob(backend, storage_key=key))))

    assert caught.value.storage_keys == (key,)
    assert_consistent(store)


def test_a_closed_volume_still_takes_what_was_appended_before(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store)
    volume_id = make_volume(store, backend)
    store.write(partial(volumes.volume_closed, volume_id=volume_id, size_bytes=9000))

    blob = new_blob(backend, storage_key=volume_key(volume_id, 8192))
    store.write(partial(publish, new=new_version(bucket, KEY, blob)))

    assert find(store).slices[0].locations[0].storage_key == volume_key(volume_id, 8192)


def test_a_volume_nobody_knows_is_refused(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store)

    refused(
        store,
        new_version(bucket, KEY, new_blob(backend, storage_key="0" * 32 + ":0000002000")),
        PlacementRefused,
    )
    refused(store, new_version(bucket, KEY, new_blob(backend, storage_key="no volume key")), PlacementRefused)


@pytest.mark.parametrize("state", [each for each in BackendState if each is not BackendState.ACTIVE])
def test_only_an_active_backend_takes_pieces(store: Store, state: BackendState) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    store.write(partial(backends.set_state, backend_id=backend, state=state, reason="test"))

    refused(store, new_version(bucket, KEY, new_blob(backend)), PlacementRefused)


def test_every_refused_place_is_named(store: Store) -> None:
    bucket = make_bucket(store)
    near, far = make_backend(store, kind="memory"), make_backend(store, "far", kind="memory")
    store.write(partial(backends.set_state, backend_id=far, state=BackendState.DRAINING, reason=None))
    blobs = [new_blob(near, far), new_blob(near, far)]

    with pytest.raises(PlacementRefused) as caught:
        store.write(partial(publish, new=new_version(bucket, KEY, *blobs)))

    assert caught.value.storage_keys == tuple(each.locations[1].storage_key for each in blobs)


def test_a_storage_key_is_used_once_ever(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    once = new_blob(backend, storage_key="pieces/1")
    store.write(partial(publish, new=new_version(bucket, KEY, once)))

    refused(store, new_version(bucket, b"other", new_blob(backend, storage_key="pieces/1")), Exception)


# --- room ---


def test_a_bucket_takes_up_to_its_quota_and_no_byte_more(store: Store) -> None:
    bucket, backend = make_bucket(store, quota_bytes=150), make_backend(store, kind="memory")
    put(store, bucket, b"one", backend, size_bytes=100)

    refused(store, new_version(bucket, b"two", new_blob(backend, size_bytes=51)), BucketQuotaExceeded)
    put(store, bucket, b"two", backend, size_bytes=50)

    assert totals_of(store, quota.bucket_subject(bucket.bucket_id)).used_bytes == 150
    assert_consistent(store)


def test_an_overwrite_needs_only_the_difference(store: Store) -> None:
    bucket, backend = make_bucket(store, quota_bytes=100), make_backend(store, kind="memory")
    put(store, bucket, KEY, backend, size_bytes=100)

    put(store, bucket, KEY, backend, size_bytes=100)

    assert totals_of(store, quota.bucket_subject(bucket.bucket_id)).used_bytes == 100


def test_a_backend_takes_up_to_its_quota_of_occupied_bytes(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory", quota_bytes=219)
    put(store, bucket, b"one", backend, size_bytes=100)

    with pytest.raises(BackendQuotaExceeded) as caught:
        put(store, bucket, b"two", backend, size_bytes=100)

    assert (caught.value.backend_id, caught.value.wanted_bytes) == (backend, 110)
    assert totals_of(store, quota.backend_subject(backend)).used_bytes == 110
    assert_consistent(store)


# --- intents ---


def announce(store: Store, backend_id: int, storage_key: str) -> bytes:
    intent = intents.Intent(
        intent_id=storage_key.encode().ljust(16, b"-"), backend_id=backend_id, storage_key=storage_key
    )
    store.write(partial(intents.announce, instance_id=b"instance-1------", intents=[intent]))
    return intent.intent_id


def test_publishing_fulfils_its_intents(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="s3")
    intent_id = announce(store, backend, "piece")

    blob = new_blob(backend, storage_key="piece", intent_ids=[intent_id])
    store.write(partial(publish, new=new_version(bucket, KEY, blob)))

    assert store.read(intents.count) == 0


def test_an_intent_that_was_recovered_loses_the_write(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="s3")
    kept, lost = announce(store, backend, "kept"), announce(store, backend, "lost")
    store.write(partial(intents.forget, intent_id=lost))

    new = new_version(bucket, KEY, new_blob(backend, storage_key="kept", intent_ids=[kept, lost]))
    refused(store, new, IntentLost)

    assert store.read(intents.count) == 1


def test_an_intent_that_is_being_recovered_loses_the_write(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="s3")
    intent_id = announce(store, backend, "piece")
    claimed = store.write(partial(intents.claim_dead, process_id=b"p" * 16, dead_after_s=15.0, count_max=10))
    assert [each.intent_id for each in claimed] == [intent_id]

    new = new_version(bucket, KEY, new_blob(backend, storage_key="piece", intent_ids=[intent_id]))
    refused(store, new, IntentLost)


# --- shared blobs ---


def test_a_joined_blob_is_shared_not_copied(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    put(store, bucket, KEY, backend)
    source = find(store)

    store.write(partial(publish, new=new_version(bucket, b"copy", joined=[source.slices[0].blob])))

    assert find(store, b"copy").slices[0].blob == source.slices[0].blob
    assert totals_of(store, quota.backend_subject(backend)).used_bytes == 110
    assert totals_of(store, quota.bucket_subject(bucket.bucket_id)).used_bytes == 200
    assert_consistent(store)


def test_a_joined_blob_that_the_reaper_took_is_gone(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    put(store, bucket, KEY, backend)
    source = find(store)
    put(store, bucket, KEY)
    assert reap_all(store) == 1

    refused(store, new_version(bucket, b"copy", joined=[source.slices[0].blob]), BlobGone)


def test_the_first_bytes_of_a_joined_blob_are_not_the_whole_of_it(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    put(store, bucket, KEY, backend, size_bytes=100)
    blob = find(store).slices[0].blob
    whole = new_version(bucket, b"head", joined=[blob])
    head = Segment(ordinal=0, start_offset=0, blob_id=blob.blob_id, blob_offset=0, length=40)

    store.write(partial(publish, new=replace(whole, segments=[head], size_bytes=40)))
    stored = find(store, b"head")

    assert [(each.segment.length, each.blob.size_bytes) for each in stored.slices] == [(40, 100)]
    assert_consistent(store)


# --- locks ---


def lock(store: Store, version_seq: int, **columns: int | str) -> None:
    for column, value in columns.items():
        run_sql(
            store,
            f"UPDATE object_versions SET {column} = :value WHERE version_seq = :version_seq",
            {"value": value, "version_seq": version_seq},
        )


@pytest.mark.parametrize(
    "columns",
    [
        {"legal_hold": True},
        {"retention_mode": "COMPLIANCE", "retain_until_us": START_US + 1},
        {"retention_mode": "GOVERNANCE", "retain_until_us": START_US + 1},
    ],
)
def test_a_locked_version_is_not_displaced(store: Store, columns: dict[str, int | str]) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    locked = put(store, bucket, KEY, backend, etag="locked")
    lock(store, locked.version_seq, **columns)

    refused(store, new_version(bucket, KEY, new_blob(backend)), VersionLocked)

    assert find(store).version.etag == "locked"


def test_retention_ends_by_the_databases_clock(store: Store, clock: SetClock) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    locked = put(store, bucket, KEY, backend)
    lock(store, locked.version_seq, retention_mode="COMPLIANCE", retain_until_us=START_US + 1_000_000)
    refused(store, new_version(bucket, KEY, new_blob(backend)), VersionLocked)

    clock.move(1)
    put(store, bucket, KEY, backend, etag="after")

    assert find(store).version.etag == "after"


def test_a_locked_version_stays_under_newer_ones(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    set_versioning(store, bucket, Versioning.ENABLED)
    locked = put(store, bucket, KEY, backend)
    lock(store, locked.version_seq, legal_hold=True)

    put(store, bucket, KEY, backend, etag="newer")

    assert find(store).version.etag == "newer"
    assert run_sql(store, "SELECT COUNT(*) FROM object_versions WHERE state = 'live'") == [(2,)]


def test_every_image_of_a_version_tells_what_it_is_made_of(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    blob = new_blob(backend)
    before = len(journal_of(store))

    store.write(partial(publish, new=new_version(bucket, KEY, blob, etag="abc")))

    ((kind, image),) = journal_of(store, after_count=before)
    assert kind == "version"
    assert (image["key"], image["etag"], image["size"]) == (KEY.hex(), "abc", 100)
    assert image["blob"] == blob.blob.blob_id.hex()


def test_the_image_of_a_version_of_several_blobs_tells_its_segments(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    blobs = [new_blob(backend), new_blob(backend)]

    store.write(partial(publish, new=new_version(bucket, KEY, *blobs)))

    _, image = journal_of(store)[-1]
    assert image["segments"] == [[each.blob.blob_id.hex(), 0, 100, None] for each in blobs]


def test_a_key_without_versions_is_no_key(store: Store) -> None:
    make_bucket(store)

    with pytest.raises(NoSuchKey):
        find(store)
    with pytest.raises(NoSuchBucket):
        store.read(partial(versions.find_current, bucket="nowhere", key=KEY))
