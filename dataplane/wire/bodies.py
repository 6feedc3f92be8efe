"""Request bodies as the engine reads them: plain or aws-chunked, with what the sender promised about them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from dataplane.wire.aws_chunked import AwsChunkedReader, ChunkSignatures
from dataplane.wire.checksums import (
    CHECKSUM_FIELDS,
    SDK_ALGORITHM_FIELD,
    read_algorithm,
    read_checksum,
    read_checksum_value,
    read_content_md5,
)
from dataplane.wire.payload import Payload
from dataplane.wire.refusals import IncompleteBody, InvalidArgument, InvalidRequest, MissingContentLength
from dataplane.wire.xml_in import DOCUMENT_BYTES_MAX, require_size
from engine.errors import ObjectTooLarge
from engine.integrity.digests import BodyDigests
from engine.streams import DigestPlan, ExpectedDigests
from engine.units import PUT_SIZE_MAX_BYTES

DECODED_LENGTH_FIELD = "x-amz-decoded-content-length"
TRAILER_FIELD = "x-amz-trailer"
_LENGTH_DIGITS_MAX = 19


class RawBody(Protocol):
    """A request's body off the wire. `size_bytes` is its Content-Length, None where there is none.

    `readinto` fills at most the buffer and returns 0 at the end, also at an end that comes too early.
    """

    @property
    def size_bytes(self) -> int | None: ...

    def readinto(self, buffer: memoryview, /) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What a request's headers say about its plaintext: digests to hold it against, and a checksum yet to come."""

    expected: ExpectedDigests
    plan: DigestPlan
    trailer: str | None = None


class PlainBody:
    """A body that is the plaintext itself: the BodySource of a signed or unsigned payload."""

    def __init__(self, raw: RawBody, *, size_bytes: int, promise: Promise) -> None:
        self.size_bytes = size_bytes
        self.plan = promise.plan
        self._raw = raw
        self._left_bytes = size_bytes
        self._promise = promise

    def readinto(self, buffer: memoryview, /) -> int:
        """0 exactly at the end of the announced size; raises IncompleteBody when the wire ends before it."""
        if self._left_bytes == 0:
            return 0
        count = self._raw.readinto(buffer[: self._left_bytes] if self._left_bytes < len(buffer) else buffer)
        if count == 0 and len(buffer):
            raise IncompleteBody
        self._left_bytes -= count
        return count

    def finish(self) -> ExpectedDigests:
        return self._promise.expected


class ChunkedBody:
    """A body framed by aws-chunked: the BodySource of the streaming payloads."""

    def __init__(self, reader: AwsChunkedReader, *, size_bytes: int, promise: Promise) -> None:
        self.size_bytes = size_bytes
        self.plan = promise.plan
        self.readinto = reader.readinto
        self._reader = reader
        self._promise = promise

    def finish(self) -> ExpectedDigests:
        """Read the last chunk and the trailers; raises what they got wrong."""
        self._reader.finish()
        trailer, expected = self._promise.trailer, self._promise.expected
        if trailer is None:
            return expected
        checksum = read_checksum_value(
            CHECKSUM_FIELDS[trailer], self._reader.trailers[trailer], what=f"{trailer} trailing header"
        )
        return ExpectedDigests(md5=expected.md5, sha256=expected.sha256, checksum=checksum)


def object_body(
    raw: RawBody,
    headers: Mapping[str, str],
    payload: Payload,
    *,
    signatures: ChunkSignatures | None = None,
    max_bytes: int = PUT_SIZE_MAX_BYTES,
) -> PlainBody | ChunkedBody:
    """The plaintext of an upload; everything that can be refused before a byte is read is refused here.

    `signatures` expects the signatures of chunks and must be there when the payload's chunks are signed.
    Raises ObjectTooLarge, and WireError for lengths, digests and checksums that contradict themselves or each other.
    """
    size_bytes = _plaintext_bytes(raw, headers, payload)
    if size_bytes > max_bytes:
        raise ObjectTooLarge(size_bytes=size_bytes, max_bytes=max_bytes)
    promise = read_promise(headers, payload)
    if not payload.is_chunked:
        return PlainBody(raw, size_bytes=size_bytes, promise=promise)
    assert (signatures is not None) == payload.has_signed_chunks, (
        "signed chunks need a verifier, others have none"
    )
    if raw.size_bytes is not None and size_bytes > raw.size_bytes:
        # Framing only adds: room for what cannot come is not even looked for.
        raise IncompleteBody
    reader = AwsChunkedReader(
        raw,
        decoded_bytes=size_bytes,
        signatures=signatures,
        has_trailer=payload.has_trailer,
        trailers=() if promise.trailer is None else (promise.trailer,),
    )
    return ChunkedBody(reader, size_bytes=size_bytes, promise=promise)


