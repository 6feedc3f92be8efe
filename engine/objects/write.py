"""PutObject: the bytes stand, synced and verified, before one transaction makes them the key's current version."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from engine.errors import BucketQuotaExceeded, NoSuchKey, ObjectTooLarge, PreconditionFailed
from engine.metadata.buckets import find_bucket, look_up_bucket
from engine.metadata.publish import Publication
from engine.metadata.quota import bucket_subject, read_quota
from engine.metadata.store import Store, Tx
from engine.metadata.versions import find_current
from engine.names import BucketName, ObjectKey
from engine.objects.blob_writer import BlobOrder
from engine.objects.body_storing import BodyStore, StoredBody
from engine.objects.cards import CARD_BYTES_MAX, CardHint
from engine.objects.placing import Placer
from engine.objects.storage_policy import StoragePolicy
from engine.placement.replication import quorum_count
from engine.records import ANY_ETAG, Bucket, MadeBy, NewBlob, NewVersion, ObjectHeaders, Published, Versioning
from engine.streams import BodySource, Checksum, OpenEndedBody
from engine.units import PUT_SIZE_MAX_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class PutOrder:
    """An object to write. The conditions are those of `engine.records.NewVersion`.

    `found` is its bucket, where the caller has just read it and this shall not be done again.
    """

    bucket: BucketName
    key: ObjectKey
    account_id: int
    headers: ObjectHeaders
    if_none_match: bool = False
    if_match_etag: str | None = None
    made_by: MadeBy = MadeBy.PUT
    found: Bucket | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An object that is durable and visible. `etag` stands without quotes."""

    version: Published
    etag: str
    size_bytes: int
    checksums: Sequence[Checksum]


class Writer:
    """Writes objects. Safe for many threads."""

    def __init__(self, *, store: Store, policy: StoragePolicy, placer: Placer, bodies: BodyStore) -> None:
        self._store = store
        self._policy = policy
        self._placer = placer
        self._bodies = bodies

    def put(self, order: PutOrder, body: BodySource) -> Written:
        """Store the body and make it the current version of its key.

        Conditions and room are checked before the first byte of the body is read, so a caller that sends
        `100 Continue` at the first read need not ask `check_room`. Raises NoSuchBucket, PreconditionFailed,
        NoSuchKey (nothing is there to match), ConcurrentWrite, ObjectTooLarge, BucketQuotaExceeded, NoSpaceAnywhere,
        BackendsUnavailable, BelowWriteQuorum, DigestMismatch, BodySizeMismatch, DatabaseUnavailable, OutcomeUnknown
        and what the body raises.
        """
        check_size(body.size_bytes)
        blob_order = self._prepare(order, body.size_bytes)
        stored, published = self._bodies.store(body, blob_order, partial(_publication, order))
        return _written(stored, published)

    def put_open_ended(self, order: PutOrder, body: OpenEndedBody) -> Written:
        """As `put`. Room is looked for before the first byte for what is certain; the commit decides."""
        check_size(body.certain_bytes)
        blob_order = self._prepare(order, body.certain_bytes)
        stored, published = self._bodies.store_open_ended(body, blob_order, partial(_publication, order))
        return _written(stored, published)

    def _prepare(self, order: PutOrder, size_bytes: int) -> BlobOrder:
        bucket = self._check_before(order, size_bytes)
        self._check_places(bucket, size_bytes)
        return BlobOrder(
            scheme=self._policy.scheme_of(bucket),
            is_sealed=self._policy.is_sealed(bucket),
            hint=CardHint(bucket=order.bucket, key=order.key),
        )

    def check_room(self, bucket_name: BucketName, size_bytes: int) -> None:
        """What a body of that size would meet now, for a key that is not there yet.

        Raises NoSuchBucket, BucketQuotaExceeded, NoSpaceAnywhere, BackendsUnavailable, ObjectTooLarge.
        """
        check_size(size_bytes)
        bucket = self._store.read(lambda tx: find_bucket_with_room(tx, bucket_name, size_bytes))
        self._check_places(bucket, size_bytes)

    def _check_before(self, order: PutOrder, size_bytes: int) -> Bucket:
        """What can be refused before the body is read; `publish` asks again."""
        if not order.if_none_match and order.if_match_etag is None:
            bucket = order.found or look_up_bucket(self._store, order.bucket)
            if bucket.quota_bytes is None:
                return bucket
        return self._store.read(lambda tx: _check_before(tx, order, size_bytes))

    def _check_places(self, bucket: Bucket, size_bytes: int) -> None:
        if size_bytes == 0:
            return
        self._placer.check_room(
            count=quorum_count(self._policy.scheme_of(bucket), self._policy.write_quorum),
            payload_bytes=min(size_bytes, self._policy.chunk_bytes),
            card_bytes=CARD_BYTES_MAX,
        )


