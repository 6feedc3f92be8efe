"""CreateMultipartUpload, UploadPart, CompleteMultipartUpload, AbortMultipartUpload and the listings of both."""

from http import HTTPStatus

from falcon import Response

from dataplane.exchange import Exchange
from dataplane.handlers.answers import (
    answer_xml,
    read_count,
    read_encoding,
    read_part_number,
    read_upload_id,
)
from dataplane.handlers.listings import read_listing
from dataplane.handlers.objects import check_digests
from dataplane.s3 import documents
from dataplane.s3.bodies import object_body
from dataplane.s3.faults import InvalidRequest, NotImplementedYet
from dataplane.s3.headers import (
    checksum_headers,
    read_algorithm,
    read_checksum,
    read_content_md5,
    read_object_headers,
)
from dataplane.s3.xml_in import COMPLETE_BYTES_MAX, read_complete
from engine.metadata.uploads import LAST_ID
from engine.objects.complete import Completer, CompleteRequest
from engine.objects.multipart import Multipart, UploadOrder
from engine.streams import ChecksumAlgorithm, ChecksumType, ExpectedDigests


class MultipartHandlers:
    """Upload ids are 32 hex digits on the wire."""

    def __init__(self, multipart: Multipart, completer: Completer) -> None:
        self._multipart = multipart
        self._completer = completer

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
        document = documents.initiate_upload(
            bucket=exchange.bucket, key=exchange.key, upload_id=upload_id.hex()
        )
        answer_xml(resp, document)

    def upload_part(self, exchange: Exchange, resp: Response) -> None:
        """The answer comes after bytes and metadata are durable."""
        part_number = read_part_number(exchange.target)
        upload_id = read_upload_id(exchange.target)
        body = object_body(exchange.raw_body, exchange.headers, exchange.proof)
        written = self._multipart.put_part(upload_id, exchange.bucket, exchange.key, part_number, body)
        resp.status = HTTPStatus.OK
        resp.content_type = None
        resp.set_header("ETag", f'"{written.etag}"')
        for name, value in checksum_headers(written.checksums):
            if name != "x-amz-checksum-type":
                resp.set_header(name, value)

    def complete(self, exchange: Exchange, resp: Response) -> None:
        """No byte is copied; the same list again is answered the same."""
        headers = exchange.headers
        if "if-match" in headers or "if-none-match" in headers:
            raise NotImplementedYet("conditions on CompleteMultipartUpload are not implemented")
        upload_id = read_upload_id(exchange.target)
        raw = exchange.read_document(COMPLETE_BYTES_MAX)
        check_digests(
            raw, ExpectedDigests(md5=read_content_md5(headers), sha256=exchange.proof.payload_sha256)
        )
        size_text = headers.get("x-amz-mp-object-size")
        if size_text is not None and not (
            size_text.isascii() and size_text.isdigit() and len(size_text) < 20
        ):
            raise InvalidRequest("x-amz-mp-object-size is not a number")
        completed = self._completer.complete(
            CompleteRequest(
                upload_id=upload_id,
                bucket=exchange.bucket,
                key=exchange.key,
                parts=read_complete(raw),
                checksum=read_checksum(headers, may_be_composite=True),
                size_bytes=None if size_text is None else int(size_text),
            )
        )
        host = headers.get("host", "")
        document = documents.complete_upload(
            location=f"http://{host}{exchange.target.raw_path.decode('latin-1')}",
            bucket=exchange.bucket,
            key=exchange.key,
            etag=completed.etag,
            checksums=completed.checksums,
        )
        answer_xml(resp, document)

    def abort(self, exchange: Exchange, resp: Response) -> None:
        self._multipart.abort(read_upload_id(exchange.target), exchange.bucket, exchange.key)
        resp.status = HTTPStatus.NO_CONTENT
        resp.content_type = None

    def list_parts(self, exchange: Exchange, resp: Response) -> None:
        target = exchange.target
        marker = (
            read_count(target, "part-number-marker", default=10_000) if "part-number-marker" in target else 0
        )
        max_parts = read_count(target, "max-parts")
        page = self._multipart.list_parts(
            read_upload_id(target), exchange.bucket, exchange.key, after=marker, count_max=max_parts
        )
        document = documents.list_parts(
            page.upload,
            page.parts,
            bucket=exchange.bucket,
            marker=marker,
            max_parts=max_parts,
            is_truncated=page.next_after is not None,
            encode=read_encoding(target),
        )
        answer_xml(resp, document)

    def list_uploads(self, exchange: Exchange, resp: Response) -> None:
        request = read_listing(exchange, "max-uploads")
        key_marker = (exchange.target.get("key-marker") or "").encode("utf-8")
        id_marker = exchange.target.get("upload-id-marker") or ""
        try:
            after_id = bytes.fromhex(id_marker) if id_marker else LAST_ID
        except ValueError:
            after_id = LAST_ID
        page = self._multipart.list_uploads(
            exchange.bucket,
            prefix=request.prefix,
            delimiter=request.delimiter,
            after_key=key_marker,
            after_upload_id=after_id,
            count_max=request.max_keys,
        )
        answer_xml(resp, documents.list_uploads(page, request, key_marker=key_marker, id_marker=id_marker))


def _read_checksum_wish(exchange: Exchange) -> tuple[ChecksumAlgorithm | None, ChecksumType | None]:
    """Algorithm and type of the upload's checksum; CRC64NVME is always of the full object, SHA never is."""
    text = exchange.headers.get("x-amz-checksum-algorithm")
    kind_text = exchange.headers.get("x-amz-checksum-type")
    if text is None:
        if kind_text is not None:
            raise InvalidRequest(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
            )
        return None, None
    algorithm = read_algorithm(text)
    is_sha = algorithm in (ChecksumAlgorithm.SHA1, ChecksumAlgorithm.SHA256)
    default = ChecksumType.FULL_OBJECT if algorithm is ChecksumAlgorithm.CRC64NVME else ChecksumType.COMPOSITE
    try:
        kind = default if kind_text is None else ChecksumType(kind_text.upper())
    except ValueError as error:
        raise InvalidRequest("Value for x-amz-checksum-type header is invalid.") from error
    if (kind is ChecksumType.FULL_OBJECT and is_sha) or (
        kind is ChecksumType.COMPOSITE and algorithm is ChecksumAlgorithm.CRC64NVME
    ):
        raise InvalidRequest(
            f"The {kind.value} checksum type cannot be used with the {text.lower()} checksum algorithm."
        )
    return algorithm, kind
