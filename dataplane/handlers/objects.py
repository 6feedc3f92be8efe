"""GetObject, HeadObject, PutObject, DeleteObject: one object at a time."""

from http import HTTPStatus

from falcon import Request, Response

from dataplane.exchange import Exchange
from dataplane.handlers.answers import describe_version, not_modified
from dataplane.wire.bodies import body_source
from dataplane.wire.conditions import ReadConditions
from dataplane.wire.headers import checksum_headers, quoted, read_object_headers, read_response_overrides
from dataplane.wire.ranges import parse_range
from engine.objects.read import Reader, Span
from engine.objects.remove import Remover
from engine.objects.write import PutOrder, Writer


class ObjectHandlers:
    """Parse, call the engine, describe the answer, stream it. Engine errors pass through."""

    def __init__(self, reader: Reader, writer: Writer, remover: Remover) -> None:
        self._reader = reader
        self._writer = writer
        self._remover = remover

    def get_object(self, exchange: Exchange, req: Request, resp: Response) -> None:
        """Stream the current version, or the one range asked for."""
        self._read(exchange, resp, with_body=True)

    def head_object(self, exchange: Exchange, req: Request, resp: Response) -> None:
        """All that GetObject says, without touching a backend."""
        self._read(exchange, resp, with_body=False)

    def _read(self, exchange: Exchange, resp: Response, *, with_body: bool) -> None:
        stored = self._reader.find(exchange.bucket, exchange.key)
        version = stored.version
        if not ReadConditions.of(exchange.headers).hold(version.etag, version.created_at_us):
            not_modified(resp, version)
            return
        span = parse_range(exchange.headers.get("range"), version.size_bytes)
        describe_version(resp, version, exchange.headers, read_response_overrides(exchange.target.query))
        if span is None:
            resp.status = HTTPStatus.OK
            span = Span(start=0, stop=version.size_bytes)
        else:
            resp.status = HTTPStatus.PARTIAL_CONTENT
            resp.set_header("Content-Range", f"bytes {span.start}-{span.stop - 1}/{version.size_bytes}")
        resp.set_header("Content-Length", str(span.stop - span.start))
        if with_body and span.stop > span.start:
            resp.stream = self._reader.open(stored, span)

    def put_object(self, exchange: Exchange, req: Request, resp: Response) -> None:
        """Store the body; the answer comes after bytes and metadata are durable."""
        headers = read_object_headers(exchange.headers)
        body = body_source(exchange)
        self._writer.check_room(exchange.bucket, body.size_bytes)
        written = self._writer.put(
            PutOrder(
                bucket=exchange.bucket,
                key=exchange.key,
                account_id=exchange.identity.account_id,
                headers=headers,
            ),
            body,
        )
        resp.status = HTTPStatus.OK
        resp.set_header("ETag", quoted(written.etag))
        for name, value in checksum_headers(written.checksums):
            resp.set_header(name, value)

    def delete_object(self, exchange: Exchange, req: Request, resp: Response) -> None:
        """204 also for a key that is not there."""
        self._remover.delete(exchange.bucket, exchange.key)
        resp.status = HTTPStatus.NO_CONTENT