def check_size(size_bytes: int) -> None:
    """Raise ObjectTooLarge for a body that is more than one PUT or part may carry."""
    if size_bytes > PUT_SIZE_MAX_BYTES:
        raise ObjectTooLarge(size_bytes=size_bytes, max_bytes=PUT_SIZE_MAX_BYTES)


def find_bucket_with_room(
    tx: Tx, name: BucketName, size_bytes: int, *, replaced_key: ObjectKey | None = None
) -> Bucket:
    """The bucket, if its quota has room for that many bytes now; the commit decides. Raises NoSuchBucket too.

    What an unversioned bucket holds under `replaced_key` makes room for its successor.
    """
    bucket = find_bucket(tx, name)
    if bucket.quota_bytes is None:
        return bucket
    totals = read_quota(tx, bucket_subject(bucket.bucket_id))
    free_bytes = 0 if totals is None else bucket.quota_bytes - totals.used_bytes - totals.reserved_bytes
    if size_bytes > free_bytes and replaced_key is not None and bucket.versioning is Versioning.OFF:
        free_bytes += _current_size(tx, name, replaced_key)
    if size_bytes > free_bytes:
        raise BucketQuotaExceeded(bucket=name, wanted_bytes=size_bytes)
    return bucket


def _current_size(tx: Tx, bucket: BucketName, key: ObjectKey) -> int:
    try:
        return find_current(tx, bucket, key, count_max=1).version.size_bytes
    except NoSuchKey:
        return 0


def _check_before(tx: Tx, order: PutOrder, size_bytes: int) -> Bucket:
    if order.if_none_match or order.if_match_etag is not None:
        _check_conditions(tx, order)
    return find_bucket_with_room(tx, order.bucket, size_bytes, replaced_key=order.key)


def _check_conditions(tx: Tx, order: PutOrder) -> None:
    """Spare the transfer where a condition fails already; `publish` asks again."""
    try:
        etag = find_current(tx, order.bucket, order.key, count_max=1).version.etag
    except NoSuchKey:
        etag = None
    if order.if_none_match and etag is not None:
        raise PreconditionFailed(condition="If-None-Match")
    if order.if_match_etag == ANY_ETAG:
        if etag is None:
            raise PreconditionFailed(condition="If-Match")
    elif order.if_match_etag is not None and etag != order.if_match_etag:
        if etag is None:
            raise NoSuchKey(bucket=order.bucket, key=order.key)
        raise PreconditionFailed(condition="If-Match")


def _publication(order: PutOrder, stored: StoredBody, blobs: Sequence[NewBlob]) -> Publication:
    check_size(stored.size_bytes)
    return Publication(_new_version(order, stored, blobs))


def _written(stored: StoredBody, published: Published) -> Written:
    return Written(
        version=published,
        etag=stored.md5.hex(),
        size_bytes=stored.size_bytes,
        checksums=stored.checksums,
    )


def _new_version(order: PutOrder, stored: StoredBody, blobs: Sequence[NewBlob]) -> NewVersion:
    is_sealed = any(each.blob.is_sealed for each in blobs)
    return NewVersion(
        bucket=order.bucket,
        key=order.key,
        account_id=order.account_id,
        size_bytes=stored.size_bytes,
        etag=stored.md5.hex(),
        headers=order.headers,
        checksums=stored.checksums,
        segments=stored.segments,
        blobs=blobs,
        sse_kind="AES256" if is_sealed else None,
        if_none_match=order.if_none_match,
        if_match_etag=order.if_match_etag,
        made_by=order.made_by,
    )
