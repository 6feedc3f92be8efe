"""UploadPartCopy: a span of an object becomes a part of an upload; its bytes stream through, whatever holds them."""

from dataclasses import dataclass

from engine.names import BucketName, ObjectKey
from engine.objects.multipart import Multipart, WrittenPart
from engine.objects.read import Reader, Span
from engine.objects.region_body import RegionBody
from engine.records import StoredVersion
from engine.streams import DigestPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class PartCopyOrder:
    """What to copy, and to which part of which upload. `span` lies within the source."""

    source: StoredVersion
    span: Span
    upload_id: bytes
    bucket: BucketName
    key: ObjectKey
    part_number: int


class PartCopier:
    """Copies parts. Safe for many threads."""

    def __init__(self, reader: Reader, multipart: Multipart) -> None:
        self._reader = reader
        self._multipart = multipart

    def copy(self, order: PartCopyOrder) -> WrittenPart:
        """Store the span as the part; a part of that number gives way to it.

        What is copied is the version that was found, never a mix of two. Raises what `Multipart.put_part` and reading
        the source raise.
        """
        body = RegionBody(
            self._reader.open_in_memory(order.source, order.span), plan=DigestPlan(), expected=None
        )
        try:
            return self._multipart.put_part(order.upload_id, order.bucket, order.key, order.part_number, body)
        finally:
            body.close()
