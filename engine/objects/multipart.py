"""Multipart uploads: parts are blobs that no version points at, until Complete makes them one or Abort ends them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from engine.clock import Ids
from engine.errors import MalformedField
from engine.metadata import uploads
from engine.metadata.buckets import find_bucket
from engine.metadata.store import Store, Tx
from engine.names import BucketName, ObjectKey
from engine.objects.blob_writer import BlobOrder
from engine.objects.body_storing import BodyStore, StoredBody
from engine.objects.cards import CardHint
from engine.objects.complete import Completed, Completer, CompleteRequest
from engine.objects.storage_policy import StoragePolicy
from engine.objects.write import check_size, find_bucket_with_room
from engine.records import NewBlob, NewPart, NewUpload, ObjectHeaders, Part, Upload, UploadsPage
from engine.streams import BodySource, Checksum, ChecksumAlgorithm, ChecksumType
from engine.units import PART_NUMBER_MAX

PAGE_COUNT_MAX = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadOrder:
    """An upload to begin. The checksum's type is null when no algorithm is asked for."""

    bucket: BucketName
    key: ObjectKey
    account_id: int
    headers: ObjectHeaders
    checksum_algorithm: ChecksumAlgorithm | None = None
    checksum_type: ChecksumType | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenPart:
    """A part that is durable. `etag` stands without quotes."""

    part_number: int
    etag: str
    size_bytes: int
    checksums: Sequence[Checksum]
    created_at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsPage:
    """Parts of an open upload in order; `next_after` is the number the next page starts after, null at the end."""

    upload: Upload
    parts: Sequence[Part]
    next_after: int | None


class Multipart:
    """Begins, fills, completes, aborts and lists uploads. Safe for many threads."""

    def __init__(
        self,
        *,
        store: Store,
        policy: StoragePolicy,
        bodies: BodyStore,
        completer: Completer,
        ids: Ids,
    ) -> None:
        self._store = store
        self._policy = policy
        self._bodies = bodies
        self._completer = completer
        self._ids = ids

    def create(self, order: UploadOrder) -> bytes:
        """Begin an upload: its id of 16 bytes. How its parts are stored is decided now. Raises NoSuchBucket."""
        upload_id = self._ids()

        def unit(tx: Tx) -> None:
            bucket = find_bucket(tx, order.bucket)
            new = NewUpload(
                upload_id=upload_id,
                bucket=order.bucket,
                key=order.key,
                account_id=order.account_id,
                headers=order.headers,
                checksum_algorithm=order.checksum_algorithm,
                checksum_type=order.checksum_type,
                scheme=self._policy.scheme_of(bucket),
                is_sealed=self._policy.is_sealed(bucket),
            )
            uploads.create_upload(tx, new)

        self._store.write(unit)
        return upload_id

    def put_part(
        self, upload_id: bytes, bucket: BucketName, key: ObjectKey, part_number: int, body: BodySource
    ) -> WrittenPart:
        """Store a part; one sent again takes the place of the one before.

        Raises NoSuchUpload, MalformedField and what `Writer.put` raises for its body.
        """
        if not 1 <= part_number <= PART_NUMBER_MAX:
            raise MalformedField("partNumber", f"a part number lies between 1 and {PART_NUMBER_MAX}")
        check_size(body.size_bytes)

        def check(tx: Tx) -> Upload:
            find_bucket_with_room(tx, bucket, body.size_bytes)
            return uploads.find_upload(tx, upload_id=upload_id, bucket=bucket, key=key)

        upload = self._store.read(check)
        blob_order = BlobOrder(
            scheme=upload.scheme,
            is_sealed=upload.is_sealed,
            hint=CardHint(bucket=bucket, key=key, upload_id=upload_id),
        )

        def make_unit(stored: StoredBody, blobs: Sequence[NewBlob]) -> Callable[[Tx], Part]:
            part = NewPart(
                upload_id=upload_id,
                bucket=bucket,
                key=key,
                part_number=part_number,
                size_bytes=stored.size_bytes,
                etag=stored.md5.hex(),
                checksums=stored.checksums,
                segments=stored.segments,
                blobs=blobs,
            )
            return partial(uploads.put_part, new=part)

        # Complete needs every part's checksum, whether its sender computed one or not.
        also = [] if upload.checksum_algorithm is None else [upload.checksum_algorithm]
        stored, part = self._bodies.store(body, blob_order, make_unit, also=also)
        return WrittenPart(
            part_number=part_number,
            etag=part.etag,
            size_bytes=stored.size_bytes,
            checksums=stored.checksums,
            created_at_us=part.created_at_us,
        )

    def find(self, upload_id: bytes, bucket: BucketName, key: ObjectKey) -> Upload:
        """The open upload of that id for that key. Raises NoSuchBucket, NoSuchUpload."""
        return self._store.read(
            lambda tx: uploads.find_upload(tx, upload_id=upload_id, bucket=bucket, key=key)
        )

    def complete(self, request: CompleteRequest) -> Completed:
        """Turn the listed parts into the key's current version; see `Completer.complete`."""
        return self._completer.complete(request)

    def abort(self, upload_id: bytes, bucket: BucketName, key: ObjectKey) -> None:
        """End an upload without an object; its parts go to the reaper. Raises NoSuchBucket, NoSuchUpload."""
        self._store.write(lambda tx: uploads.abort(tx, upload_id=upload_id, bucket=bucket, key=key))

    def list_parts(
        self, upload_id: bytes, bucket: BucketName, key: ObjectKey, *, after: int, count_max: int
    ) -> PartsPage:
        """At most `count_max` (up to 1,000) parts with numbers above `after`. Raises NoSuchBucket, NoSuchUpload."""
        wanted_count = max(0, min(count_max, PAGE_COUNT_MAX))

        def unit(tx: Tx) -> tuple[Upload, list[Part]]:
            upload = uploads.find_upload(tx, upload_id=upload_id, bucket=bucket, key=key)
            return upload, uploads.list_parts(tx, upload_id, after=after, count_max=wanted_count + 1)

        upload, found = self._store.read(unit)
        parts = found[:wanted_count]
        return PartsPage(
            upload=upload,
            parts=parts,
            next_after=parts[-1].part_number if parts and len(found) > wanted_count else None,
        )

    def list_uploads(
        self,
        bucket: BucketName,
        *,
        prefix: bytes,
        delimiter: bytes,
        after_key: bytes,
        after_upload_id: bytes,
        count_max: int,
    ) -> UploadsPage:
        """At most `count_max` (up to 1,000) open uploads and common prefixes. Raises NoSuchBucket."""
        wanted_count = max(0, min(count_max, PAGE_COUNT_MAX))
        return self._store.read(
            lambda tx: uploads.list_uploads(
                tx,
                bucket=bucket,
                prefix=prefix,
                delimiter=delimiter,
                after_key=after_key,
                after_upload_id=after_upload_id,
                count_max=wanted_count,
            )
        )
