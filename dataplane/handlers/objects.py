"""GetObject, HeadObject, PutObject, DeleteObject, DeleteObjects."""

from http import HTTPStatus

from falcon import Response

from dataplane.exchange import Exchange
from dataplane.handlers.answers import answer_not_modified, answer_xml, check_version_id, describe_version
from dataplane.handlers.ownership import require_own
from dataplane.wire import xml_out
from dataplane.wire.checksums import checksum_headers
from dataplane.wire.conditions import ReadConditions, WriteConditions, range_applies
from dataplane.wire.faults import fault_of, message_of
from dataplane.wire.headers import quoted, read_object_headers, read_response_overrides
from dataplane.wire.ranges import parse_range
from dataplane.wire.refusals import NotImplementedYet
from dataplane.wire.requests import ListedDelete, read_delete
from dataplane.wire.xml_out import DeleteFailure
from engine.errors import EngineError, NoSuchVersion
from engine.objects.read import Reader, Span
from engine.objects.remove import Remover
from engine.objects.write import PutOrder, Writer
from engine.records import NULL_VERSION_ID


class ObjectHandlers:
    """Parse, call the engine, describe the answer, stream it. Engine errors pass through."""

    def __init__(self, reader: Reader, writer: Writer, remover: Remover) -> None:
        self._reader = reader
        self._writer = writer
        self._remover = remover

    def get_object(self, exchange: Exchange, resp: Response) -> None:
        """The current version, or the one range asked for."""
        self._read(exchange, resp, with_body=True)

    def head_object(self, exchange: Exchange, resp: Response) -> None:
        """All that GetObject says, without touching a backend."""
        self._read(exchange, resp, with_body=False)

    def _read(self, exchange: Exchange, resp: Response, *, with_body: bool) -> None:
        if exchange.target.query:
            check_version_id(exchange.target)
        stored = self._reader.find(exchange.bucket, exchange.key)
        require_own(exchange, stored.bucket)
        if stored.degraded_age_s is not None:
            resp.set_header("x-penstock-degraded", f"age={stored.degraded_age_s:.0f}")
        version, headers = stored.version, exchange.headers
        etag, modified_at_us = version.etag, version.created_at_us
        if not ReadConditions.of(headers).hold(etag, modified_at_us):
            answer_not_modified(resp, version)
            return
        asked = None
        if "range" in headers and range_applies(headers, etag=etag, modified_at_us=modified_at_us):
            asked = parse_range(headers["range"], version.size_bytes)
        describe_version(resp, version, headers, read_response_overrides(exchange.target))
        if asked is None:
            span = Span(start=0, stop=version.size_bytes)
            resp.status = HTTPStatus.OK
        else:
            span = Span(start=asked.start, stop=asked.stop)
            resp.status = HTTPStatus.PARTIAL_CONTENT
            resp.set_header("Content-Range", f"bytes {span.start}-{span.stop - 1}/{version.size_bytes}")
        resp.content_length = span.stop - span.start
        if with_body and span.stop > span.start:
            # The server drives a region source itself; Falcon only hands it through.
            resp.stream = self._reader.open(stored, span)  # type: ignore[assignment]

    def put_object(self, exchange: Exchange, resp: Response) -> None:
        """The answer comes after bytes and metadata are durable."""
        headers = exchange.headers
        conditions = WriteConditions.of(headers)
        order = PutOrder(
            bucket=exchange.bucket,
            key=exchange.key,
            account_id=exchange.identity.account_id,
            headers=read_object_headers(headers),
            if_none_match=conditions.if_none_match,
            if_match_etag=conditions.if_match_etag,
        )
        written = self._writer.put(order, exchange.object_body())
        resp.status = HTTPStatus.OK
        resp.content_type = None
        resp.set_header("ETag", quoted(written.etag))
        for name, value in checksum_headers(written.checksums):
            resp.set_header(name, value)

    def delete_object(self, exchange: Exchange, resp: Response) -> None:
        """204 also for a key that is not there."""
        check_version_id(exchange.target)
        if "if-match" in exchange.headers:
            raise NotImplementedYet("If-Match on DeleteObject")
        self._remover.delete(exchange.bucket, exchange.key, exchange.identity.account_id)
        resp.status = HTTPStatus.NO_CONTENT
        resp.content_type = None

    def delete_objects(self, exchange: Exchange, resp: Response) -> None:
        """Each key on its own; the answer lists exactly what is gone and what is not."""
        request = read_delete(exchange.read_document(needs_digest=True))
        # What a version id names is not there: buckets are unversioned, and `null` is what is current.
        current = [entry for entry in request.entries if entry.version_id in (None, NULL_VERSION_ID)]
        failures = [
            _failure(entry, NoSuchVersion(bucket=exchange.bucket, key=entry.key, version_id=entry.version_id))
            for entry in request.entries
            if entry.version_id is not None and entry.version_id != NULL_VERSION_ID
        ]
        deleted: list[bytes] = []
        outcomes = self._remover.delete_many(
            exchange.bucket, [entry.key for entry in current], exchange.identity.account_id
        )
        for entry, outcome in zip(current, outcomes, strict=True):
            if isinstance(outcome, EngineError):
                failures.append(_failure(entry, outcome))
            else:
                deleted.append(entry.key)
        answer_xml(resp, xml_out.delete_result(() if request.is_quiet else deleted, failures))


def _failure(entry: ListedDelete, error: EngineError) -> DeleteFailure:
    return DeleteFailure(
        key=entry.key, version_id=entry.version_id, code=fault_of(error).code, message=message_of(error)
    )
