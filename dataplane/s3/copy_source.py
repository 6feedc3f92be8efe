"""x-amz-copy-source: which object to copy from."""

from dataclasses import dataclass

from dataplane.s3.faults import InvalidArgument, WireError
from dataplane.s3.target import parse_query, percent_decoded
from engine.errors import EngineError
from engine.names import BucketName, ObjectKey, bucket_name, object_key


@dataclass(frozen=True, slots=True, kw_only=True)
class CopySource:
    """The object to copy. `version_id` is null for the current version."""

    bucket: BucketName
    key: ObjectKey
    version_id: str | None


def read_copy_source(text: str) -> CopySource:
    """`/bucket/key?versionId=…`, percent-encoded, the first slash optional; otherwise InvalidArgument."""
    raw_path, _, raw_query = text.encode("latin-1", "replace").partition(b"?versionId=")
    raw_bucket, _, raw_key = raw_path.removeprefix(b"/").partition(b"/")
    try:
        bucket = bucket_name(percent_decoded(raw_bucket).decode("utf-8", "strict"))
        key = object_key(percent_decoded(raw_key))
        version_id = dict(parse_query(b"v=" + raw_query))["v"] if raw_query else None
    except (WireError, EngineError, UnicodeDecodeError) as error:
        raise InvalidArgument(
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            ArgumentName="x-amz-copy-source",
            ArgumentValue=text[:200],
        ) from error
    return CopySource(bucket=bucket, key=key, version_id=version_id)
