"""CreateMultipartUpload, UploadPart, CompleteMultipartUpload, AbortMultipartUpload and the listings of both."""

from http import HTTPStatus

from falcon import Response

from dataplane.exchange import Exchange
from dataplane.handlers.answers import answer_xml, tell_version_id
from dataplane.handlers.long_work import LongWork
from dataplane.wire import xml_out
from dataplane.wire.checksums import checksum_headers, read_algorithm, read_checksum, read_checksum_type
from dataplane.wire.conditions import WriteConditions
from dataplane.wire.headers import quoted, read_object_headers
from dataplane.wire.parameters import (
    read_list_parts,
    read_list_uploads,
    read_object_size,
    read_part_number,
    read_upload_id,
)
from dataplane.wire.refusals import InvalidRequest
from dataplane.wire.requests import COMPLETE_BYTES_MAX, read_complete
from engine.metadata.uploads import LAST_ID
from engine.objects.complete import Completed, CompleteRequest
from engine.objects.multipart import Multipart, UploadOrder
from engine.streams import ChecksumAlgorithm, ChecksumType


class MultipartHandlers:
    """Upload ids are 32 hex digits on the wire."""

    def __init__(self, multipart: Multipart, long_work: LongWork) -> None:
        self._multipart = multipart
        self._long_work = long_work

    def create(self, exchange: Exchange, resp: Response) -> None:
        algorithm, kind = _read_checksum_wish(exchange)
        upload_id = self._multipart.create(
            UploadOrder(
                bucket=exchange.bucket,
                key=exchange.key,
                account_id=exchange.identity.account_id,
                headers=read_object_headers(exchange.headers),
                checksum_algorithm=algorithm,
                checksum_type=kind,
            )
        )
        if algorithm is not None and kind is not None:
            resp.set_header("x-amz-checksum-algorithm", algorithm.value)
            resp.set_header("x-amz-checksum-type", kind.value)
        answer_xml(
            resp,
            xml_out.initiate_upload(bucket=exchange.bucket, key=exchange.key, upload_id=upload_id),
        )

    def upload_part(self, exchange: Exchange, resp: Response) -> None:
        """The answer comes after bytes and metadata are durable."""
        part_number = read_part_number(exchange.target)
        upload_id = read_upload_id(exchange.target)
        written = self._multipart.put_part(
            upload_id, exchange.bucket, exchange.key, part_number, exchange.object_body()
        )
        resp.status = HTTPStatus.OK
        resp.content_type = None
        resp.set_header("ETag", quoted(written.etag))
        for name, value in checksum_headers(written.checksums):
            if name != "x-amz-checksum-type":
                resp.set_header(name, value)

    def complete(self, exchange: Exchange, resp: Response) -> None:
        """No byte is copied; the same list again is answered the same. One that takes long is answered meanwhile."""
        headers = exchange.headers
        conditions = WriteConditions.of(headers)
        upload_id = read_upload_id(exchange.target)
        parts = read_complete(exchange.read_document(max_bytes=COMPLETE_BYTES_MAX, has_checksum=False))
        request = CompleteRequest(
            upload_id=upload_id,
            bucket=exchange.bucket,
            key=exchange.key,
            parts=parts,
            checksum=read_checksum(headers, may_be_composite=True),
            checksum_type=read_checksum_type(headers),
            size_bytes=read_object_size(headers),
            if_none_match=conditions.if_none_match,
            if_match_etag=conditions.if_match_etag,
        )
        scheme = exchange.environ["wsgi.url_scheme"]
        location = f"{scheme}://{headers.get('host', '')}{exchange.target.raw_path.decode('latin-1')}"

        def document(completed: Completed) -> bytes:
            return xml_out.complete_upload(
                location=location,
                bucket=exchange.bucket,
                key=exchange.key,
                etag=completed.etag,
                checksums=completed.checksums,
            )

        completed = self._long_work.run(exchange, resp, lambda: self._multipart.complete(request), document)
        if completed is not None:
            answer_xml(resp, document(completed))
            tell_version_id(resp, completed.version_id)

    def abort(self, exchange: Exchange, resp: Response) -> None:
        self._multipart.abort(read_upload_id(exchange.target), exchange.bucket, exchange.key)
        resp.status = HTTPStatus.NO_CONTENT
        resp.content_type = None

    def list_parts(self, exchange: Exchange, resp: Response) -> None:
        query = read_list_parts(exchange.target)
        page = self._multipart.list_parts(
            query.upload_id, exchange.bucket, exchange.key, after=query.after, count_max=query.limit
        )
        document = xml_out.list_parts(
            page.upload, page.parts, query, bucket=exchange.bucket, is_truncated=page.next_after is not None
        )
        answer_xml(resp, document)

    def list_uploads(self, exchange: Exchange, resp: Response) -> None:
        query = read_list_uploads(exchange.target)
        page = self._multipart.list_uploads(
            exchange.bucket,
            prefix=query.prefix,
            delimiter=query.delimiter,
            after_key=query.after,
            # A key marker alone passes over every upload of that key.
            after_upload_id=query.after_upload_id or LAST_ID,
            count_max=query.limit,
        )
        answer_xml(resp, xml_out.list_uploads(page, query, bucket=exchange.bucket))


def _read_checksum_wish(exchange: Exchange) -> tuple[ChecksumAlgorithm | None, ChecksumType | None]:
    """Algorithm and type of the upload's checksum; CRC64NVME is always of the full object, SHA never is."""
    algorithm = read_algorithm(exchange.headers, "x-amz-checksum-algorithm")
    asked = read_checksum_type(exchange.headers)
    if algorithm is None:
        if asked is not None:
            raise InvalidRequest(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
            )
        return None, None
    is_sha = algorithm in (ChecksumAlgorithm.SHA1, ChecksumAlgorithm.SHA256)
    default = ChecksumType.FULL_OBJECT if algorithm is ChecksumAlgorithm.CRC64NVME else ChecksumType.COMPOSITE
    kind = asked or default
    if (kind is ChecksumType.FULL_OBJECT and is_sha) or (
        kind is ChecksumType.COMPOSITE and algorithm is ChecksumAlgorithm.CRC64NVME
    ):
        raise InvalidRequest(
            f"The {kind.value} checksum type cannot be used with the {algorithm.value.lower()} checksum algorithm."
        )
    return algorithm, kind
