"""Settings of buckets as operators change them, within what the configuration leaves to them."""

from dataclasses import dataclass, replace
from enum import Enum

from engine.cors import CorsRule, parse_rules, write_rules
from engine.errors import EtagMismatch, MalformedField, NoSuchBucket
from engine.metadata import buckets, quota
from engine.metadata.bucket_documents import delete_document, find_document, put_document
from engine.metadata.configured import Configured, read_configured, refuse_configured
from engine.metadata.quota import QuotaTotals
from engine.metadata.store import Tx
from engine.names import BucketName
from engine.records import Bucket, DocumentKind, Origin, Scheme, Sealing, Versioning
from engine.tags import Tags, parse_tags, write_tags


class BucketField(Enum):
    """What can be changed; the value is the field's name in masks and in the configuration."""

    VERSIONING = "versioning"
    QUOTA_BYTES = "quota_bytes"
    SCHEME = "scheme"
    SEAL = "seal"
    TAGS = "tags"
    CORS_RULES = "cors_rules"


_DOCUMENTS = frozenset({BucketField.TAGS, BucketField.CORS_RULES})
"""What clients set as well, and no configuration names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketSettings:
    """What a bucket may be told. Null: the deployment's default, and no limit. Tags and rules are checked ones."""

    versioning: Versioning = Versioning.OFF
    quota_bytes: int | None = None
    scheme: Scheme | None = None
    seal: Sealing | None = None
    tags: Tags = ()
    cors_rules: tuple[CorsRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenBucket:
    """A bucket with what is in it, and whether the running configuration names it. Lists leave its documents out."""

    bucket: Bucket
    totals: QuotaTotals
    is_configured: bool
    tags: Tags = ()
    cors_rules: tuple[CorsRule, ...] = ()

    @property
    def etag(self) -> str:
        return etag_of(self.bucket)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnBucket:
    """A bucket that long work is about: its name may become another one's."""

    name: BucketName
    bucket_id: int

    def require(self, tx: Tx) -> None:
        """Raises NoSuchBucket when it is gone, whatever has its name now."""
        if buckets.find_bucket(tx, self.name).bucket_id != self.bucket_id:
            raise NoSuchBucket(bucket=self.name)


def etag_of(bucket: Bucket) -> str:
    """Another one after every change, and for every bucket of the same name."""
    return f"{bucket.bucket_id}-{bucket.revision}"


def resource_name(bucket: str) -> str:
    return f"buckets/{bucket}"


def see_bucket(tx: Tx, name: str) -> SeenBucket:
    """Raises NoSuchBucket."""
    return _see(tx, buckets.find_bucket(tx, name), read_configured(tx))


def see_buckets(tx: Tx, *, account_id: int | None, after: str, count_max: int) -> list[SeenBucket]:
    """Buckets of an account, or of all, behind a name."""
    configured = read_configured(tx)
    page = buckets.list_buckets(tx, account_id=account_id, after=after, count_max=count_max)
    totals = quota.read_quotas(tx, [quota.bucket_subject(bucket.bucket_id) for bucket in page])
    return [_seen(bucket, found, configured) for bucket, found in zip(page, totals, strict=True)]


def make_bucket(tx: Tx, *, name: BucketName, account_id: int, settings: BucketSettings) -> SeenBucket:
    """Raises BucketExists."""
    buckets.create_bucket(
        tx,
        name=name,
        account_id=account_id,
        origin=Origin.API,
        scheme=settings.scheme,
        seal=settings.seal,
        quota_bytes=settings.quota_bytes,
        versioning=settings.versioning,
    )
    _put_documents(tx, name, settings, _DOCUMENTS)
    return _see(tx, buckets.find_bucket(tx, name), read_configured(tx))


def change_bucket(
    tx: Tx, *, name: str, settings: BucketSettings, fields: frozenset[BucketField], etag: str = ""
) -> SeenBucket:
    """Set the fields that are named. An empty etag asks for nothing.

    Raises NoSuchBucket, EtagMismatch, OwnedByConfig, and MalformedField for a bucket that shall forget its versions.
    """
    bucket, configured = look_for_change(tx, name, etag)
    for field in sorted(fields - _DOCUMENTS, key=lambda each: each.value):
        is_said = (
            configured.sets_versioning(bucket)
            if field is BucketField.VERSIONING
            else configured.names_bucket(bucket)
        )
        refuse_configured(is_said, name=resource_name(name), what=field.value)
    if BucketField.VERSIONING in fields:
        _set_versioning(tx, bucket, settings.versioning)
    buckets.update_settings(
        tx,
        bucket,
        scheme=settings.scheme if BucketField.SCHEME in fields else bucket.scheme,
        seal=settings.seal if BucketField.SEAL in fields else bucket.seal,
        quota_bytes=settings.quota_bytes if BucketField.QUOTA_BYTES in fields else bucket.quota_bytes,
    )
    _put_documents(tx, name, settings, fields)
    return _see(tx, buckets.find_bucket(tx, name), configured)


def delete_bucket(tx: Tx, *, name: str, etag: str = "") -> None:
    """Raises NoSuchBucket, EtagMismatch, OwnedByConfig, BucketNotEmpty."""
    refuse_to_delete(tx, name=name, etag=etag)
    buckets.delete_bucket(tx, name)


def refuse_to_delete(tx: Tx, *, name: str, etag: str = "") -> Bucket:
    """The bucket, if it may go once it is empty. Raises NoSuchBucket, EtagMismatch, OwnedByConfig."""
    bucket, configured = look_for_change(tx, name, etag)
    refuse_configured(configured.names_bucket(bucket), name=resource_name(name), what="its deletion")
    return bucket


def look_for_change(tx: Tx, name: str, etag: str) -> tuple[Bucket, Configured]:
    """The bucket, which nobody else changes before the commit. Raises NoSuchBucket, EtagMismatch."""
    tx.lock("lock_bucket_for_change", {"bucket": name})
    bucket = buckets.find_bucket(tx, name)
    if etag not in ("", etag_of(bucket)):
        raise EtagMismatch(name=resource_name(name))
    return bucket, read_configured(tx)


def _set_versioning(tx: Tx, bucket: Bucket, versioning: Versioning) -> None:
    if versioning is Versioning.OFF and bucket.versioning is not Versioning.OFF:
        raise MalformedField("bucket.versioning", "a bucket that keeps versions can only suspend that")
    buckets.set_versioning(tx, bucket.name, versioning)


def _put_documents(tx: Tx, name: str, settings: BucketSettings, fields: frozenset[BucketField]) -> None:
    """Empty ones are taken away: clients are told then that there are none."""
    wanted = {
        BucketField.TAGS: (DocumentKind.TAGGING, settings.tags and write_tags(settings.tags)),
        BucketField.CORS_RULES: (DocumentKind.CORS, settings.cors_rules and write_rules(settings.cors_rules)),
    }
    for field, (kind, document) in wanted.items():
        if field not in fields:
            continue
        if document:
            put_document(tx, name, kind, document)
        else:
            delete_document(tx, name, kind)


def _see(tx: Tx, bucket: Bucket, configured: Configured) -> SeenBucket:
    seen = _seen(bucket, quota.read_quota(tx, quota.bucket_subject(bucket.bucket_id)), configured)
    tags = find_document(tx, bucket.bucket_id, DocumentKind.TAGGING)
    rules = find_document(tx, bucket.bucket_id, DocumentKind.CORS)
    return replace(
        seen,
        tags=() if tags is None else parse_tags(tags),
        cors_rules=() if rules is None else parse_rules(rules),
    )


def _seen(bucket: Bucket, totals: QuotaTotals | None, configured: Configured) -> SeenBucket:
    assert totals is not None, "every bucket has an account of bytes"
    return SeenBucket(bucket=bucket, totals=totals, is_configured=configured.names_bucket(bucket))
