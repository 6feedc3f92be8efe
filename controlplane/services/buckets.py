"""BucketService: buckets as operators make, change and delete them."""

from functools import partial
from typing import Any

from penstock.admin.v1 import bucket_pb2
from penstock.admin.v1 import bucket_service_pb2 as pb
from penstock.admin.v1 import bucket_service_pb2_grpc as pb_grpc

from controlplane.fields import read_mask, read_name, read_page, read_page_token, write_page_token
from controlplane.operations.deleting import DELETE_BUCKET
from controlplane.operations.starting import OperationStarter
from controlplane.pool import EnginePool
from controlplane.rehearsal import write_or_rehearse
from controlplane.services.bucket_documents import read_cors_rules, read_tags, write_cors_rule
from controlplane.services.operation_messages import write_operation
from controlplane.services.origins import ORIGINS
from controlplane.times import timestamp
from engine.errors import MalformedField
from engine.metadata import bucket_settings
from engine.metadata.accounts import find_account_id
from engine.metadata.bucket_settings import BucketField, BucketSettings, SeenBucket
from engine.metadata.store import Store, Tx
from engine.names import bucket_name
from engine.records import Scheme, Sealing, Versioning, read_scheme

_VERSIONINGS = {
    Versioning.OFF: bucket_pb2.VERSIONING_OFF,
    Versioning.ENABLED: bucket_pb2.VERSIONING_ENABLED,
    Versioning.SUSPENDED: bucket_pb2.VERSIONING_SUSPENDED,
}
_SEALINGS = {Sealing.NONE: bucket_pb2.SEALING_NONE, Sealing.ALL: bucket_pb2.SEALING_ALL}
_QUOTA_BYTES_MAX = 1 << 60


class BucketServicer(pb_grpc.BucketServiceServicer):
    def __init__(self, store: Store, starter: OperationStarter, pool: EnginePool) -> None:
        self._store = store
        self._starter = starter
        self._pool = pool

    async def ListBuckets(self, request: pb.ListBucketsRequest, context: Any) -> pb.ListBucketsResponse:
        account = read_name("account", request.account, "accounts") if request.account else None
        page = read_page(request.page_size, read_page_token(request.page_token))

        def unit(tx: Tx) -> list[SeenBucket]:
            account_id = None if account is None else find_account_id(tx, account)
            return bucket_settings.see_buckets(
                tx, account_id=account_id, after=page.after or "", count_max=page.size + 1
            )

        seen = await self._pool.run(self._store.read, unit)
        shown, position = page.of(seen, lambda each: each.bucket.name)
        return pb.ListBucketsResponse(
            buckets=[write_bucket(each) for each in shown], next_page_token=write_page_token(position)
        )

    async def GetBucket(self, request: pb.GetBucketRequest, context: Any) -> pb.GetBucketResponse:
        unit = partial(bucket_settings.see_bucket, name=read_bucket_name("name", request.name))
        return pb.GetBucketResponse(bucket=write_bucket(await self._pool.run(self._store.read, unit)))

    async def CreateBucket(self, request: pb.CreateBucketRequest, context: Any) -> pb.CreateBucketResponse:
        name = bucket_name(read_bucket_name("bucket.name", request.bucket.name))
        account = read_name("bucket.account", request.bucket.account, "accounts")
        settings = read_settings(request.bucket, frozenset(BucketField))

        def unit(tx: Tx) -> SeenBucket:
            account_id = find_account_id(tx, account)
            return bucket_settings.make_bucket(tx, name=name, account_id=account_id, settings=settings)

        return pb.CreateBucketResponse(bucket=await self._write(unit, request.validate_only))

    async def UpdateBucket(self, request: pb.UpdateBucketRequest, context: Any) -> pb.UpdateBucketResponse:
        wanted = read_mask("update_mask", request.update_mask, {each.value for each in BucketField})
        fields = frozenset(map(BucketField, wanted))
        unit = partial(
            bucket_settings.change_bucket,
            name=read_bucket_name("bucket.name", request.bucket.name),
            settings=read_settings(request.bucket, fields),
            fields=fields,
            etag=request.bucket.etag,
        )
        return pb.UpdateBucketResponse(bucket=await self._write(unit, request.validate_only))

    async def DeleteBucket(self, request: pb.DeleteBucketRequest, context: Any) -> pb.DeleteBucketResponse:
        name = read_bucket_name("name", request.name)
        if request.force:
            return await self._delete_forcibly(name, request)
        unit = partial(bucket_settings.delete_bucket, name=name, etag=request.etag)
        await self._pool.run(write_or_rehearse, self._store, unit, validate_only=request.validate_only)
        return pb.DeleteBucketResponse()

    async def _delete_forcibly(self, name: str, request: pb.DeleteBucketRequest) -> pb.DeleteBucketResponse:
        if request.confirm_name != request.name:
            raise MalformedField("confirm_name", "it is not the bucket's name")
        unit = partial(bucket_settings.refuse_to_delete, name=name, etag=request.etag)
        bucket = await self._pool.run(write_or_rehearse, self._store, unit, validate_only=True)
        if request.validate_only:
            return pb.DeleteBucketResponse()
        row = await self._starter.start(
            method=DELETE_BUCKET,
            target=request.name,
            request={"bucket": name, "bucket_id": bucket.bucket_id},
        )
        return pb.DeleteBucketResponse(operation=write_operation(row))

    async def _write(self, unit: Any, validate_only: bool) -> bucket_pb2.Bucket:
        seen = await self._pool.run(write_or_rehearse, self._store, unit, validate_only=validate_only)
        return write_bucket(seen)


