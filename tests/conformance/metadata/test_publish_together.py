"""Versions published in one transaction: each as it would be alone; what is refused is refused of that one."""

from dataclasses import replace
from functools import partial

import pytest

from engine.errors import (
    BlobGone,
    BucketQuotaExceeded,
    IntentLost,
    NoSuchBucket,
    NoSuchKey,
    PlacementRefused,
    PreconditionFailed,
    VersionLocked,
)
from engine.metadata import quota
from engine.metadata.publish import Publication, publish, publish_together
from engine.metadata.store import RunAgain, Store, Tx
from engine.metadata.versions import find_current
from engine.names import ObjectKey, bucket_name
from engine.records import Bucket, NewVersion, Published, Versioning
from tests.support.metadata import (
    assert_consistent,
    journal_of,
    make_backend,
    make_bucket,
    new_blob,
    new_version,
    put,
    run_sql,
    set_versioning,
    totals_of,
)

COUNT = 21
"""More than one statement inserts."""


@pytest.fixture
def bucket(store: Store) -> Bucket:
    return make_bucket(store)


@pytest.fixture
def backend(store: Store) -> int:
    return make_backend(store, kind="memory")


def together(store: Store, *news: NewVersion) -> list[Published | Exception]:
    return store.write(partial(publish_together, news=news))


def etags_of(store: Store, bucket: Bucket, *keys: bytes) -> list[str]:
    found = [store.read(partial(find_current, bucket=bucket.name, key=ObjectKey(key))) for key in keys]
    return [each.version.etag for each in found]


