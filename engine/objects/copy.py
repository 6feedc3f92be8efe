"""CopyObject: the target joins the source's blobs where both wish them stored the same way, otherwise bytes stream."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from engine.errors import BlobGone, ConcurrentWrite, ObjectTooLarge
from engine.metadata.publish import Publication
from engine.metadata.store import Store
from engine.metadata.versions import read_slices
from engine.names import BucketName, ObjectKey
from engine.objects.blob_writer import BlobOrder
from engine.objects.body_storing import BodyStore, StoredBody
from engine.objects.cards import CardHint
from engine.objects.degradations import Degradation, Degradations
from engine.objects.read import Reader, Span
from engine.objects.region_body import RegionBody
from engine.objects.storage_policy import StoragePolicy
from engine.objects.write import find_bucket_with_room
from engine.records import (
    Bucket,
    JoinedBlob,
    MadeBy,
    NewBlob,
    NewVersion,
    ObjectHeaders,
    Published,
    Segment,
    StoredSlice,
    StoredVersion,
    Version,
)
from engine.streams import Checksum, ChecksumAlgorithm, ChecksumType, DigestPlan
from engine.units import PUT_SIZE_MAX_BYTES

JOIN_ATTEMPT_COUNT_MAX = 3
"""Times the source is read again because the reaper took a blob of it before the copy joined it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyOrder:
    """What to copy, and to where. `headers` and `tags` null keep the source's; tags within `headers` mean nothing.

    `source_version_id` is the id by which the source was asked for, null when it was the current version.
    `checksum_algorithm` asks for a checksum the source may not have. `recheck` is called with the source whenever it
    had to be read again, and raises when the caller's conditions do not hold for what it is now.
    """

    source: StoredVersion
    source_version_id: str | None = None
    bucket: BucketName
    key: ObjectKey
    account_id: int
    headers: ObjectHeaders | None = None
    tags: Mapping[str, str] | None = None
    checksum_algorithm: ChecksumAlgorithm | None = None
    if_none_match: bool = False
    if_match_etag: str | None = None
    recheck: Callable[[StoredVersion], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """A copy that is durable and visible. `etag` stands without quotes; that of a streamed copy is a plain MD5."""

    published: Published
    etag: str
    created_at_us: int
    checksums: Sequence[Checksum]


class Copier:
    """Copies objects. Safe for many threads."""

    def __init__(
        self,
        *,
        store: Store,
        policy: StoragePolicy,
        reader: Reader,
        bodies: BodyStore,
        degradations: Degradations,
    ) -> None:
        self._store = store
        self._policy = policy
        self._reader = reader
        self._bodies = bodies
        self._degradations = degradations

    def copy(self, order: CopyOrder) -> Copied:
        """Make a whole version the current one of the target's key; source and target may be the same key.

        A source that is overwritten meanwhile is copied as it was or as it is, never a mix; one that is deleted gives
        NoSuchKey. Raises NoSuchBucket, ObjectTooLarge (above 5 GiB), ConcurrentWrite, and what writing raises.
        """
        source = order.source
        for _ in range(JOIN_ATTEMPT_COUNT_MAX):
            if source.version.size_bytes > PUT_SIZE_MAX_BYTES:
                raise ObjectTooLarge(size_bytes=source.version.size_bytes, max_bytes=PUT_SIZE_MAX_BYTES)
            target = self._store.read(
                partial(
                    find_bucket_with_room,
                    name=order.bucket,
                    size_bytes=source.version.size_bytes,
                    replaced_key=order.key,
                )
            )
            slices = self._all_slices(source)
            if slices is not None:
                try:
                    if self._may_join(order, source, target, slices):
                        return self._join(order, source, slices)
                    return self._stream(order, source, target)
                except BlobGone:
                    pass
            self._degradations.note(Degradation.COPY_REPEATED, version_seq=source.version.version_seq)
            source = self._reader.find(source.bucket.name, source.version.key, order.source_version_id)
            if order.recheck is not None:
                order.recheck(source)
        raise ConcurrentWrite("the source was replaced again and again while it was being copied")

    def _all_slices(self, source: StoredVersion) -> Sequence[StoredSlice] | None:
        """Every slice of the source, some thousand at most; null when its rows have gone to the reaper meanwhile."""
        slices = list(source.slices)
        while source.has_more_slices and _covered_bytes(slices) < source.version.size_bytes:
            page = self._store.read(
                partial(
                    read_slices,
                    version_seq=source.version.version_seq,
                    after_ordinal=slices[-1].segment.ordinal,
                )
            )
            if not page:
                return None
            slices += page
        return slices

    def _may_join(
        self, order: CopyOrder, source: StoredVersion, target: Bucket, slices: Sequence[StoredSlice]
    ) -> bool:
        scheme, is_sealed = self._policy.scheme_of(target), self._policy.is_sealed(target)
        return _has_checksum(source.version.checksums, order.checksum_algorithm) and all(
            each.blob.scheme == scheme and each.blob.is_sealed == is_sealed for each in slices
        )

    def _join(self, order: CopyOrder, source: StoredVersion, slices: Sequence[StoredSlice]) -> Copied:
        version = source.version
        new = NewVersion(
            bucket=order.bucket,
            key=order.key,
            account_id=order.account_id,
            size_bytes=version.size_bytes,
            etag=version.etag,
            headers=_headers(order, version),
            checksums=version.checksums,
            segments=[each.segment for each in slices],
            blobs=(),
            joined=[JoinedBlob(blob_id=each) for each in dict.fromkeys(each.blob.blob_id for each in slices)],
            part_count=version.part_count,
            sse_kind=version.sse_kind,
            if_none_match=order.if_none_match,
            if_match_etag=order.if_match_etag,
            made_by=MadeBy.COPY,
        )
        published = self._store.write(Publication(new))
        return Copied(
            published=published,
            etag=version.etag,
            created_at_us=published.created_at_us,
            checksums=version.checksums,
        )

    def _stream(self, order: CopyOrder, source: StoredVersion, target: Bucket) -> Copied:
        version = source.version
        asked = [] if order.checksum_algorithm is None else [order.checksum_algorithm]
        kept = [each for each in version.checksums if each.type is ChecksumType.FULL_OBJECT]
        plan = DigestPlan(checksums=tuple(dict.fromkeys([*asked, *(each.algorithm for each in kept)])))
        body = RegionBody(
            self._reader.open_in_memory(source, Span(start=0, stop=version.size_bytes)),
            plan=plan,
            expected=kept[0] if kept else None,
        )
        blob_order = BlobOrder(
            scheme=self._policy.scheme_of(target),
            is_sealed=self._policy.is_sealed(target),
            hint=CardHint(bucket=order.bucket, key=order.key),
        )

        def make_unit(stored: StoredBody, blobs: Sequence[NewBlob]) -> Publication:
            new = NewVersion(
                bucket=order.bucket,
                key=order.key,
                account_id=order.account_id,
                size_bytes=stored.size_bytes,
                etag=stored.md5.hex(),
                headers=_headers(order, version),
                checksums=stored.checksums,
                segments=stored.segments,
                blobs=blobs,
                sse_kind="AES256" if any(each.blob.is_sealed for each in blobs) else None,
                if_none_match=order.if_none_match,
                if_match_etag=order.if_match_etag,
                made_by=MadeBy.COPY,
            )
            return Publication(new)

        try:
            stored, published = self._bodies.store(body, blob_order, make_unit)
        finally:
            body.close()
        return Copied(
            published=published,
            etag=stored.md5.hex(),
            created_at_us=published.created_at_us,
            checksums=stored.checksums,
        )


def _headers(order: CopyOrder, source: Version) -> ObjectHeaders:
    tags = source.headers.tags if order.tags is None else order.tags
    return replace(order.headers or source.headers, tags=tags)


def _has_checksum(checksums: Sequence[Checksum], algorithm: ChecksumAlgorithm | None) -> bool:
    if algorithm is None:
        return True
    return any(each.algorithm is algorithm and each.type is ChecksumType.FULL_OBJECT for each in checksums)


def _covered_bytes(slices: Sequence[StoredSlice]) -> int:
    last: Segment = slices[-1].segment
    return last.start_offset + last.length
