"""Request and response headers of objects: what a version carries, what a body promises, what is refused by name."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from dataplane.s3.faults import (
    BadRequest,
    InvalidArgument,
    InvalidDigest,
    InvalidRequest,
    InvalidStorageClass,
    MetadataTooLarge,
    NotImplementedYet,
)
from engine.records import ObjectHeaders
from engine.streams import Checksum, ChecksumAlgorithm, ChecksumType

USER_METADATA_BYTES_MAX = 2048
SYSTEM_VALUE_BYTES_MAX = 8192
DEFAULT_CONTENT_TYPE = "binary/octet-stream"

_SYSTEM = ("cache-control", "content-disposition", "content-encoding", "content-language", "expires")
_USER_PREFIX = "x-amz-meta-"
_CHECKSUM_PREFIX = "x-amz-checksum-"
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_OVERRIDES = {
    "response-content-type": "content-type",
    "response-cache-control": "cache-control",
    "response-content-disposition": "content-disposition",
    "response-content-encoding": "content-encoding",
    "response-content-language": "content-language",
    "response-expires": "expires",
}
_CANNED_ACLS_AS_ENFORCED = frozenset({"private", "bucket-owner-full-control"})
_CANNED_ACLS = frozenset(
    {
        "public-read",
        "public-read-write",
        "aws-exec-read",
        "authenticated-read",
        "bucket-owner-read",
        "log-delivery-write",
    }
)
_REFUSED = (
    "x-amz-server-side-encryption",
    "x-amz-copy-source-server-side-encryption",
    "x-amz-object-lock-",
    "x-amz-bucket-object-lock-",
    "x-amz-grant-",
    "x-amz-tagging",
    "x-amz-website-redirect-location",
    "x-amz-write-offset-bytes",
    "x-amz-mfa",
    "x-amz-bypass-governance-retention",
)

DIGEST_BYTES = {
    ChecksumAlgorithm.CRC32: 4,
    ChecksumAlgorithm.CRC32C: 4,
    ChecksumAlgorithm.CRC64NVME: 8,
    ChecksumAlgorithm.SHA1: 20,
    ChecksumAlgorithm.SHA256: 32,
}


def joined(raw_headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by lower-case name, repeats joined with commas; raises BadRequest for a repeat that has no meaning."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw_headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name not in headers:
            headers[name] = value
        elif name in ("x-amz-date", "authorization", "content-type", "x-amz-content-sha256", "content-md5"):
            raise BadRequest(f"the header {name} is repeated")
        else:
            headers[name] = f"{headers[name]},{value}"
    return headers


def refuse_unbuilt(headers: Mapping[str, str]) -> None:
    """Headers that ask for what is not built are refused by name: nothing is silently left out."""
    for name in headers:
        if name.startswith("x-amz-") and name.startswith(_REFUSED):
            raise NotImplementedYet(f"the header {name} is not implemented", Header=name)
    acl = headers.get("x-amz-acl")
    if acl is not None and acl not in _CANNED_ACLS_AS_ENFORCED:
        if acl in _CANNED_ACLS:
            raise NotImplementedYet(
                f"the canned ACL {acl} is not implemented: owners are enforced", Header="x-amz-acl"
            )
        raise InvalidArgument("not a canned ACL", ArgumentName="x-amz-acl", ArgumentValue=acl[:100])


def read_object_headers(headers: Mapping[str, str]) -> ObjectHeaders:
    """What a version keeps of a request's headers."""
    storage_class = headers.get("x-amz-storage-class", "STANDARD")
    if storage_class != "STANDARD":
        raise InvalidStorageClass("the storage class you specified is not valid")
    user = {
        name.removeprefix(_USER_PREFIX): value.strip()
        for name, value in headers.items()
        if name.startswith(_USER_PREFIX)
    }
    size_bytes = sum(len(name) + len(value.encode("latin-1")) for name, value in user.items())
    if size_bytes > USER_METADATA_BYTES_MAX:
        raise MetadataTooLarge(
            "Your metadata headers exceed the maximum allowed metadata size",
            Size=str(size_bytes),
            MaxSizeAllowed=str(USER_METADATA_BYTES_MAX),
        )
    system = {name: headers[name] for name in _SYSTEM if name in headers}
    encoding = system.get("content-encoding")
    if encoding is not None:
        kept = ",".join(
            each.strip() for each in encoding.split(",") if each.strip() not in ("", "aws-chunked")
        )
        if kept:
            system["content-encoding"] = kept
        else:
            del system["content-encoding"]
    if any(len(value) > SYSTEM_VALUE_BYTES_MAX for value in system.values()):
        raise MetadataTooLarge("a system metadata header is too long")
    return ObjectHeaders(
        content_type=headers.get("content-type") or None,
        system=system,
        user=user,
        storage_class=storage_class,
    )


