"""What several answers share: XML bodies, and the headers of a version."""

from collections.abc import Mapping
from http import HTTPStatus

from falcon import Response

from dataplane.wire.checksums import checksum_headers
from dataplane.wire.headers import object_response_headers, quoted
from dataplane.wire.parameters import read_version_id
from dataplane.wire.target import Target
from dataplane.wire.times import http_date
from engine.errors import NoSuchVersion
from engine.records import NULL_VERSION_ID, Version


def answer_xml(resp: Response, document: bytes, status: HTTPStatus = HTTPStatus.OK) -> None:
    resp.status = status
    resp.content_type = "application/xml"
    resp.data = document


def describe_version(
    resp: Response, version: Version, headers: Mapping[str, str], overrides: Mapping[str, str]
) -> None:
    """ETag, Last-Modified, metadata, and checksums where they were asked for."""
    resp.content_type = None
    for name, value in object_response_headers(version.headers, overrides):
        resp.set_header(name, value)
    resp.set_header("ETag", quoted(version.etag))
    resp.set_header("Last-Modified", http_date(version.created_at_us // 1_000_000))
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
    resp.set_header("ETag", quoted(version.etag))
    resp.set_header("Last-Modified", http_date(version.created_at_us // 1_000_000))


def check_version_id(target: Target) -> None:
    """Buckets are unversioned: `null` names what is there, a well-formed id names nothing, the rest is malformed."""
    version_id = read_version_id(target.get("versionId"))
    if version_id not in (None, NULL_VERSION_ID):
        assert target.bucket is not None
        assert target.key is not None
        raise NoSuchVersion(bucket=target.bucket, key=target.key, version_id=str(version_id))
