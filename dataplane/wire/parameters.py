"""Query parameters of listings and uploads, checked and typed."""

import base64
import binascii
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from dataplane.wire.refusals import InvalidArgument, InvalidRequest
from dataplane.wire.target import Target
from engine.errors import NoSuchUpload
from engine.records import HISTORY_START, NULL_VERSION_ID, HistoryPosition
from engine.units import PART_NUMBER_MAX

PAGE_COUNT_MAX = 1000
"""Entries of one page, whatever more a client asks for."""
_COUNT_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """One page of a listing. `after` is where the page starts, exclusive; `limit` is what the page may hold.

    `asked` is what the answer echoes: the parameters as they came, by their names.
    """

    prefix: bytes
    delimiter: bytes
    after: bytes
    limit: int
    is_url_encoded: bool
    wants_owner: bool = True
    after_upload_id: bytes | None = None
    position: HistoryPosition = HISTORY_START
    asked: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsQuery:
    """One page of an upload's parts, after the part `after`."""

    upload_id: bytes
    after: int
    limit: int


def read_list_v1(target: Target) -> ListQuery:
    """Parameters of ListObjects; raises WireError InvalidArgument."""
    return _list_query(target, limit_name="max-keys", after=_given(target, "marker"))


def read_list_v2(target: Target) -> ListQuery:
    """Parameters of ListObjectsV2; a continuation token wins over start-after. Raises WireError InvalidArgument."""
    token = target.get("continuation-token")
    after = _given(target, "start-after") if token is None else read_token(token)
    owner = target.get("fetch-owner") == "true"
    return _list_query(target, limit_name="max-keys", after=after, wants_owner=owner)


def read_list_versions(target: Target) -> ListQuery:
    """Parameters of ListObjectVersions; raises WireError InvalidArgument.

    A version-id-marker counts only beside key-marker. It is what a page before gave, or the id of a version.
    """
    marker = target.get("version-id-marker")
    query = _list_query(target, limit_name="max-keys", after=_given(target, "key-marker"))
    version_id, version_seq = None, None
    if marker is not None:
        if not marker or not query.after:
            raise InvalidArgument(
                "A version-id marker cannot be empty."
                if query.after
                else "A version-id marker cannot be specified without a key marker.",
                name="version-id-marker",
                value=marker,
            )
        version_id, version_seq = read_version_marker(marker)
    position = HistoryPosition(key=query.after, version_id=version_id, version_seq=version_seq)
    return replace(query, position=position)


def write_version_marker(position: HistoryPosition) -> str:
    """Where a page of versions goes on, also when the version it ended with is gone by then."""
    return f"{position.version_id}.{position.version_seq:x}"


def read_version_marker(text: str) -> tuple[str, int | None]:
    """A version's id, and its number where the marker has it; raises WireError InvalidArgument."""
    version_id, dot, number = text.partition(".")
    if dot and (not 1 <= len(number) <= 15 or number.strip("0123456789abcdef")):
        raise InvalidArgument("Invalid version id specified", name="version-id-marker", value=text)
    return str(read_version_id(version_id)), int(number, 16) if dot else None


def read_list_uploads(target: Target) -> ListQuery:
    """Parameters of ListMultipartUploads: upload-id-marker counts only beside key-marker."""
    key_marker = _given(target, "key-marker")
    upload_id = target.get("upload-id-marker") if key_marker else None
    after_upload_id = None
    if upload_id:
        after_upload_id = _id_of(upload_id)
        if after_upload_id is None:
            raise InvalidArgument("Invalid uploadId marker", name="upload-id-marker", value=upload_id)
    return _list_query(target, limit_name="max-uploads", after=key_marker, after_upload_id=after_upload_id)


def read_list_parts(target: Target) -> PartsQuery:
    """Parameters of ListParts; raises NoSuchUpload for an id that can be none."""
    return PartsQuery(
        upload_id=read_upload_id(target),
        after=_count(target, "part-number-marker", default=0),
        limit=min(_count(target, "max-parts", default=PAGE_COUNT_MAX), PAGE_COUNT_MAX),
    )


def read_list_buckets(target: Target) -> ListQuery:
    """Parameters of ListBuckets; without max-buckets a page holds as many as there may be."""
    token = target.get("continuation-token")
    limit = target.get("max-buckets")
    count = 10_000 if limit is None else _count(target, "max-buckets", default=0)
    if not 1 <= count <= 10_000:
        raise InvalidArgument(
            "Argument max-buckets must be an integer between 1 and 10000",
            name="max-buckets",
            value=limit or "",
        )
    return ListQuery(
        prefix=_given(target, "prefix"),
        delimiter=b"",
        after=b"" if token is None else read_token(token),
        limit=count,
        is_url_encoded=False,
        asked=dict(target.query),
    )