def write_object_headers(headers: ObjectHeaders, overrides: Mapping[str, str]) -> list[tuple[str, str]]:
    """Response headers of a version; `overrides` come from response-* query parameters."""
    answer = {"content-type": headers.content_type or DEFAULT_CONTENT_TYPE, **headers.system, **overrides}
    written = list(answer.items())
    written += [(_USER_PREFIX + name, value) for name, value in headers.user.items()]
    if headers.storage_class != "STANDARD":
        written.append(("x-amz-storage-class", headers.storage_class))
    return written


def read_overrides(query: Sequence[tuple[str, str]]) -> dict[str, str]:
    """response-* parameters by the header they replace; raises InvalidArgument for one that no header can hold."""
    overrides = {}
    for name, value in query:
        header = _OVERRIDES.get(name)
        if header is None:
            continue
        if _CONTROL.search(value) is not None or len(value) > SYSTEM_VALUE_BYTES_MAX:
            raise InvalidArgument("a header cannot hold this value", ArgumentName=name)
        overrides[header] = value if value.isascii() else quote(value, safe=" !#$%&'()*+,/:;=?@[]\"")
    return overrides


def read_content_md5(headers: Mapping[str, str]) -> bytes | None:
    """The 16 bytes of Content-MD5; raises InvalidDigest for anything else."""
    text = headers.get("content-md5")
    if text is None:
        return None
    digest = _base64(text)
    if digest is None or len(digest) != 16:
        raise InvalidDigest("The Content-MD5 you specified was invalid.")
    return digest


def read_checksum(headers: Mapping[str, str], *, may_be_composite: bool = False) -> Checksum | None:
    """The one x-amz-checksum- header of a request; raises InvalidRequest for two, a malformed or an unknown one."""
    given = {
        name: value
        for name, value in headers.items()
        if name.startswith(_CHECKSUM_PREFIX)
        and name not in ("x-amz-checksum-mode", "x-amz-checksum-type", "x-amz-checksum-algorithm")
    }
    if not given:
        return None
    if len(given) > 1:
        raise InvalidRequest(
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        )
    ((name, text),) = given.items()
    return checksum_from(name, text, may_be_composite=may_be_composite)


def checksum_from(header: str, text: str, *, may_be_composite: bool = False) -> Checksum:
    """A checksum from the name of its header or trailer and its Base64."""
    algorithm = read_algorithm(header.removeprefix(_CHECKSUM_PREFIX))
    value, dash, count = text.strip().partition("-")
    digest = _base64(value)
    if digest is None or len(digest) != DIGEST_BYTES[algorithm] or (dash and not may_be_composite):
        raise InvalidRequest(f"Value for {header} header is invalid.")
    if dash:
        if not count.isascii() or not count.isdigit():
            raise InvalidRequest(f"Value for {header} header is invalid.")
        return Checksum(
            algorithm=algorithm, digest=digest, type=ChecksumType.COMPOSITE, part_count=int(count)
        )
    return Checksum(algorithm=algorithm, digest=digest)


def read_algorithm(text: str) -> ChecksumAlgorithm:
    try:
        return ChecksumAlgorithm(text.upper())
    except ValueError as error:
        raise InvalidRequest("Checksum algorithm provided is unsupported.") from error


def sdk_algorithm(headers: Mapping[str, str]) -> ChecksumAlgorithm | None:
    """What x-amz-sdk-checksum-algorithm names."""
    text = headers.get("x-amz-sdk-checksum-algorithm")
    return None if text is None else read_algorithm(text)


def checksum_headers(checksums: Sequence[Checksum]) -> list[tuple[str, str]]:
    """x-amz-checksum-* and x-amz-checksum-type of stored checksums."""
    written = []
    for each in checksums:
        written.append((_CHECKSUM_PREFIX + each.algorithm.value.lower(), checksum_text(each)))
        written.append(("x-amz-checksum-type", each.type.value))
    return written


def checksum_text(checksum: Checksum) -> str:
    """Base64, with `-N` behind a composite one."""
    text = base64.b64encode(checksum.digest).decode("ascii")
    return f"{text}-{checksum.part_count}" if checksum.type is ChecksumType.COMPOSITE else text


def trailer_names(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Names that x-amz-trailer announces, in lower case."""
    text = headers.get("x-amz-trailer", "")
    return tuple(name.strip().lower() for name in text.split(",") if name.strip())


def _base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
