"""UploadPartCopy: a part whose bytes are those of an object that the caller may read."""

from falcon import Response

from dataplane.auth.identity import authorise
from dataplane.exchange import Exchange
from dataplane.handlers.answers import answer_xml
from dataplane.handlers.copying import check_copy_conditions, find_source
from dataplane.handlers.ownership import Ownership, require_own
from dataplane.wire import xml_out
from dataplane.wire.conditions import COPY_PREFIX, ReadConditions
from dataplane.wire.copy_source import read_copy_range, read_copy_source
from dataplane.wire.operations import Action
from dataplane.wire.parameters import read_part_number, read_upload_id
from engine.errors import RangeNotSatisfiable
from engine.objects.part_copy import PartCopier, PartCopyOrder
from engine.objects.read import Reader, Span
from engine.records import Versioning


class PartCopyHandlers:
    """Copies into uploads, within what the caller may read and write."""

    def __init__(self, reader: Reader, copier: PartCopier, ownership: Ownership) -> None:
        self._reader = reader
        self._copier = copier
        self._ownership = ownership

    def upload_part_copy(self, exchange: Exchange, resp: Response) -> None:
        """The answer comes after bytes and metadata are durable."""
        headers = exchange.headers
        part_number, upload_id = read_part_number(exchange.target), read_upload_id(exchange.target)
        asked = read_copy_range(headers)
        source = read_copy_source(headers)
        authorise(exchange.identity, Action.GET_OBJECT, source.bucket)
        self._ownership.require(exchange, source.bucket)
        stored = find_source(self._reader, source)
        require_own(exchange, stored.bucket)
        check_copy_conditions(ReadConditions.of(headers, prefix=COPY_PREFIX), stored)
        written = self._copier.copy(
            PartCopyOrder(
                source=stored,
                span=_span(asked, stored.version.size_bytes),
                upload_id=upload_id,
                bucket=exchange.bucket,
                key=exchange.key,
                part_number=part_number,
            )
        )
        document = xml_out.copy_part_result(
            etag=written.etag, modified_at_us=written.created_at_us, checksums=written.checksums
        )
        answer_xml(resp, document)
        if stored.bucket.versioning is not Versioning.OFF:
            resp.set_header("x-amz-copy-source-version-id", stored.version.version_id)


def _span(asked: tuple[int, int] | None, size_bytes: int) -> Span:
    """Unlike a range of a read, one beyond the end is refused: the part would be another than was asked for."""
    if asked is None:
        return Span(start=0, stop=size_bytes)
    first, last = asked
    if last >= size_bytes:
        raise RangeNotSatisfiable(size_bytes=size_bytes)
    return Span(start=first, stop=last + 1)
