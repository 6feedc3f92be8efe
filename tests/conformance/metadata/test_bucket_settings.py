"""Buckets as operators see and change them: what the configuration says is refused, and every change is guarded."""

import json
from functools import partial

import pytest

from engine.cors import CorsRule
from engine.errors import BucketNotEmpty, EtagMismatch, MalformedField, NoSuchBucket, OwnedByConfig
from engine.metadata import bucket_settings, generations, quota, usage
from engine.metadata.bucket_settings import BucketField, BucketSettings, SeenBucket
from engine.metadata.buckets import create_bucket
from engine.metadata.store import Store
from engine.names import BucketName
from engine.records import Copies, Origin, Sealing, Versioning
from engine.tags import Tag
from tests.support.metadata import make_account, make_backend, make_bucket, put, totals_of

ALL = frozenset(BucketField)
RULE = CorsRule(
    rule_id=None, origins=("https://a.example",), methods=("GET",), headers=(), exposed=(), max_age_s=5
)
SETTINGS = BucketSettings(
    versioning=Versioning.ENABLED,
    quota_bytes=500,
    scheme=Copies(count=2),
    seal=Sealing.ALL,
    tags=(Tag(key="team", value="blue"),),
    cors_rules=(RULE,),
)


def configure(store: Store, *entries: dict[str, object]) -> None:
    document = json.dumps({"buckets": list(entries)})
    store.write(
        partial(
            generations.commit_generation,
            document=document,
            file_digest=None,
            origin=Origin.CONFIG,
            author="file",
        )
    )


def make_configured(store: Store, name: str = "photos") -> None:
    account_id = make_account(store)
    store.write(partial(create_bucket, name=BucketName(name), account_id=account_id, origin=Origin.CONFIG))


def change(store: Store, fields: frozenset[BucketField] = ALL, *, etag: str = "") -> SeenBucket:
    unit = partial(bucket_settings.change_bucket, name="photos", settings=SETTINGS, fields=fields, etag=etag)
    return store.write(unit)


def see(store: Store, name: str = "photos") -> SeenBucket:
    return store.read(partial(bucket_settings.see_bucket, name=name))


def test_every_setting_can_be_changed_at_once(store: Store) -> None:
    made = make_bucket(store)

    changed = change(store)

    assert changed == see(store)
    bucket = changed.bucket
    told = BucketSettings(
        versioning=bucket.versioning,
        quota_bytes=bucket.quota_bytes,
        scheme=bucket.scheme,
        seal=bucket.seal,
        tags=changed.tags,
        cors_rules=changed.cors_rules,
    )
    assert told == SETTINGS
    assert changed.totals.limit_bytes == 500
    assert changed.etag != bucket_settings.etag_of(made)


def test_documents_are_replaced_or_taken_away_and_each_change_is_another_etag(store: Store) -> None:
    make_bucket(store)
    documents = frozenset({BucketField.TAGS, BucketField.CORS_RULES})
    unit = partial(bucket_settings.change_bucket, name="photos", fields=documents)
    put_ = store.write(partial(unit, settings=SETTINGS))
    same = store.write(partial(unit, settings=SETTINGS, etag=put_.etag))

    gone = store.write(partial(unit, settings=BucketSettings(), etag=same.etag))

    assert (put_.tags, put_.cors_rules, same.etag) == (SETTINGS.tags, (RULE,), put_.etag)
    assert (gone.tags, gone.cors_rules) == ((), ())
    assert gone.etag != put_.etag
    with pytest.raises(EtagMismatch):
        store.write(partial(unit, settings=SETTINGS, etag=put_.etag))


def test_what_is_not_named_stays(store: Store) -> None:
    make_bucket(store, quota_bytes=7)

    changed = change(store, frozenset({BucketField.SCHEME})).bucket

    assert (changed.scheme, changed.quota_bytes, changed.versioning) == (Copies(count=2), 7, Versioning.OFF)


def test_a_change_since_the_etag_was_read_refuses_the_second_one(store: Store) -> None:
    make_bucket(store)
    read = see(store).etag
    change(store, etag=read)

    with pytest.raises(EtagMismatch):
        change(store, frozenset({BucketField.SCHEME}), etag=read)
    with pytest.raises(EtagMismatch):
        store.write(partial(bucket_settings.delete_bucket, name="photos", etag=read))

    assert see(store).bucket.scheme == Copies(count=2)


