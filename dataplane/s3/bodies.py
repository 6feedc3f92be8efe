"""Object bodies as the engine reads them: plain or aws-chunked, with what the sender promised about them."""

from collections.abc import Mapping
from typing import Protocol

from dataplane.s3.aws_chunked import AwsChunkedReader, ChunkSigner, check_announced
from dataplane.s3.faults import EntityTooLarge, InvalidArgument, InvalidRequest, MissingContentLength
from dataplane.s3.headers import (
    checksum_from,
    read_checksum,
    read_content_md5,
    sdk_algorithm,
    trailer_names,
)
from dataplane.s3.sigv4 import PayloadKind, Proof
from engine.streams import Checksum, ChecksumAlgorithm, DigestPlan, ExpectedDigests
from engine.units import PUT_SIZE_MAX_BYTES


class RawBody(Protocol):
    """The request's body off the wire. `size_bytes` is its Content-Length, null where there is none."""

    size_bytes: int | None

    def readinto(self, buffer: memoryview, /) -> int: ...


class PlainBody:
    """A body that is the plaintext itself."""

    def __init__(self, raw: RawBody, size_bytes: int, plan: DigestPlan, expected: ExpectedDigests) -> None:
        self.size_bytes = size_bytes
        self.plan = plan
        self.readinto = raw.readinto
        self._expected = expected

    def finish(self) -> ExpectedDigests:
        return self._expected


class ChunkedBody:
    """A body framed by aws-chunked; its checksum may come as a trailer."""

    def __init__(
        self, reader: AwsChunkedReader, size_bytes: int, plan: DigestPlan, expected: ExpectedDigests
    ) -> None:
        self.size_bytes = size_bytes
        self.plan = plan
        self.readinto = reader.readinto
        self._reader = reader
        self._expected = expected

    def finish(self) -> ExpectedDigests:
        self._reader.finish()
        for name, value in self._reader.trailers.items():
            return ExpectedDigests(md5=self._expected.md5, checksum=checksum_from(name, value))
        return self._expected


def object_body(raw: RawBody, headers: Mapping[str, str], proof: Proof) -> PlainBody | ChunkedBody:
    """The plaintext of an upload. Everything that can be refused before a byte is read is refused here."""
    size_bytes = _plaintext_bytes(raw, headers, proof.payload)
    if size_bytes > PUT_SIZE_MAX_BYTES:
        raise EntityTooLarge(
            "Your proposed upload exceeds the maximum allowed size",
            ProposedSize=str(size_bytes),
            MaxSizeAllowed=str(PUT_SIZE_MAX_BYTES),
        )
    checksum = read_checksum(headers)
    trailers = trailer_names(headers)
    algorithms = _algorithms(headers, checksum, trailers)
    expected = ExpectedDigests(md5=read_content_md5(headers), sha256=proof.payload_sha256, checksum=checksum)
    plan = DigestPlan(sha256=proof.payload_sha256 is not None, checksums=algorithms)
    if not proof.payload.is_chunked:
        return PlainBody(raw, size_bytes, plan, expected)
    if proof.payload.has_trailer:
        check_announced(trailers)
    signer = None
    if proof.payload.has_signed_chunks:
        signer = ChunkSigner(
            signing_key=proof.signing_key, scope=proof.scope, date=proof.date, seed=proof.signature
        )
    reader = AwsChunkedReader(
        raw,
        decoded_bytes=size_bytes,
        signer=signer,
        trailers=trailers,
        has_trailer=proof.payload.has_trailer,
    )
    return ChunkedBody(reader, size_bytes, plan, expected)


def _plaintext_bytes(raw: RawBody, headers: Mapping[str, str], payload: PayloadKind) -> int:
    if not payload.is_chunked:
        if raw.size_bytes is None:
            raise MissingContentLength("You must provide the Content-Length HTTP header.")
        return raw.size_bytes
    text = headers.get("x-amz-decoded-content-length")
    if text is None:
        raise MissingContentLength("You must provide the x-amz-decoded-content-length header.")
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise InvalidArgument("x-amz-decoded-content-length is not a number", ArgumentValue=text[:40])
    return int(text)


def _algorithms(
    headers: Mapping[str, str], checksum: Checksum | None, trailers: tuple[str, ...]
) -> tuple[ChecksumAlgorithm, ...]:
    """What to compute: the checksum given, the one that will come, or the one an SDK says it uses."""
    wanted = sdk_algorithm(headers)
    announced = [name for name in trailers if name.startswith("x-amz-checksum-")]
    named = checksum.algorithm if checksum is not None else None
    if announced:
        if named is not None:
            raise InvalidRequest("Expecting a single x-amz-checksum- header")
        named = checksum_algorithm_of(announced[0])
    if wanted is not None and named is not None and wanted is not named:
        raise InvalidRequest("x-amz-sdk-checksum-algorithm does not name the checksum that was given")
    chosen = named or wanted
    return () if chosen is None else (chosen,)


def checksum_algorithm_of(trailer: str) -> ChecksumAlgorithm:
    try:
        return ChecksumAlgorithm(trailer.removeprefix("x-amz-checksum-").upper())
    except ValueError as error:
        raise InvalidRequest("The value specified in x-amz-trailer is not supported") from error
