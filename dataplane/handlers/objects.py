"""GetObject, HeadObject, PutObject, DeleteObject, DeleteObjects."""

from http import HTTPStatus

from falcon import Response

from dataplane.exchange import Exchange
from dataplane.handlers.answers import answer_not_modified, answer_xml, check_version_id, describe_version
from dataplane.s3 import documents
from dataplane.s3.bodies import object_body
from dataplane.s3.conditions import check_read_conditions, has_read_conditions
from dataplane.s3.faults import InvalidRequest, NotImplementedYet, fault_of
from dataplane.s3.headers import (
    checksum_headers,
    read_checksum,
    read_content_md5,
    read_object_headers,
    read_overrides,
)
from dataplane.s3.ranges import parse_range
from dataplane.s3.xml_in import BODY_BYTES_MAX, read_delete
from engine.errors import EngineError
from engine.integrity.digests import BodyDigests
from engine.objects.read import Reader, Span
from engine.objects.remove import Remover
from engine.objects.write import PutOrder, Writer
from engine.streams import DigestPlan, ExpectedDigests


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
        version, headers = stored.version, exchange.headers
        if has_read_conditions(headers) and not check_read_conditions(
            headers, etag=version.etag, modified_us=version.created_at_us
        ):
            answer_not_modified(resp, version)
            return
        asked = parse_range(headers.get("range"), version.size_bytes) if "range" in headers else None
        describe_version(resp, version, headers, read_overrides(exchange.target.query))
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
        if_none_match = headers.get("if-none-match")
        if if_none_match not in (None, "*"):
            raise NotImplementedYet(
                "If-None-Match with an ETag is not implemented for writes", Header="If-None-Match"
            )
        if_match = headers.get("if-match")
        order = PutOrder(
            bucket=exchange.bucket,
            key=exchange.key,
            account_id=exchange.identity.account_id,
            headers=read_object_headers(headers),
            if_none_match=if_none_match is not None,
            if_match_etag=None if if_match is None else if_match.strip('"'),
        )
        written = self._writer.put(order, object_body(exchange.raw_body, headers, exchange.proof))
        resp.status = HTTPStatus.OK
        resp.content_type = None
        resp.set_header("ETag", f'"{written.etag}"')
        for name, value in checksum_headers(written.checksums):
            resp.set_header(name, value)

    def delete_object(self, exchange: Exchange, resp: Response) -> None:
        """204 also for a key that is not there."""
        check_version_id(exchange.target)
        if "if-match" in exchange.headers:
            raise NotImplementedYet("If-Match is not implemented for deletes", Header="If-Match")
        self._remover.delete(exchange.bucket, exchange.key)
        resp.status = HTTPStatus.NO_CONTENT
        resp.content_type = None

    def delete_objects(self, exchange: Exchange, resp: Response) -> None:
        """Each key on its own; the answer lists exactly what is gone and what is not."""
        raw = exchange.read_document(BODY_BYTES_MAX)
        _check_document(exchange, raw)
        request = read_delete(raw)
        errors: list[tuple[bytes, str, str]] = []
        keys = []
        for entry in request.entries:
            if entry.version_id not in (None, "", "null"):
                errors.append((entry.key, "NoSuchVersion", "The specified version does not exist."))
            elif entry.checked is None:
                assert entry.error is not None
                errors.append((entry.key, fault_of(entry.error).code, str(entry.error)))
            else:
                keys.append(entry.checked)
        deleted: list[bytes] = []
        for key, outcome in zip(keys, self._remover.delete_many(exchange.bucket, keys), strict=True):
            if isinstance(outcome, EngineError):
                errors.append((key, fault_of(outcome).code, str(outcome)))
            else:
                deleted.append(key)
        answer_xml(resp, documents.delete_result(() if request.is_quiet else deleted, errors))


def _check_document(exchange: Exchange, raw: bytes) -> None:
    """A batch delete must prove its body: Content-MD5, a checksum, or a signed digest."""
    md5, checksum = read_content_md5(exchange.headers), read_checksum(exchange.headers)
    if md5 is None and checksum is None and exchange.proof.payload_sha256 is None:
        raise InvalidRequest("Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
    check_digests(raw, ExpectedDigests(md5=md5, sha256=exchange.proof.payload_sha256, checksum=checksum))


def check_digests(raw: bytes, expected: ExpectedDigests) -> None:
    """Hold a whole document against what its sender promised; raises DigestMismatch."""
    algorithms = () if expected.checksum is None else (expected.checksum.algorithm,)
    digests = BodyDigests(DigestPlan(sha256=expected.sha256 is not None, checksums=algorithms))
    digests.update(raw)
    digests.check(expected)