def read_promise(headers: Mapping[str, str], payload: Payload) -> Promise:
    """Content-MD5, the payload's hash and the one checksum, given as a header or announced as a trailer.

    Raises InvalidRequest for two checksums, and for an SDK algorithm that is not the one given or comes without any.
    """
    checksum = read_checksum(headers)
    trailer = _announced_trailer(headers, payload)
    if checksum is not None and trailer is not None:
        raise InvalidRequest("Expecting a single x-amz-checksum- header")
    given = checksum.algorithm if checksum is not None else CHECKSUM_FIELDS.get(trailer or "")
    named = read_algorithm(headers, SDK_ALGORITHM_FIELD)
    if named is not None and given is None:
        raise InvalidRequest(
            f"{SDK_ALGORITHM_FIELD} specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers "
            "were found."
        )
    if named is not None and named is not given:
        raise InvalidRequest(f"Value for {SDK_ALGORITHM_FIELD} header is invalid.")
    return Promise(
        expected=ExpectedDigests(md5=read_content_md5(headers), sha256=payload.sha256, checksum=checksum),
        plan=DigestPlan(sha256=payload.sha256 is not None, checksums=() if given is None else (given,)),
        trailer=trailer,
    )


def read_document(
    raw: RawBody,
    headers: Mapping[str, str],
    payload: Payload,
    *,
    max_bytes: int = DOCUMENT_BYTES_MAX,
    needs_digest: bool = False,
    has_checksum: bool = True,
) -> bytes:
    """A whole XML body, held against its digests before anybody parses it.

    `has_checksum` is false where x-amz-checksum-* headers speak of an object and not of this body.
    Raises MaxMessageLengthExceeded by the announced length, before a byte is read; MissingContentLength;
    IncompleteBody; DigestMismatch; InvalidRequest when `needs_digest` and neither Content-MD5 nor a checksum came.
    """
    require_size(raw.size_bytes, max_bytes=max_bytes)
    if raw.size_bytes is None:
        raise MissingContentLength
    if not has_checksum:
        headers = {name: value for name, value in headers.items() if "checksum" not in name}
    promise = read_promise(headers, payload)
    expected = promise.expected
    if needs_digest and expected.md5 is None and expected.checksum is None:
        raise InvalidRequest("Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
    body = PlainBody(raw, size_bytes=raw.size_bytes, promise=promise)
    buffer = bytearray(body.size_bytes)
    view, filled = memoryview(buffer), 0
    while filled < len(buffer):
        filled += body.readinto(view[filled:])
    digests = BodyDigests(body.plan)
    digests.update(buffer)
    digests.check(expected)
    return bytes(buffer)


def _plaintext_bytes(raw: RawBody, headers: Mapping[str, str], payload: Payload) -> int:
    if not payload.is_chunked:
        if raw.size_bytes is None:
            raise MissingContentLength
        return raw.size_bytes
    text = headers.get(DECODED_LENGTH_FIELD)
    if text is None:
        raise MissingContentLength(f"You must provide the {DECODED_LENGTH_FIELD} HTTP header.")
    if not text.isascii() or not text.isdigit() or len(text) > _LENGTH_DIGITS_MAX:
        raise InvalidArgument(f"{DECODED_LENGTH_FIELD} is no number", name=DECODED_LENGTH_FIELD, value=text)
    return int(text)


def _announced_trailer(headers: Mapping[str, str], payload: Payload) -> str | None:
    """The one checksum that x-amz-trailer announces; anything else there is refused before the body is read."""
    text = headers.get(TRAILER_FIELD)
    if text is None:
        return None
    if not payload.has_trailer:
        raise InvalidRequest(f"{TRAILER_FIELD} needs a payload with trailing headers.")
    names = [name.strip(" \t").lower() for name in text.split(",")]
    if len(names) != 1 or names[0] not in CHECKSUM_FIELDS:
        raise InvalidRequest(f"The value specified in the {TRAILER_FIELD} header is not supported")
    return names[0]
