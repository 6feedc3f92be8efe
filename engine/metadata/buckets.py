"""Rows of buckets."""

from functools import lru_cache
from typing import cast

from engine.errors import BucketExists, BucketNotEmpty, NoSuchBucket
from engine.metadata import journal, quota
from engine.metadata.images import BUCKET, BUCKET_DELETED
from engine.metadata.store import Params, Row, Store, Tx
from engine.names import BucketName
from engine.records import Bucket, Origin, Scheme, Sealing, Versioning, read_scheme

REMEMBERED_COUNT = 256
BUCKET_COLUMN_COUNT = 12
"""Columns of a bucket in `find_bucket` and its like."""

OPEN_UPLOAD_COUNT_MAX = 500
"""Open uploads that go with a bucket in one transaction; a bucket with more is emptied by aborting them first."""


def create_bucket(
    tx: Tx,
    *,
    name: BucketName,
    account_id: int,
    origin: Origin,
    scheme: Scheme | None = None,
    seal: Sealing | None = None,
    quota_bytes: int | None = None,
    versioning: Versioning = Versioning.OFF,
) -> Bucket:
    """Make a bucket; raises BucketExists, which says whether it is the caller's own."""
    taken = tx.row_or_none("find_bucket", {"name": name})
    if taken is not None:
        raise BucketExists(bucket=name, owned_by_caller=taken[2] == account_id)
    row = tx.row(
        "insert_bucket",
        {
            "name": name,
            "account_id": account_id,
            "now_us": tx.now_us(),
            "versioning": versioning.value,
            "scheme": None if scheme is None else str(scheme),
            "seal": None if seal is None else seal.value,
            "quota_bytes": quota_bytes,
            "origin": origin.value,
        },
    )
    quota.ensure_subject(tx, quota.bucket_subject(cast(int, row[0])), quota_bytes)
    journal.append_row(tx, BUCKET, {"bucket_id": row[0]})
    return find_bucket(tx, name)


def find_bucket(tx: Tx, name: str, account_id: int | None = None) -> Bucket:
    """Raises NoSuchBucket, and does so for a bucket that is another account's than `account_id`."""
    row = tx.row_or_none("find_bucket", {"name": name})
    if row is None:
        raise NoSuchBucket(bucket=name)
    bucket = bucket_of(row)
    if account_id is not None and bucket.account_id != account_id:
        raise NoSuchBucket(bucket=name)
    return bucket


def find_bucket_of(tx: Tx, bucket_id: int) -> Bucket:
    """As `find_bucket`, by its number."""
    row = tx.row_or_none("find_bucket_name", {"bucket_id": bucket_id})
    if row is None:
        raise NoSuchBucket(bucket=str(bucket_id))
    return find_bucket(tx, cast(str, row[0]))


def look_up_bucket(store: Store, name: str) -> Bucket:
    """As `find_bucket`, where nothing else is read."""
    rows = store.look("find_bucket", {"name": name})
    if not rows:
        raise NoSuchBucket(bucket=name)
    return bucket_of(rows[0])


def list_buckets(tx: Tx, *, account_id: int | None, after: str, count_max: int) -> list[Bucket]:
    """Buckets of an account, or of all, in the order of names."""
    return [
        read_bucket(row)
        for row in tx.rows("list_buckets", {"account_id": account_id, "after": after, "count_max": count_max})
    ]


def is_any_sealed(tx: Tx) -> bool:
    """Whether a bucket asks for sealing itself."""
    return tx.row_or_none("has_sealed_bucket", {}) is not None


def update_settings(
    tx: Tx, bucket: Bucket, *, scheme: Scheme | None, seal: Sealing | None, quota_bytes: int | None
) -> None:
    """What a configuration generation says about a bucket; nothing happens when it says what is so already."""
    if (bucket.scheme, bucket.seal, bucket.quota_bytes) == (scheme, seal, quota_bytes):
        return
    tx.run(
        "update_bucket_settings",
        {
            "bucket_id": bucket.bucket_id,
            "scheme": None if scheme is None else str(scheme),
            "seal": None if seal is None else seal.value,
            "quota_bytes": quota_bytes,
        },
    )
    quota.set_limit(tx, quota.bucket_subject(bucket.bucket_id), quota_bytes)
    journal.append_row(tx, BUCKET, {"bucket_id": bucket.bucket_id})


