"""ObjectService: where objects lie, what they are, and their removal."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from penstock.admin.v1 import object_service_pb2 as pb
from penstock.admin.v1 import object_service_pb2_grpc as pb_grpc

from controlplane.fields import read_name, read_page_size, read_page_token, write_page_token
from controlplane.operations.deleting import DELETE_PREFIX
from controlplane.operations.starting import OperationStarter
from controlplane.pool import EnginePool
from controlplane.presigned_urls import EXPIRES_S_MAX
from controlplane.presigner import Presigner, Wanted
from controlplane.services.object_messages import write_head, write_history_entry, write_pieces, write_tree
from controlplane.services.operation_messages import write_operation
from controlplane.times import timestamp
from engine.errors import ConcurrentWrite, CountMismatch, MalformedField
from engine.metadata import prefixes, remove
from engine.metadata.accounts import find_account_name
from engine.metadata.backends import list_backends
from engine.metadata.buckets import find_bucket
from engine.metadata.history import list_history
from engine.metadata.listing import list_versions, successor
from engine.metadata.prefixes import Content
from engine.metadata.store import Store, Tx
from engine.metadata.versions import find_current, find_version, read_slices
from engine.names import KEY_BYTES_MAX, BackendName, BucketName, bucket_name, object_key
from engine.records import (
    HISTORY_START,
    Bucket,
    HistoryPage,
    ListingPage,
    Removed,
    StoredSlice,
    StoredVersion,
)
from engine.upkeep.long_work import Json
from engine.upkeep.prefix_deletion import COUNT_MAX, read_position, write_position

TREE_COUNT_MAX = 100_000
"""Objects that are counted behind all prefixes of a page."""

TREE_COUNT_LEAST = 1_000
"""Objects that are counted behind each of them in any case."""

_METHODS: Mapping[int, str] = {pb.PRESIGN_METHOD_GET: "GET", pb.PRESIGN_METHOD_PUT: "PUT"}
_POSITION = re.compile(r"([0-9]{1,18})\.([0-9]{1,9})", re.ASCII)
_VERSION_ID = re.compile(r"[A-Za-z0-9._-]{0,128}", re.ASCII)


class ObjectServicer(pb_grpc.ObjectServiceServicer):
    def __init__(
        self, store: Store, presigner: Presigner, starter: OperationStarter, pool: EnginePool
    ) -> None:
        self._store = store
        self._presigner = presigner
        self._starter = starter
        self._pool = pool

    async def GetObjectLocations(
        self, request: pb.GetObjectLocationsRequest, context: Any
    ) -> pb.GetObjectLocationsResponse:
        bucket = bucket_name(request.bucket)
        key = object_key(request.key.encode("utf-8"))
        count_max = read_page_size(request.page_size)
        position = _read_position(read_page_token(request.page_token))

        def unit(tx: Tx) -> tuple[StoredVersion, Sequence[StoredSlice], dict[int, BackendName]]:
            stored = find_current(tx, bucket, key, count_max=count_max + 1)
            names = {row.backend_id: row.name for row in list_backends(tx)}
            if position is None:
                return stored, stored.slices, names
            version_seq, ordinal = position
            if stored.version.version_seq != version_seq:
                raise ConcurrentWrite("the object was overwritten since the page before: begin again")
            slices = read_slices(tx, version_seq, after_ordinal=ordinal, count_max=count_max + 1)
            return stored, slices, names

        stored, slices, names = await self._pool.run(self._store.read, unit)
        has_more = len(slices) > count_max
        shown = slices[:count_max]
        version = stored.version
        next_position = f"{version.version_seq}.{shown[-1].segment.ordinal}" if has_more else None
        answer = pb.GetObjectLocationsResponse(
            version_id=version.version_id,
            size_bytes=version.size_bytes,
            etag=version.etag,
            next_page_token=write_page_token(next_position),
        )
        for each in shown:
            answer.pieces.extend(write_pieces(each, names))
        return answer

    async def HeadObject(self, request: pb.HeadObjectRequest, context: Any) -> pb.HeadObjectResponse:
        bucket = bucket_name(request.bucket)
        key = object_key(request.key.encode())
        version_id = _read_version_id(request.version_id)

        def unit(tx: Tx) -> tuple[StoredVersion, str]:
            stored = (
                find_version(tx, bucket, key, version_id) if version_id else find_current(tx, bucket, key)
            )
            writer_id = stored.version.account_id
            return stored, "" if writer_id == stored.bucket.account_id else find_account_name(tx, writer_id)

        stored, account = await self._pool.run(self._store.read, unit)
        return write_head(stored, f"accounts/{account}" if account else "")

    async def ListObjectTree(
        self, request: pb.ListObjectTreeRequest, context: Any
    ) -> pb.ListObjectTreeResponse:
        bucket, prefix = bucket_name(request.bucket), _read_prefix("prefix", request.prefix)
        delimiter = _read_prefix("delimiter", request.delimiter or "/")
        after = (read_page_token(request.page_token) or "").encode()
        count_max = read_page_size(request.page_size)

        def unit(tx: Tx) -> tuple[ListingPage, Mapping[bytes, Content]]:
            page = list_versions(
                tx, bucket=bucket, prefix=prefix, delimiter=delimiter, after=after, count_max=count_max
            )
            return page, _count_folders(tx, bucket, page.common_prefixes)

        page, folders = await self._pool.run(self._store.read, unit)
        return pb.ListObjectTreeResponse(
            entries=write_tree(page.versions, folders),
            next_page_token=write_page_token(None if page.next_after is None else page.next_after.decode()),
        )

    async def ListObjectVersions(
        self, request: pb.ListObjectVersionsRequest, context: Any
    ) -> pb.ListObjectVersionsResponse:
        bucket, prefix = bucket_name(request.bucket), _read_prefix("prefix", request.prefix)
        position = read_page_token(request.page_token)
        try:
            after = HISTORY_START if position is None else read_position(position)
        except ValueError as error:
            raise MalformedField("page_token", "not a token of this method") from error
        count_max = read_page_size(request.page_size)

        def unit(tx: Tx) -> HistoryPage:
            return list_history(
                tx, bucket=bucket, prefix=prefix, delimiter=b"", after=after, count_max=count_max
            )

        page = await self._pool.run(self._store.read, unit)
        return pb.ListObjectVersionsResponse(
            versions=map(write_history_entry, page.entries),
            next_page_token=write_page_token(
                None if page.next_after is None else write_position(page.next_after)
            ),
        )

    async def PresignObject(self, request: pb.PresignObjectRequest, context: Any) -> pb.PresignObjectResponse:
        if request.method not in _METHODS:
            raise MalformedField("method", "one of GET and PUT is required")
        if request.version_id and request.method != pb.PRESIGN_METHOD_GET:
            raise MalformedField("version_id", "only what is read has one")
        if not 1 <= request.expires.seconds <= EXPIRES_S_MAX:
            raise MalformedField("expires", "from 1 second to 7 days")
        wanted = Wanted(
            method=_METHODS[request.method],
            bucket=bucket_name(request.bucket),
            key=object_key(request.key.encode()),
            version_id=_read_version_id(request.version_id),
            identity=read_name("identity", request.identity, "identities"),
            expires_s=request.expires.seconds,
            endpoint=request.endpoint,
        )
        presigned = await self._pool.run(self._presigner.presign, wanted)
        return pb.PresignObjectResponse(
            url=presigned.url,
            expire_time=timestamp(presigned.expires_at_us),
            access_key=f"accessKeys/{presigned.access_key_id}",
        )

    async def DeleteObject(self, request: pb.DeleteObjectRequest, context: Any) -> pb.DeleteObjectResponse:
        bucket = bucket_name(request.bucket)
        key = object_key(request.key.encode())
        version_id = _read_version_id(request.version_id)

        def unit(tx: Tx) -> Removed:
            if version_id:
                return remove.remove_version(tx, bucket, key, version_id)
            return remove.remove(tx, bucket, key)

        removed = await self._pool.run(self._store.write, unit)
        return pb.DeleteObjectResponse(
            version_id=removed.version_id or "", delete_marker=removed.is_delete_marker
        )

    async def PreviewDeletePrefix(
        self, request: pb.PreviewDeletePrefixRequest, context: Any
    ) -> pb.PreviewDeletePrefixResponse:
        name, prefix = bucket_name(request.bucket), _read_prefix("prefix", request.prefix)
        bucket, found = await self._pool.run(self._count, name, prefix, request.all_versions)
        return pb.PreviewDeletePrefixResponse(
            count=found.count,
            size_bytes=found.size_bytes,
            partial=found.is_partial,
            covers=prefixes.covers(bucket.versioning) and not request.all_versions,
        )

    async def DeletePrefix(self, request: pb.DeletePrefixRequest, context: Any) -> pb.DeletePrefixResponse:
        name, prefix = bucket_name(request.bucket), _read_prefix("prefix", request.prefix)
        if request.confirm_prefix != request.prefix:
            raise MalformedField("confirm_prefix", "it is not the prefix")
        target = f"buckets/{name}/objects/{request.prefix}"
        asked: dict[str, Json] = {
            "bucket": name,
            "prefix": request.prefix,
            "all_versions": request.all_versions,
            "expected_count": request.expected_count,
        }
        own = ("bucket_id", "up_to_seq")
        row = await self._starter.find_open(
            method=DELETE_PREFIX, target=target, request=asked, apart_from=own
        )
        if row is None:
            # Before anything is counted, so that nothing younger than what was counted goes.
            up_to_seq = await self._pool.run(self._store.read, prefixes.newest_version_seq)
            bucket, found = await self._pool.run(self._count, name, prefix, request.all_versions)
            if found.count != request.expected_count:
                raise CountMismatch(
                    what="objects", expected_count=request.expected_count, found_count=found.count
                )
            asked |= {"bucket_id": bucket.bucket_id, "up_to_seq": up_to_seq}
            row = await self._starter.start(
                method=DELETE_PREFIX, target=target, request=asked, apart_from=own
            )
        return pb.DeletePrefixResponse(operation=write_operation(row))

    def _count(self, name: BucketName, prefix: bytes, all_versions: bool) -> tuple[Bucket, Content]:
        bucket = self._store.read(partial(find_bucket, name=name))
        found = prefixes.count_prefix(
            self._store,
            bucket_id=bucket.bucket_id,
            prefix=prefix,
            all_versions=all_versions,
            count_max=COUNT_MAX,
        )
        return bucket, found


def _count_folders(tx: Tx, name: BucketName, folders: Sequence[bytes]) -> Mapping[bytes, Content]:
    """What is behind each of some prefixes, counted so far that a page stays quick."""
    if not folders:
        return {}
    bucket = find_bucket(tx, name)
    count_max = max(TREE_COUNT_LEAST, TREE_COUNT_MAX // len(folders))
    return {
        prefix: prefixes.count_page(
            tx,
            bucket_id=bucket.bucket_id,
            start=prefix,
            before=successor(prefix),
            count_max=count_max,
            all_versions=False,
        )[0]
        for prefix in folders
    }


def _read_prefix(field: str, text: str) -> bytes:
    raw = text.encode()
    if len(raw) > KEY_BYTES_MAX or b"\0" in raw:
        raise MalformedField(field, f"at most {KEY_BYTES_MAX} bytes, without NUL")
    return raw


def _read_version_id(version_id: str) -> str:
    if _VERSION_ID.fullmatch(version_id) is None:
        raise MalformedField("version_id", f"no version has the id {version_id[:80]!r}")
    return version_id


def _read_position(position: str | None) -> tuple[int, int] | None:
    """Version and last ordinal of the page before; null for the first page."""
    if position is None:
        return None
    found = _POSITION.fullmatch(position)
    if found is None:
        raise MalformedField("page_token", "not a token of this method")
    return int(found[1]), int(found[2])
