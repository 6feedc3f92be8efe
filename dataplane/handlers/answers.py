"""What several answers share: XML bodies, the headers of a version, paging parameters."""

from collections.abc import Mapping
from http import HTTPStatus

from falcon import Response

from dataplane.s3.faults import InvalidArgument, InvalidRequest
from dataplane.s3.headers import checksum_headers, write_object_headers
from dataplane.s3.target import Target
from dataplane.s3.times import http_date
from engine.errors import NoSuchUpload, NoSuchVersion
from engine.records import NULL_VERSION_ID, Version

PAGE_COUNT_MAX = 1000
_VERSION_ID_CHARS = 32


def answer_xml(resp: Response, document: bytes, status: HTTPStatus = HTTPStatus.OK) -> None:
    resp.status = status
    resp.content_type = "application/xml"
    resp.data = document


def describe_version(
    resp: Response, version: Version, headers: Mapping[str, str], overrides: Mapping[str, str]
) -> None:
    """ETag, Last-Modified, metadata, and checksums where they were asked for."""
    resp.content_type = None
    for name, value in write_object_headers(version.headers, overrides):
        resp.set_header(name, value)
    resp.set_header("ETag", f'"{version.etag}"')
    resp.set_header("Last-Modified", http_date(version.created_at_us))
    resp.set_header("Accept-Ranges", "bytes")
    if version.part_count is not None:
        resp.set_header("x-amz-mp-parts-count", str(version.part_count))
    if (
        version.checksums
        and headers.get("x-amz-checksum-mode", "").upper() == "ENABLED"
        and "range" not in headers
    ):
        for name, value in checksum_headers(version.checksums):
            resp.set_header(name, value)


def answer_not_modified(resp: Response, version: Version) -> None:
    """304 keeps what a cache needs and has no body."""
    resp.status = HTTPStatus.NOT_MODIFIED
    resp.content_type = None
    resp.set_header("ETag", f'"{version.etag}"')
    resp.set_header("Last-Modified", http_date(version.created_at_us))


def check_version_id(target: Target) -> None:
    """Buckets are unversioned: `null` names what is there, a well-formed id names nothing, the rest is malformed."""
    version_id = target.get("versionId")
    if version_id is None or version_id == NULL_VERSION_ID:
        return
    if len(version_id) == _VERSION_ID_CHARS and version_id.isalnum() and target.bucket and target.key:
        raise NoSuchVersion(bucket=target.bucket, key=target.key, version_id=version_id)
    raise InvalidArgument(
        "Invalid version id specified", ArgumentName="versionId", ArgumentValue=version_id[:80]
    )


def read_count(target: Target, name: str, *, default: int = PAGE_COUNT_MAX) -> int:
    """A count such as max-keys: at most 1,000 are given however many are asked for."""
    text = target.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise InvalidArgument(f"Provided {name} not an integer or within integer range", ArgumentName=name)
    return min(int(text), default)


def read_encoding(target: Target) -> bool:
    """Whether keys are to be URL-encoded in the answer."""
    encoding = target.get("encoding-type")
    if encoding is None:
        return False
    if encoding != "url":
        raise InvalidArgument("Invalid Encoding Method specified in Request", ArgumentName="encoding-type")
    return True


def read_upload_id(target: Target) -> bytes:
    """The 16 bytes of an upload id; what is none of ours names no upload."""
    text = target.get("uploadId") or ""
    try:
        upload_id = bytes.fromhex(text)
    except ValueError:
        upload_id = b""
    if len(upload_id) != 16:
        raise NoSuchUpload(upload_id=text[:80])
    return upload_id


def read_part_number(target: Target) -> int:
    text = target.get("partNumber")
    if text is None:
        raise InvalidRequest("partNumber is required")
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= 10_000:
        raise InvalidArgument(
            "Part number must be an integer between 1 and 10000, inclusive", ArgumentName="partNumber"
        )
    return int(text)
