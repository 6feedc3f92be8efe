"""The source of a copy: x-amz-copy-source, its version, and the directive that goes with it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dataplane.wire.parameters import read_version_id
from dataplane.wire.refusals import InvalidArgument, InvalidUri, NotImplementedYet, WireError
from dataplane.wire.target import percent_decoded
from engine.errors import InvalidBucketName, InvalidKey
from engine.names import BucketName, ObjectKey, bucket_name, object_key

COPY_RANGE_FIELD = "x-amz-copy-source-range"

_FIELD = "x-amz-copy-source"
_RANGE = re.compile(r"bytes=([0-9]{1,19})-([0-9]{1,19})")


@dataclass(frozen=True, slots=True, kw_only=True)
class CopySource:
    """The object to copy; `version_id` None means the current version."""

    bucket: BucketName
    key: ObjectKey
    version_id: str | None


def read_copy_source(headers: Mapping[str, str]) -> CopySource:
    """Parse `[/]bucket/key[?versionId=id]`, percent-decoded once and then split: some clients escape every slash.

    No bucket has a slash in its name, and the key is opaque, `..` in it included. Raises WireError InvalidArgument,
    and InvalidBucketName and KeyTooLong of the names.
    """
    text = headers.get(_FIELD, "")
    if text.startswith("arn:"):
        raise NotImplementedYet(f"{_FIELD} by ARN")
    path, question, query = text.partition("?")
    version_id: str | None = None
    if question:
        name, _, value = query.partition("=")
        if name != "versionId":
            raise _refusal(text)
        version_id = read_version_id(value)
    try:
        decoded = percent_decoded(path.encode("latin-1"))
        raw_bucket, _, raw_key = decoded.removeprefix(b"/").partition(b"/")
        if not raw_bucket or not raw_key:
            raise _refusal(text)
        bucket, key = raw_bucket.decode("utf-8"), object_key(raw_key)
    except (InvalidUri, InvalidKey, UnicodeError) as error:
        raise _refusal(text) from error
    try:
        return CopySource(bucket=bucket_name(bucket), key=key, version_id=version_id)
    except InvalidBucketName as error:
        if not bucket.strip():
            raise _refusal(text) from error
        raise


def replaces_metadata(headers: Mapping[str, str]) -> bool:
    """x-amz-metadata-directive: whether the copy carries the request's metadata instead of the source's."""
    directive = headers.get("x-amz-metadata-directive", "COPY")
    if directive not in {"COPY", "REPLACE"}:
        raise InvalidArgument("Unknown metadata directive.", name="x-amz-metadata-directive", value=directive)
    return directive == "REPLACE"


def read_copy_range(headers: Mapping[str, str]) -> tuple[int, int] | None:
    """First and last byte of x-amz-copy-source-range, null where it is not given.

    Only `bytes=first-last` will do (S3 API, UploadPartCopy); raises WireError InvalidArgument.
    """
    text = headers.get(COPY_RANGE_FIELD)
    if text is None:
        return None
    found = _RANGE.fullmatch(text)
    if found is None or int(found[1]) > int(found[2]):
        raise InvalidArgument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
            "zero-based offsets of the first and last bytes to copy",
            name=COPY_RANGE_FIELD,
            value=text,
        )
    return int(found[1]), int(found[2])


def replaces_tags(headers: Mapping[str, str]) -> bool:
    """x-amz-tagging-directive: whether the copy carries the request's tags instead of the source's."""
    directive = headers.get("x-amz-tagging-directive", "COPY")
    if directive not in {"COPY", "REPLACE"}:
        raise InvalidArgument("Unknown tagging directive.", name="x-amz-tagging-directive", value=directive)
    return directive == "REPLACE"


def _refusal(text: str) -> WireError:
    return InvalidArgument(
        "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
        name=_FIELD,
        value=text,
    )