def test_a_bucket_of_the_same_name_made_again_has_another_etag(store: Store) -> None:
    make_bucket(store)
    first = see(store).etag
    store.write(partial(bucket_settings.delete_bucket, name="photos"))
    make_bucket(store)

    assert see(store).etag != first


@pytest.mark.parametrize("field", [BucketField.QUOTA_BYTES, BucketField.SCHEME, BucketField.SEAL])
def test_what_the_configuration_says_is_refused_by_name(store: Store, field: BucketField) -> None:
    make_configured(store)
    configure(store, {"name": "photos", "versioning": "off"})

    with pytest.raises(OwnedByConfig, match=rf"buckets/photos.*{field.value}"):
        change(store, frozenset({field}))
    with pytest.raises(OwnedByConfig):
        store.write(partial(bucket_settings.delete_bucket, name="photos"))

    assert see(store).is_configured


def test_versioning_is_the_configurations_only_where_it_sets_it(store: Store) -> None:
    make_configured(store)
    versioning = frozenset({BucketField.VERSIONING})
    configure(store, {"name": "photos", "versioning": "suspended"})

    with pytest.raises(OwnedByConfig):
        change(store, versioning)
    configure(store, {"name": "photos", "versioning": "off"})

    assert change(store, versioning).bucket.versioning is Versioning.ENABLED


def test_a_bucket_the_configuration_names_no_more_can_be_changed_and_deleted(store: Store) -> None:
    make_configured(store)
    configure(store, {"name": "photos"})
    configure(store)

    assert change(store).bucket.quota_bytes == 500
    store.write(partial(bucket_settings.delete_bucket, name="photos"))

    with pytest.raises(NoSuchBucket):
        see(store)


def test_a_name_behind_a_reference_may_be_any(store: Store) -> None:
    make_configured(store)
    make_bucket(store, "made-by-a-call")
    configure(store, {"name": "${env:BUCKET}"})

    assert see(store).is_configured
    assert not see(store, "made-by-a-call").is_configured


def test_versions_are_never_switched_off_again(store: Store) -> None:
    make_bucket(store)
    change(store)
    off = partial(
        bucket_settings.change_bucket,
        name="photos",
        settings=BucketSettings(),
        fields=frozenset({BucketField.VERSIONING}),
    )

    with pytest.raises(MalformedField):
        store.write(off)


def test_a_bucket_that_holds_a_version_stays(store: Store) -> None:
    bucket = make_bucket(store)
    put(store, bucket, b"one", make_backend(store, kind="memory"))

    with pytest.raises(BucketNotEmpty):
        store.write(partial(bucket_settings.delete_bucket, name="photos"))


def test_accounts_of_bytes_are_listed_in_pages_and_summed_up(store: Store) -> None:
    near, far = (make_backend(store, name, kind="memory", quota_bytes=1000) for name in ("near", "far"))
    photos, films = make_bucket(store, "photos", quota_bytes=300), make_bucket(store, "films")
    put(store, photos, b"one", near, far)
    put(store, films, b"two", near)

    listed: list[usage.SeenQuota] = []
    while page := store.read(
        partial(usage.list_quotas, after=listed[-1].name if listed else "", count_max=1)
    ):
        listed += page
    summed = store.read(usage.read_usage)

    assert [each.name for each in listed] == [
        "backends/far",
        "backends/near",
        "buckets/films",
        "buckets/photos",
    ]
    assert listed == store.read(partial(usage.list_quotas, after="", count_max=100))
    assert listed[1].totals == totals_of(store, quota.backend_subject(near))
    assert [each.is_configured for each in listed] == [True, True, False, False]
    assert (summed.backend_count, summed.bucket_count) == (2, 2)
    assert (summed.backends.limit_bytes, summed.buckets.limit_bytes) == (2000, None)
    assert summed.backends.used_bytes == sum(each.totals.used_bytes for each in listed[:2])
    assert summed.buckets.used_bytes == sum(each.totals.used_bytes for each in listed[2:]) == 200
    assert (summed.backends.object_count, summed.buckets.object_count) == (3, 2)


def test_nothing_adds_up_to_nothing(store: Store) -> None:
    summed = store.read(usage.read_usage)

    assert (summed.backend_count, summed.bucket_count) == (0, 0)
    assert summed.buckets.used_bytes == summed.backends.used_bytes == 0
    assert store.read(partial(usage.list_quotas, after="", count_max=10)) == []