def read_part_number(target: Target) -> int:
    """partNumber of an upload, 1 to 10,000; raises WireError InvalidArgument."""
    text = target.get("partNumber") or ""
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else 0
    if not 1 <= number <= PART_NUMBER_MAX:
        raise InvalidArgument(
            f"Part number must be an integer between 1 and {PART_NUMBER_MAX}, inclusive",
            name="partNumber",
            value=text,
        )
    return number


def read_part_wish(target: Target, headers: Mapping[str, str]) -> int | None:
    """partNumber of a read, null where it is not given.

    Raises WireError InvalidArgument, and InvalidRequest beside a Range, which would be a range of what?
    """
    if target.get("partNumber") is None:
        return None
    if "range" in headers:
        raise InvalidRequest("Cannot specify both Range header and partNumber query parameter.")
    return read_part_number(target)


def read_upload_id(target: Target) -> bytes:
    """The 16 bytes of uploadId; an id of another form names no upload: raises NoSuchUpload."""
    text = target.get("uploadId") or ""
    upload_id = _id_of(text)
    if upload_id is None:
        raise NoSuchUpload(upload_id=text)
    return upload_id


def upload_id_text(upload_id: bytes) -> str:
    """The form in which clients see an upload id."""
    return upload_id.hex()


def read_object_size(headers: Mapping[str, str]) -> int | None:
    """x-amz-mp-object-size: what a completed upload is to measure; raises WireError InvalidArgument."""
    text = headers.get("x-amz-mp-object-size")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise InvalidArgument("The object size is no number", name="x-amz-mp-object-size", value=text)
    return int(text)


def read_version_id(text: str | None) -> str | None:
    """A versionId as given, None when it is not; raises WireError InvalidArgument for what can be no version id.

    Ids are `null` or those of a UUID; whether such a version exists is for the caller to find.
    """
    if text is None or text == NULL_VERSION_ID:
        return text
    try:
        return uuid.UUID(text).hex if len(text) in {32, 36} else _refuse_version(text)
    except ValueError:
        return _refuse_version(text)


def write_token(after: bytes) -> str:
    """An opaque continuation token for the page that starts after `after`."""
    return base64.urlsafe_b64encode(zlib.crc32(after).to_bytes(4, "big") + after).decode("ascii")


def read_token(token: str) -> bytes:
    """Where the page starts; raises WireError InvalidArgument for a token this endpoint did not write."""
    try:
        raw = base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) < 4 or zlib.crc32(raw[4:]).to_bytes(4, "big") != raw[:4]:
        raise InvalidArgument(
            "The continuation token provided is incorrect", name="continuation-token", value=token
        )
    return raw[4:]


def _list_query(
    target: Target,
    *,
    limit_name: str,
    after: bytes,
    wants_owner: bool = True,
    after_upload_id: bytes | None = None,
) -> ListQuery:
    encoding = target.get("encoding-type")
    if encoding not in {None, "url"}:
        raise InvalidArgument(
            "Invalid Encoding Method specified in Request", name="encoding-type", value=encoding or ""
        )
    return ListQuery(
        prefix=_given(target, "prefix"),
        delimiter=_given(target, "delimiter"),
        after=after,
        limit=min(_count(target, limit_name, default=PAGE_COUNT_MAX), PAGE_COUNT_MAX),
        is_url_encoded=encoding == "url",
        wants_owner=wants_owner,
        after_upload_id=after_upload_id,
        asked=dict(target.query),
    )


def _given(target: Target, name: str) -> bytes:
    return (target.get(name) or "").encode()


def _count(target: Target, name: str, *, default: int) -> int:
    text = target.get(name)
    if text is None or text == "":
        return default
    is_number = text.isascii() and text.isdigit() and len(text) <= 20
    if not is_number:
        raise InvalidArgument(
            f"Argument {name} must be an integer between 0 and {_COUNT_MAX}", name=name, value=text
        )
    return min(int(text), _COUNT_MAX)


def _id_of(text: str) -> bytes | None:
    """16 bytes of 32 lower-case hex digits: one text for one id, so that no two texts name the same upload."""
    if len(text) != 32 or text.strip("0123456789abcdef"):
        return None
    return bytes.fromhex(text)


def _refuse_version(text: str) -> str:
    raise InvalidArgument("Invalid version id specified", name="versionId", value=text)
