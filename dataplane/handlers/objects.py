"""GetObject, HeadObject, PutObject, DeleteObject, DeleteObjects."""

from collections.abc import Sequence
from http import HTTPStatus

from falcon import HTTP_200, HTTP_206, Response

from dataplane.exchange import Exchange
from dataplane.handlers.answers import (
    DELETE_MARKER_FIELD,
    answer_not_modified,
    answer_xml,
    describe_version,
    tell_version_id,
)
from dataplane.handlers.ownership import require_own
from dataplane.handlers.verifying import Verifying
from dataplane.wire import xml_out
from dataplane.wire.checksums import checksum_headers
from dataplane.wire.conditions import ReadConditions, WriteConditions, range_applies, read_remove_conditions
from dataplane.wire.faults import fault_of, message_of
from dataplane.wire.headers import quoted, read_object_headers, read_response_overrides
from dataplane.wire.parameters import read_part_wish, read_version_id
from dataplane.wire.ranges import parse_range
from dataplane.wire.requests import ListedDelete, read_delete
from dataplane.wire.xml_out import Deleted, DeleteFailure
from engine.errors import EngineError
from engine.objects.parts import Parts, PlacedPart
from engine.objects.read import Reader, Span
from engine.objects.remove import RemoveOrder, Remover
from engine.objects.write import PutOrder, Writer
from engine.records import Removed, Version
from engine.streams import Checksum


class ObjectHandlers:
    """Parse, call the engine, describe the answer, stream it. Engine errors pass through."""

    def __init__(self, reader: Reader, writer: Writer, remover: Remover, parts: Parts) -> None:
        self._reader = reader
        self._verifying = Verifying(reader)
        self._parts = parts
        self._writer = writer
        self._remover = remover

    def get_object(self, exchange: Exchange, resp: Response) -> None:
        """The current version, or the one range asked for."""
        self._read(exchange, resp, with_body=True)

    def head_object(self, exchange: Exchange, resp: Response) -> None:
        """All that GetObject says, without touching a backend."""
        self._read(exchange, resp, with_body=False)

    def _read(self, exchange: Exchange, resp: Response, *, with_body: bool) -> None:
        version_id, part_number = None, None
        if exchange.target.query:
            version_id = read_version_id(exchange.target.get("versionId"))
            part_number = read_part_wish(exchange.target, exchange.headers)
        stored = self._reader.find(exchange.bucket, exchange.key, version_id)
        require_own(exchange, stored.bucket)
        if stored.degraded_age_s is not None:
            resp.set_header("x-penstock-degraded", f"age={stored.degraded_age_s:.0f}")
        version, headers = stored.version, exchange.headers
        etag, modified_at_us = version.etag, version.created_at_us
        if not ReadConditions.of(headers).hold(etag, modified_at_us):
            answer_not_modified(resp, stored)
            return
        asked, part = None, None
        if "range" in headers and range_applies(headers, etag=etag, modified_at_us=modified_at_us):
            ranged = parse_range(headers["range"], version.size_bytes)
            asked = None if ranged is None else Span(start=ranged.start, stop=ranged.stop)
        elif part_number is not None:
            part = self._parts.find(stored, part_number)
            asked = part.span
        span = asked or Span(start=0, stop=version.size_bytes)
        describe_version(
            resp,
            stored,
            headers,
            read_response_overrides(exchange.target),
            checksums=version.checksums if asked is None else _checksums_of(version, asked, part),
        )
        if part_number is not None and version.part_count is not None:
            resp.set_header("x-amz-mp-parts-count", str(version.part_count))
        if asked is None or span.start == span.stop:
            # A part may be empty, and Content-Range has no words for that.
            resp.status = HTTP_200
        else:
            resp.status = HTTP_206
            resp.set_header("Content-Range", f"bytes {span.start}-{span.stop - 1}/{version.size_bytes}")
        resp.content_length = span.stop - span.start
        if not with_body:
            self._verifying.answer(exchange, resp, stored)
        elif span.stop > span.start:
            # The server drives a region source itself; Falcon only hands it through.
            may_pipe = exchange.environ["wsgi.url_scheme"] == "http"
            resp.stream = self._reader.open(stored, span, may_pipe=may_pipe)  # type: ignore[assignment]

    def put_object(self, exchange: Exchange, resp: Response) -> None:
        """The answer comes after bytes and metadata are durable."""
        headers = exchange.headers
        conditions = WriteConditions.of(headers)
        order = PutOrder(
            bucket=exchange.bucket,
            key=exchange.key,
            account_id=exchange.identity.account_id,
            found=exchange.own_bucket,
            headers=read_object_headers(headers),
            if_none_match=conditions.if_none_match,
            if_match_etag=conditions.if_match_etag,
        )
        written = self._writer.put(order, exchange.object_body())
        resp.status = HTTPStatus.OK
        resp.content_type = None
        resp.set_header("ETag", quoted(written.etag))
        tell_version_id(resp, written.version.shown_version_id)
        for name, value in checksum_headers(written.checksums):
            resp.set_header(name, value)

    def delete_object(self, exchange: Exchange, resp: Response) -> None:
        """204 also for a key or version that is not there; a marker, made or removed, is told of."""
        version_id = read_version_id(exchange.target.get("versionId"))
        conditions = read_remove_conditions(exchange.headers)
        order = RemoveOrder(key=exchange.key, version_id=version_id, conditions=conditions)
        removed = self._remover.delete(exchange.bucket, order, exchange.identity.account_id)
        resp.status = HTTPStatus.NO_CONTENT
        resp.content_type = None
        if removed.is_delete_marker:
            resp.set_header(DELETE_MARKER_FIELD, "true")
        tell_version_id(resp, version_id or removed.shown_version_id)

    def delete_objects(self, exchange: Exchange, resp: Response) -> None:
        """Each key on its own; the answer lists exactly what is gone and what is not."""
        request = read_delete(exchange.read_document(needs_digest=True))
        orders = [
            RemoveOrder(key=entry.key, version_id=entry.version_id, conditions=entry.conditions)
            for entry in request.entries
        ]
        outcomes = self._remover.delete_many(exchange.bucket, orders, exchange.identity.account_id)
        failures: list[DeleteFailure] = []
        deleted: list[Deleted] = []
        for entry, outcome in zip(request.entries, outcomes, strict=True):
            if isinstance(outcome, EngineError):
                failures.append(_failure(entry, outcome))
            else:
                deleted.append(_deleted(entry, outcome))
        answer_xml(resp, xml_out.delete_result(() if request.is_quiet else deleted, failures))


def _checksums_of(version: Version, asked: Span, part: PlacedPart | None) -> Sequence[Checksum]:
    """Only those of exactly the bytes that are sent: clients hold what they get against them."""
    if part is not None and part.checksum is not None:
        return [part.checksum]
    return version.checksums if asked.stop - asked.start == version.size_bytes else ()


def _deleted(entry: ListedDelete, removed: Removed) -> Deleted:
    marker_id = removed.version_id if removed.is_delete_marker else None
    return Deleted(key=entry.key, version_id=entry.version_id, marker_version_id=marker_id)


def _failure(entry: ListedDelete, error: EngineError) -> DeleteFailure:
    return DeleteFailure(
        key=entry.key, version_id=entry.version_id, code=fault_of(error).code, message=message_of(error)
    )