def read_bucket_name(field: str, name: str) -> str:
    """`buckets/photos` -> `photos`."""
    return read_name(field, name, "buckets")


def read_settings(bucket: bucket_pb2.Bucket, fields: frozenset[BucketField]) -> BucketSettings:
    """Of the fields that are named; what is not set is the default."""
    return BucketSettings(
        versioning=_read_versioning(bucket) if BucketField.VERSIONING in fields else Versioning.OFF,
        quota_bytes=_read_quota(bucket) if BucketField.QUOTA_BYTES in fields else None,
        scheme=_read_scheme(bucket.scheme) if BucketField.SCHEME in fields else None,
        seal=_read_sealing(bucket) if BucketField.SEAL in fields else None,
        tags=read_tags("bucket.tags", bucket.tags) if BucketField.TAGS in fields else (),
        cors_rules=(
            read_cors_rules("bucket.cors_rules", bucket.cors_rules)
            if BucketField.CORS_RULES in fields
            else ()
        ),
    )


def write_bucket(seen: SeenBucket) -> bucket_pb2.Bucket:
    bucket = seen.bucket
    return bucket_pb2.Bucket(
        name=bucket_settings.resource_name(bucket.name),
        account=f"accounts/{bucket.account}",
        origin=ORIGINS[bucket.origin],
        configured=seen.is_configured,
        create_time=timestamp(bucket.created_at_us),
        versioning=_VERSIONINGS[bucket.versioning],
        scheme="" if bucket.scheme is None else str(bucket.scheme),
        seal=bucket_pb2.SEALING_UNSPECIFIED if bucket.seal is None else _SEALINGS[bucket.seal],
        quota_bytes=bucket.quota_bytes,
        used_bytes=seen.totals.used_bytes,
        version_count=seen.totals.object_count,
        etag=seen.etag,
        tags={tag.key: tag.value for tag in seen.tags},
        cors_rules=map(write_cors_rule, seen.cors_rules),
    )


def read_limit(field: str, limit_bytes: int) -> int:
    if not 0 <= limit_bytes <= _QUOTA_BYTES_MAX:
        raise MalformedField(field, "a limit lies between 0 and 2^60 bytes")
    return limit_bytes


def _read_quota(bucket: bucket_pb2.Bucket) -> int | None:
    return read_limit("bucket.quota_bytes", bucket.quota_bytes) if bucket.HasField("quota_bytes") else None


def _read_versioning(bucket: bucket_pb2.Bucket) -> Versioning:
    if bucket.versioning == bucket_pb2.VERSIONING_UNSPECIFIED:
        return Versioning.OFF
    for versioning, number in _VERSIONINGS.items():
        if number == bucket.versioning:
            return versioning
    raise MalformedField("bucket.versioning", f"no versioning has the number {bucket.versioning}")


def _read_sealing(bucket: bucket_pb2.Bucket) -> Sealing | None:
    if bucket.seal == bucket_pb2.SEALING_UNSPECIFIED:
        return None
    for sealing, number in _SEALINGS.items():
        if number == bucket.seal:
            return sealing
    raise MalformedField("bucket.seal", f"no sealing has the number {bucket.seal}")


def _read_scheme(text: str) -> Scheme | None:
    try:
        return read_scheme(text) if text else None
    except ValueError as error:
        raise MalformedField("bucket.scheme", f"expected such as `copies(2)`, got {text[:40]!r}") from error
