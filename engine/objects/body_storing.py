"""A whole body into blobs, and those under one commit: what PutObject, UploadPart and a streamed copy share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from engine.metadata.store import Tx
from engine.objects.attempts import Announcements
from engine.objects.blob_draft import BlobDraft
from engine.objects.blob_writer import BlobOrder, BlobWriter
from engine.objects.body import BodyPump
from engine.objects.publishing import Publisher
from engine.objects.storage_policy import StoragePolicy
from engine.records import NewBlob, Segment
from engine.streams import BodySource, Checksum, ChecksumAlgorithm, OpenEndedBody

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBody:
    """A body whose bytes stand, verified against what its sender promised. `segments` are whole blobs in order."""

    size_bytes: int
    md5: bytes
    checksums: Sequence[Checksum]
    segments: Sequence[Segment]


MakeUnit = Callable[[StoredBody, Sequence[NewBlob]], Callable[[Tx], T]]


class BodyStore:
    """Stores bodies and commits what names them. Safe for many threads."""

    def __init__(self, *, policy: StoragePolicy, blobs: BlobWriter, publisher: Publisher) -> None:
        self._policy = policy
        self._blobs = blobs
        self._publisher = publisher

    def store(
        self,
        body: BodySource,
        order: BlobOrder,
        make_unit: MakeUnit[T],
        *,
        also: Sequence[ChecksumAlgorithm] = (),
    ) -> tuple[StoredBody, T]:
        """Read the body once, store it, compare its digests, and run the unit made of it and its blobs.

        `also` are checksums to compute beyond the body's own plan.

        Raises BodySizeMismatch and DigestMismatch before anything is visible, what the body raises, what storing
        raises (BackendsUnavailable, BelowWriteQuorum, NoSpaceAnywhere), and what the commit raises. Whatever it
        raises, nothing became visible, but for OutcomeUnknown.
        """

        def parts(pump: BodyPump, announcements: Announcements) -> list[BlobDraft]:
            return self._store_blobs(body.size_bytes, order, pump, announcements)

        return self._store(body, parts, make_unit, also)

    def store_open_ended(
        self,
        body: OpenEndedBody,
        order: BlobOrder,
        make_unit: MakeUnit[T],
    ) -> tuple[StoredBody, T]:
        """As `store`: what is certain of the body first, in blobs of its own, and what is left when that is known."""

        def parts(pump: BodyPump, announcements: Announcements) -> list[BlobDraft]:
            certain = self._store_blobs(body.certain_bytes, order, pump, announcements)
            return certain + self._store_blobs(body.settle(), order, pump, announcements)

        return self._store(body, parts, make_unit, ())

    def _store(
        self,
        body: BodySource,
        parts: Callable[[BodyPump, Announcements], list[BlobDraft]],
        make_unit: MakeUnit[T],
        also: Sequence[ChecksumAlgorithm],
    ) -> tuple[StoredBody, T]:
        announcements = Announcements()
        try:
            pump = BodyPump(body, also=also)
            drafts = parts(pump, announcements)
            pump.finish()
            stored = StoredBody(
                size_bytes=body.size_bytes,
                md5=pump.md5,
                checksums=pump.checksums,
                segments=_segments(drafts),
            )
            result = self._publisher.commit(drafts, announcements, lambda blobs: make_unit(stored, blobs))
        except BaseException as error:
            self._publisher.abandon(announcements, error)
            raise
        finally:
            self._publisher.forget(announcements)
        return stored, result

    def _store_blobs(
        self, size_bytes: int, order: BlobOrder, pump: BodyPump, announcements: Announcements
    ) -> list[BlobDraft]:
        if size_bytes == 0:
            return []
        if self._policy.is_held(size_bytes):
            held = memoryview(bytearray(size_bytes))
            pump.fill(held)
            return [self._blobs.write_held(order, held, announcements)]
        return [
            self._blobs.write_stream(order, each, pump, announcements)
            for each in self._policy.blob_sizes(size_bytes)
        ]


def _segments(drafts: Sequence[BlobDraft]) -> list[Segment]:
    segments, start = [], 0
    for ordinal, draft in enumerate(drafts):
        blob = draft.blob
        segments.append(
            Segment(
                ordinal=ordinal,
                start_offset=start,
                blob_id=blob.blob_id,
                blob_offset=0,
                length=blob.size_bytes,
            )
        )
        start += blob.size_bytes
    return segments