def set_versioning(tx: Tx, name: str, versioning: Versioning, account_id: int | None = None) -> None:
    """Whether new versions of the bucket's keys displace older ones; nothing happens when it is so already.

    Once a bucket keeps versions it never goes back to unversioned, only to suspended. A write that runs at the same
    time may be one from before. Raises NoSuchBucket, and ValueError for `Versioning.OFF` of a bucket in another state.
    """
    bucket = find_bucket(tx, name, account_id)
    if bucket.versioning is versioning:
        return
    if versioning is Versioning.OFF:
        raise ValueError(f"bucket {name!r} keeps versions, and cannot be unversioned again")
    named: Params = {"bucket_id": bucket.bucket_id, "versioning": versioning.value}
    if tx.run("set_bucket_versioning", named) != 1:
        raise NoSuchBucket(bucket=name)
    journal.append_row(tx, BUCKET, {"bucket_id": bucket.bucket_id})


def delete_bucket(tx: Tx, name: str, account_id: int | None = None) -> None:
    """Raises NoSuchBucket and BucketNotEmpty. Open uploads hold no object: they are aborted with the bucket."""
    from engine.metadata.uploads import abort_open_upload

    tx.lock("lock_bucket_for_change", {"bucket": name})
    bucket = find_bucket(tx, name, account_id)
    if tx.row_or_none("has_live_version", {"bucket_id": bucket.bucket_id}) is not None:
        raise BucketNotEmpty(bucket=name)
    open_uploads = tx.rows(
        "list_open_upload_ids", {"bucket_id": bucket.bucket_id, "count_max": OPEN_UPLOAD_COUNT_MAX + 1}
    )
    if len(open_uploads) > OPEN_UPLOAD_COUNT_MAX:
        raise BucketNotEmpty(bucket=name)
    # Its account goes with it, so nothing is given back there.
    for (upload_id,) in open_uploads:
        abort_open_upload(tx, cast(bytes, upload_id), bucket.bucket_id, quota.Changes())
    tx.run("delete_bucket", {"bucket_id": bucket.bucket_id})
    quota.forget_subject(tx, quota.bucket_subject(bucket.bucket_id))
    journal.append(tx, BUCKET_DELETED.name, {"id": bucket.bucket_id})


@lru_cache(maxsize=REMEMBERED_COUNT)
def bucket_of(row: Row) -> Bucket:
    """`read_bucket`, remembered: equal rows are the same bucket, and hot reads see few of them."""
    return read_bucket(row)


def read_bucket(row: Row) -> Bucket:
    """From the columns that `find_bucket` and its like select."""
    (
        bucket_id,
        name,
        account_id,
        account,
        created_at_us,
        versioning,
        lock,
        scheme,
        seal,
        limit,
        revision,
        origin,
    ) = row
    return Bucket(
        bucket_id=cast(int, bucket_id),
        name=BucketName(cast(str, name)),
        account_id=cast(int, account_id),
        account=cast(str, account),
        created_at_us=cast(int, created_at_us),
        versioning=Versioning(versioning),
        object_lock=bool(lock),
        scheme=None if scheme is None else read_scheme(cast(str, scheme)),
        seal=None if seal is None else Sealing(seal),
        quota_bytes=cast("int | None", limit),
        revision=cast(int, revision),
        origin=Origin(origin),
    )


def list_schemes(tx: Tx) -> list[Scheme]:
    """The schemes that buckets have instead of the deployment's."""
    return [read_scheme(cast(str, scheme)) for (scheme,) in tx.rows("list_bucket_schemes", {})]
