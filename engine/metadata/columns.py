"""How records lie in columns: headers, checksums and blobs, read and written in one place."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from engine.metadata.store import SqlValue
from engine.records import Blob, ObjectHeaders, read_scheme
from engine.streams import Checksum, ChecksumAlgorithm, ChecksumType

_NO_HEADERS = ObjectHeaders()


def write_headers(headers: ObjectHeaders) -> dict[str, SqlValue]:
    """Columns content_type, headers, user_metadata, tags and storage_class."""
    return {
        "content_type": headers.content_type,
        "headers": json.dumps(dict(headers.system)) if headers.system else None,
        "user_metadata": json.dumps(dict(headers.user), ensure_ascii=False) if headers.user else None,
        "tags": write_tags(headers.tags),
        "storage_class": headers.storage_class,
    }


def read_headers(
    content_type: SqlValue,
    headers: SqlValue,
    user_metadata: SqlValue,
    tags: SqlValue,
    storage_class: SqlValue,
) -> ObjectHeaders:
    if content_type is headers is user_metadata is tags is None and storage_class == "STANDARD":
        return _NO_HEADERS
    return ObjectHeaders(
        content_type=cast("str | None", content_type),
        system={} if headers is None else json.loads(cast(str, headers)),
        user={} if user_metadata is None else json.loads(cast(str, user_metadata)),
        tags={} if tags is None else json.loads(cast(str, tags)),
        storage_class=cast(str, storage_class),
    )


def write_tags(tags: Mapping[str, str]) -> str | None:
    return json.dumps(dict(tags), ensure_ascii=False) if tags else None


def write_checksums(checksums: Sequence[Checksum]) -> str | None:
    if not checksums:
        return None
    return json.dumps(
        [
            {
                "algorithm": each.algorithm.value,
                "type": each.type.value,
                "digest": base64.b64encode(each.digest).decode("ascii"),
                "part_count": each.part_count,
            }
            for each in checksums
        ]
    )


def read_checksums(column: SqlValue) -> tuple[Checksum, ...]:
    if column is None:
        return ()
    return tuple(
        Checksum(
            algorithm=ChecksumAlgorithm(each["algorithm"]),
            type=ChecksumType(each["type"]),
            digest=base64.b64decode(each["digest"]),
            part_count=each["part_count"],
        )
        for each in json.loads(cast(str, column))
    )


def read_blob(
    blob_id: Any,
    size_bytes: Any,
    stored_bytes: Any,
    scheme: Any,
    key_id: Any,
    wrapped_dek: Any,
    frame_bytes: Any,
    block_crcs: Any,
    content_hash: Any,
    dedup_domain: Any,
) -> Blob:
    """From untyped columns: every read passes here, so they are not cast one by one."""
    return Blob(
        blob_id=blob_id,
        size_bytes=size_bytes,
        stored_bytes=stored_bytes,
        content_hash=content_hash,
        dedup_domain=dedup_domain,
        scheme=read_scheme(scheme),
        key_id=key_id,
        wrapped_dek=wrapped_dek,
        frame_bytes=frame_bytes,
        block_crcs=block_crcs,
    )
