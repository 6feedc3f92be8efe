"""XML answers, built as text: escaped where clients' words stand in them, quick where a thousand keys do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dataplane.s3.headers import checksum_text
from dataplane.s3.times import iso_time
from dataplane.s3.xml_in import NAMESPACE
from dataplane.s3.xml_text import escape, key_text
from engine.records import Bucket, ListedVersion, ListingPage, Part, Upload, UploadsPage
from engine.streams import Checksum

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingRequest:
    """What a listing echoes."""

    bucket: str
    prefix: bytes
    delimiter: bytes
    max_keys: int
    url_encoded: bool


def _document(name: str, inner: str) -> bytes:
    return f'{_HEAD}<{name} xmlns="{NAMESPACE}">{inner}</{name}>'.encode()


def _element(name: str, text: str) -> str:
    return f"<{name}>{text}</{name}>"


def _owner(name: str, tag: str = "Owner") -> str:
    shown = escape(name)
    return f"<{tag}><ID>{shown}</ID><DisplayName>{shown}</DisplayName></{tag}>"


def _checksums(checksums: Sequence[Checksum]) -> str:
    return "".join(
        f"<Checksum{each.algorithm.value}>{checksum_text(each)}</Checksum{each.algorithm.value}>"
        for each in checksums
    )


def list_buckets(buckets: Iterable[Bucket], *, account: str) -> bytes:
    rows = "".join(
        f"<Bucket><Name>{each.name}</Name><CreationDate>{iso_time(each.created_at_us)}</CreationDate></Bucket>"
        for each in buckets
    )
    return _document("ListAllMyBucketsResult", f"{_owner(account)}<Buckets>{rows}</Buckets>")


def bucket_location(region: str) -> bytes:
    """us-east-1 is told as an empty element."""
    return _document("LocationConstraint", "" if region == "us-east-1" else escape(region))


def list_objects(page: ListingPage, request: ListingRequest, *, marker: bytes, owner: str) -> bytes:
    """Version 1: NextMarker only with a delimiter."""
    encode = request.url_encoded
    head = _listing_head(request) + _element("Marker", key_text(marker, url_encoded=encode))
    head += _element("IsTruncated", "true" if page.next_after is not None else "false")
    if page.next_after is not None and request.delimiter:
        head += _element("NextMarker", key_text(page.next_after, url_encoded=encode))
    return _document("ListBucketResult", head + _contents(page, encode, _owner(owner)))


def list_objects_v2(
    page: ListingPage,
    request: ListingRequest,
    *,
    token: str | None,
    next_token: str | None,
    start_after: bytes,
    owner: str | None,
) -> bytes:
    """Version 2: opaque tokens; owners only when asked for."""
    encode = request.url_encoded
    head = _listing_head(request)
    head += _element("KeyCount", str(len(page.versions) + len(page.common_prefixes)))
    head += _element("IsTruncated", "true" if next_token is not None else "false")
    if token is not None:
        head += _element("ContinuationToken", escape(token))
    if next_token is not None:
        head += _element("NextContinuationToken", next_token)
    if start_after:
        head += _element("StartAfter", key_text(start_after, url_encoded=encode))
    return _document(
        "ListBucketResult", head + _contents(page, encode, "" if owner is None else _owner(owner))
    )


def _listing_head(request: ListingRequest) -> str:
    encode = request.url_encoded
    head = _element("Name", request.bucket) + _element("Prefix", key_text(request.prefix, url_encoded=encode))
    if request.delimiter:
        head += _element("Delimiter", key_text(request.delimiter, url_encoded=encode))
    head += _element("MaxKeys", str(request.max_keys))
    return head + (_element("EncodingType", "url") if encode else "")


def _contents(page: ListingPage, encode: bool, owner: str) -> str:
    rows = "".join(_content(each, encode, owner) for each in page.versions)
    return rows + "".join(
        f"<CommonPrefixes><Prefix>{key_text(each, url_encoded=encode)}</Prefix></CommonPrefixes>"
        for each in page.common_prefixes
    )


def _content(each: ListedVersion, encode: bool, owner: str) -> str:
    algorithms = "".join(
        f"<ChecksumAlgorithm>{name}</ChecksumAlgorithm>" for name in each.checksum_algorithms
    )
    return (
        f"<Contents><Key>{key_text(each.key, url_encoded=encode)}</Key>"
        f"<LastModified>{iso_time(each.created_at_us)}</LastModified><ETag>&quot;{each.etag}&quot;</ETag>"
        f"{algorithms}<Size>{each.size_bytes}</Size>{owner}<StorageClass>{each.storage_class}</StorageClass></Contents>"
    )


def copy_result(*, etag: str, modified_us: int, checksums: Sequence[Checksum]) -> bytes:
    inner = _element("LastModified", iso_time(modified_us)) + _element("ETag", f"&quot;{etag}&quot;")
    return _document("CopyObjectResult", inner + _checksums(checksums))


def delete_result(deleted: Iterable[bytes], errors: Iterable[tuple[bytes, str, str]]) -> bytes:
    """Keys that are gone, and (key, code, message) of those that are not."""
    rows = "".join(f"<Deleted><Key>{key_text(key, url_encoded=False)}</Key></Deleted>" for key in deleted)
    rows += "".join(
        f"<Error><Key>{key_text(key, url_encoded=False)}</Key><Code>{code}</Code>"
        f"<Message>{escape(message)}</Message></Error>"
        for key, code, message in errors
    )
    return _document("DeleteResult", rows)


def initiate_upload(*, bucket: str, key: bytes, upload_id: str) -> bytes:
    inner = _element("Bucket", bucket) + _element("Key", key_text(key, url_encoded=False))
    return _document("InitiateMultipartUploadResult", inner + _element("UploadId", upload_id))


def complete_upload(
    *, location: str, bucket: str, key: bytes, etag: str, checksums: Sequence[Checksum]
) -> bytes:
    inner = _element("Location", escape(location)) + _element("Bucket", bucket)
    inner += _element("Key", key_text(key, url_encoded=False)) + _element("ETag", f"&quot;{etag}&quot;")
    inner += _checksums(checksums)
    inner += "".join(_element("ChecksumType", each.type.value) for each in checksums[:1])
    return _document("CompleteMultipartUploadResult", inner)


def list_parts(
    upload: Upload,
    parts: Sequence[Part],
    *,
    bucket: str,
    marker: int,
    max_parts: int,
    is_truncated: bool,
    encode: bool,
) -> bytes:
    head = _element("Bucket", bucket) + _element("Key", key_text(upload.key, url_encoded=encode))
    head += _element("UploadId", upload.upload_id.hex())
    head += _owner(upload.account, "Initiator") + _owner(upload.account)
    head += _element("StorageClass", upload.headers.storage_class) + _element("PartNumberMarker", str(marker))
    head += _element("NextPartNumberMarker", str(parts[-1].part_number if parts else 0))
    head += _element("MaxParts", str(max_parts)) + _element(
        "IsTruncated", "true" if is_truncated else "false"
    )
    if upload.checksum_algorithm is not None:
        head += _element("ChecksumAlgorithm", upload.checksum_algorithm.value)
    if upload.checksum_type is not None:
        head += _element("ChecksumType", upload.checksum_type.value)
    rows = "".join(
        f"<Part><PartNumber>{part.part_number}</PartNumber><LastModified>{iso_time(part.created_at_us)}</LastModified>"
        f"<ETag>&quot;{part.etag}&quot;</ETag><Size>{part.size_bytes}</Size>{_checksums(part.checksums)}</Part>"
        for part in parts
    )
    return _document("ListPartsResult", head + rows)


def list_uploads(page: UploadsPage, request: ListingRequest, *, key_marker: bytes, id_marker: str) -> bytes:
    encode = request.url_encoded
    head = _element("Bucket", request.bucket) + _element(
        "KeyMarker", key_text(key_marker, url_encoded=encode)
    )
    head += _element("UploadIdMarker", escape(id_marker))
    head += _element("Prefix", key_text(request.prefix, url_encoded=encode))
    if request.delimiter:
        head += _element("Delimiter", key_text(request.delimiter, url_encoded=encode))
    head += _element("MaxUploads", str(request.max_keys)) + (
        _element("EncodingType", "url") if encode else ""
    )
    head += _element("IsTruncated", "true" if page.next_key is not None else "false")
    if page.next_key is not None and page.next_upload_id is not None:
        head += _element("NextKeyMarker", key_text(page.next_key, url_encoded=encode))
        head += _element("NextUploadIdMarker", page.next_upload_id.hex())
    rows = "".join(
        f"<Upload><Key>{key_text(each.key, url_encoded=encode)}</Key><UploadId>{each.upload_id.hex()}</UploadId>"
        f"{_owner(each.account, 'Initiator')}{_owner(each.account)}"
        f"<StorageClass>{each.headers.storage_class}</StorageClass>"
        f"<Initiated>{iso_time(each.created_at_us)}</Initiated></Upload>"
        for each in page.uploads
    )
    rows += "".join(
        f"<CommonPrefixes><Prefix>{key_text(each, url_encoded=encode)}</Prefix></CommonPrefixes>"
        for each in page.common_prefixes
    )
    return _document("ListMultipartUploadsResult", head + rows)
