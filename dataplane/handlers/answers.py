"""What several answers share: XML bodies, and the headers of a version."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from falcon import Response

from dataplane.wire.checksums import checksum_headers
from dataplane.wire.headers import object_response_headers, quoted
from dataplane.wire.times import http_date
from engine.records import StoredVersion, Versioning
from engine.streams import Checksum

VERSION_ID_FIELD = "x-amz-version-id"
DELETE_MARKER_FIELD = "x-amz-delete-marker"


def answer_xml(resp: Response, document: bytes, status: HTTPStatus = HTTPStatus.OK) -> None:
    resp.status = status
    resp.content_type = "application/xml"
    resp.data = document


def describe_version(
    resp: Response,
    stored: StoredVersion,
    headers: Mapping[str, str],
    overrides: Mapping[str, str],
    *,
    checksums: Sequence[Checksum],
) -> None:
    """ETag, Last-Modified, metadata, the version's id, and checksums where they were asked for.

    `checksums` are those of the bytes that are sent.
    """
    version = stored.version
    resp.content_type = None
    told = object_response_headers(version.headers, overrides)
    if stored.bucket.versioning is not Versioning.OFF:
        told.append((VERSION_ID_FIELD, version.version_id))
    told.append(("ETag", quoted(version.etag)))
    told.append(("Last-Modified", http_date(version.created_at_us // 1_000_000)))
    told.append(("Accept-Ranges", "bytes"))
    if checksums and headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
        told += checksum_headers(checksums)
    resp.set_headers(told)


def answer_not_modified(resp: Response, stored: StoredVersion) -> None:
    """304 keeps what a cache needs and has no body."""
    version = stored.version
    if stored.bucket.versioning is not Versioning.OFF:
        resp.set_header(VERSION_ID_FIELD, version.version_id)
    resp.status = HTTPStatus.NOT_MODIFIED
    resp.content_type = None
    resp.set_header("ETag", quoted(version.etag))
    resp.set_header("Last-Modified", http_date(version.created_at_us // 1_000_000))


def tell_version_id(resp: Response, version_id: str | None) -> None:
    """x-amz-version-id, where the bucket keeps versions."""
    if version_id is not None:
        resp.set_header(VERSION_ID_FIELD, version_id)