def test_each_is_the_current_version_of_its_key(store: Store, bucket: Bucket, backend: int) -> None:
    keys = [b"key-%d" % number for number in range(COUNT)]
    before = [put(store, bucket, key, backend, size_bytes=100) for key in keys[:5]]
    news = [
        new_version(bucket, key, new_blob(backend, size_bytes=number + 1), etag=f"{number:032x}")
        for number, key in enumerate(keys)
    ]

    outcomes = together(store, *news)

    assert etags_of(store, bucket, *keys) == [f"{number:032x}" for number in range(COUNT)]
    published = [each for each in outcomes if isinstance(each, Published)]
    assert [each.replaced_version_seq for each in published] == [
        *(each.version_seq for each in before),
        *([None] * (COUNT - 5)),
    ]
    images = [image for kind, image in journal_of(store) if kind == "version"]
    assert [(image["seq"], image["etag"]) for image in images[-COUNT:]] == [
        (each.version_seq, f"{number:032x}") for number, each in enumerate(published)
    ]
    totals = totals_of(store, quota.bucket_subject(bucket.bucket_id))
    assert (totals.used_bytes, totals.object_count) == (COUNT * (COUNT + 1) // 2, COUNT)
    assert_consistent(store)


def test_several_buckets_of_every_versioning(store: Store, bucket: Bucket, backend: int) -> None:
    suspended, enabled = make_bucket(store, "suspended"), make_bucket(store, "enabled")
    set_versioning(store, enabled, Versioning.ENABLED)
    set_versioning(store, suspended, Versioning.ENABLED)
    put(store, suspended, b"key", backend)
    first = put(store, enabled, b"key", backend)
    set_versioning(store, suspended, Versioning.SUSPENDED)
    null = put(store, suspended, b"null", backend)
    set_versioning(store, suspended, Versioning.ENABLED)
    put(store, suspended, b"null", backend)
    set_versioning(store, suspended, Versioning.SUSPENDED)

    outcomes = together(
        store,
        new_version(bucket, b"key", new_blob(backend), new_blob(backend)),
        new_version(suspended, b"key", new_blob(backend)),
        new_version(suspended, b"null"),
        new_version(enabled, b"key", new_blob(backend)),
    )

    published = [each for each in outcomes if isinstance(each, Published)]
    assert [each.replaced_version_seq for each in published] == [None, None, null.version_seq, None]
    rows = run_sql(
        store,
        "SELECT version_id FROM object_versions WHERE bucket_id = :bucket_id AND is_current",
        {"bucket_id": enabled.bucket_id},
    )
    assert rows == [(published[3].version_id,)] != [(first.version_id,)]
    ((count,),) = run_sql(store, "SELECT COUNT(*) FROM object_segments")
    assert count == 2
    assert_consistent(store)


def test_what_is_refused_of_one_is_its_own(store: Store, bucket: Bucket, backend: int) -> None:
    away, held = make_backend(store, "away", kind="memory"), make_bucket(store, "held")
    run_sql(store, "UPDATE backend_states SET state = 'draining' WHERE backend_id = :id", {"id": away})
    put(store, bucket, b"there", backend, etag="a" * 32)
    locked = put(store, held, b"locked", backend)
    run_sql(
        store,
        "UPDATE object_versions SET legal_hold = NOT FALSE WHERE version_seq = :seq",
        {"seq": locked.version_seq},
    )
    gone = new_blob(backend).blob
    news = [
        new_version(bucket, b"first", new_blob(backend)),
        replace(new_version(bucket, b"nowhere"), bucket=bucket_name("nowhere")),
        replace(new_version(bucket, b"another's"), account_id=bucket.account_id + 1),
        new_version(bucket, b"there", new_blob(backend), if_none_match=True),
        new_version(bucket, b"missing", new_blob(backend), if_match_etag="b" * 32),
        new_version(bucket, b"drained", new_blob(away)),
        new_version(bucket, b"joined", joined=[gone]),
        new_version(held, b"locked", new_blob(backend)),
        new_version(bucket, b"last", new_blob(backend)),
    ]

    outcomes = together(store, *news)

    # Who does not wait cannot tell a bucket that is gone from one that is being changed, and asks again alone.
    assert type(outcomes[1]) in (NoSuchBucket, RunAgain)
    assert [type(each) for each in outcomes[:1] + outcomes[2:]] == [
        Published,
        NoSuchBucket,
        PreconditionFailed,
        NoSuchKey,
        PlacementRefused,
        BlobGone,
        VersionLocked,
        Published,
    ]
    refused = outcomes[5]
    assert isinstance(refused, PlacementRefused)
    assert refused.storage_keys == (news[5].blobs[0].locations[0].storage_key,)
    assert etags_of(store, bucket, b"first", b"there", b"last") == ["0" * 32, "a" * 32, "0" * 32]
    ((count,),) = run_sql(store, "SELECT COUNT(*) FROM blobs")
    assert count == 4
    assert_consistent(store)


def test_what_is_found_out_too_late_undoes_all(store: Store, backend: int) -> None:
    small = make_bucket(store, "small", quota_bytes=150)
    here = make_bucket(store)
    news = [
        new_version(here, b"key", new_blob(backend)),
        new_version(small, b"one", new_blob(backend, size_bytes=100)),
        new_version(small, b"two", new_blob(backend, size_bytes=100)),
    ]

    with pytest.raises(BucketQuotaExceeded) as caught:
        together(store, *news)

    assert caught.value.bucket == "small"
    with pytest.raises(IntentLost):
        together(store, news[0], new_version(small, b"one", new_blob(backend, intent_ids=[b"i" * 16])))
    ((count,),) = run_sql(store, "SELECT COUNT(*) FROM object_versions")
    assert count == 0
    assert_consistent(store)


def test_alone_it_is_a_unit_like_another(store: Store, bucket: Bucket, backend: int) -> None:
    unit = Publication(new_version(bucket, b"key", new_blob(backend), if_none_match=True))

    published = store.write(unit)

    assert unit.subject == ("photos", b"key")
    assert published.replaced_version_seq is None
    with pytest.raises(PreconditionFailed):
        store.write(Publication(new_version(bucket, b"key", if_none_match=True)))


def test_many_statements_asked_at_once_answer_together(store: Store, bucket: Bucket) -> None:
    def unit(tx: Tx) -> None:
        versions = [
            {"version_seq": tx.row("find_for_write", {"bucket": bucket.name, "object_key": key})[12]}
            for key in (b"a", b"b", b"c")
        ]
        asked = tx.ask_many("retire_version", [*versions, {"version_seq": 10**6}])
        assert asked.count() == 3
        assert tx.ask_many("retire_version", versions).count() == 0
        assert tx.ask_many("retire_version", []).count() == 0
        assert tx.ask_many("find_bucket", [{"name": bucket.name}, {"name": "none"}]).row()[1] == bucket.name
        assert tx.ask_many("find_bucket", [{"name": "none"}]).row_or_none() is None
        assert len(tx.ask_many("find_bucket", [{"name": bucket.name}] * 3).rows()) == 3

    for key in (b"a", b"b", b"c"):
        store.write(partial(publish, new=new_version(bucket, key)))
    store.write(unit)
