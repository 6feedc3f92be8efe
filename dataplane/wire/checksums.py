"""Checksums as headers and trailers carry them: Content-MD5 and the x-amz-checksum family."""

import base64
import binascii
from collections.abc import Iterable, Mapping

from dataplane.wire.refusals import InvalidDigest, InvalidRequest, NotImplementedYet
from engine.streams import Checksum, ChecksumAlgorithm, ChecksumType

DIGEST_BYTES: Mapping[ChecksumAlgorithm, int] = {
    ChecksumAlgorithm.CRC32: 4,
    ChecksumAlgorithm.CRC32C: 4,
    ChecksumAlgorithm.CRC64NVME: 8,
    ChecksumAlgorithm.SHA1: 20,
    ChecksumAlgorithm.SHA256: 32,
}
CHECKSUM_FIELDS: Mapping[str, ChecksumAlgorithm] = {
    f"x-amz-checksum-{algorithm.value.lower()}": algorithm for algorithm in ChecksumAlgorithm
}
UNBUILT_CHECKSUM_FIELDS = frozenset(
    f"x-amz-checksum-{name}" for name in ("md5", "sha512", "xxhash3", "xxhash64", "xxhash128")
)
SDK_ALGORITHM_FIELD = "x-amz-sdk-checksum-algorithm"
_DECLARING_FIELDS = frozenset({"x-amz-checksum-algorithm", "x-amz-checksum-type", "x-amz-checksum-mode"})
_PART_COUNT_DIGITS_MAX = 5


def read_content_md5(headers: Mapping[str, str]) -> bytes | None:
    """The 16 bytes of Content-MD5 (RFC 1864); raises WireError InvalidDigest for anything else."""
    text = headers.get("content-md5")
    if text is None:
        return None
    digest = _decoded(text)
    if digest is None or len(digest) != 16:
        raise InvalidDigest("The Content-MD5 you specified was invalid.", **{"Content-MD5": text[:256]})
    return digest


def read_checksum(headers: Mapping[str, str], *, may_be_composite: bool = False) -> Checksum | None:
    """The one x-amz-checksum-* header given; raises WireError for two, for a malformed one and for unbuilt ones.

    A composite value (`digest-N`) is taken only where asked, on CompleteMultipartUpload.
    """
    found = [name for name in headers if name in CHECKSUM_FIELDS]
    for name in headers:
        if name in UNBUILT_CHECKSUM_FIELDS:
            raise NotImplementedYet(name)
        if (
            name.startswith("x-amz-checksum-")
            and name not in CHECKSUM_FIELDS
            and name not in _DECLARING_FIELDS
        ):
            raise InvalidRequest(f"The algorithm of {name[:80]} is not known.")
    if not found:
        return None
    if len(found) > 1:
        raise InvalidRequest(
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        )
    name = found[0]
    return read_checksum_value(
        CHECKSUM_FIELDS[name], headers[name], what=f"{name} header", may_be_composite=may_be_composite
    )


def read_checksum_value(
    algorithm: ChecksumAlgorithm, text: str, *, what: str, may_be_composite: bool = False
) -> Checksum:
    """One value; `what` names its place in the message. Raises WireError InvalidRequest."""
    encoded, dash, count = text.partition("-")
    part_count: int | None = None
    if dash:
        is_count = count.isascii() and count.isdigit() and len(count) <= _PART_COUNT_DIGITS_MAX
        if not may_be_composite or not is_count:
            raise InvalidRequest(f"Value for {what} is invalid.")
        part_count = int(count)
    digest = _decoded(encoded)
    if digest is None or len(digest) != DIGEST_BYTES[algorithm]:
        raise InvalidRequest(f"Value for {what} is invalid.")
    return Checksum(
        algorithm=algorithm,
        digest=digest,
        type=ChecksumType.FULL_OBJECT if part_count is None else ChecksumType.COMPOSITE,
        part_count=part_count,
    )


def read_algorithm(headers: Mapping[str, str], name: str) -> ChecksumAlgorithm | None:
    """The algorithm a header names, such as x-amz-checksum-algorithm; raises WireError InvalidRequest."""
    text = headers.get(name)
    if text is None:
        return None
    if f"x-amz-checksum-{text.lower()}" in UNBUILT_CHECKSUM_FIELDS:
        raise NotImplementedYet(f"{name}: {text}")
    try:
        return ChecksumAlgorithm(text.upper())
    except ValueError as error:
        raise InvalidRequest(f"Value for {name} header is invalid.") from error


def read_checksum_type(headers: Mapping[str, str]) -> ChecksumType | None:
    """x-amz-checksum-type; raises WireError InvalidRequest for a value S3 does not know."""
    text = headers.get("x-amz-checksum-type")
    if text is None:
        return None
    try:
        return ChecksumType(text.upper())
    except ValueError as error:
        raise InvalidRequest("Value for x-amz-checksum-type header is invalid.") from error


def checksum_text(checksum: Checksum) -> str:
    """The value as headers and documents show it."""
    encoded = base64.b64encode(checksum.digest).decode("ascii")
    return encoded if checksum.part_count is None else f"{encoded}-{checksum.part_count}"


def checksum_headers(checksums: Iterable[Checksum]) -> list[tuple[str, str]]:
    """Response headers of stored checksums, their type with them."""
    headers = []
    checksum_type = None
    for each in checksums:
        headers.append((f"x-amz-checksum-{each.algorithm.value.lower()}", checksum_text(each)))
        checksum_type = each.type
    if checksum_type is not None:
        headers.append(("x-amz-checksum-type", checksum_type.value))
    return headers


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
