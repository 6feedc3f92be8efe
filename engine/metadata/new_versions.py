"""Rows of new current versions, and their after-images."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from engine.clock import uuid7
from engine.metadata.columns import write_checksums, write_headers
from engine.metadata.displacing import Displacing
from engine.metadata.images import STANDARD
from engine.metadata.store import Params, Tx
from engine.records import NULL_VERSION_ID, Bucket, NewVersion, Published, Versioning

ToldSegment = tuple[bytes, int, int, int | None, str | None]
"""A segment as images tell it: its blob, where it begins in that, its length, its part, and that one's digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """A version about to be inserted. `blob_id` is the one blob that it is; null: it has segments, or is empty."""

    bucket: Bucket
    new: NewVersion
    displacing: Displacing
    blob_id: bytes | None = None


class InsertedVersions:
    """Versions of different keys; the caller adds segments and journal images."""

    def __init__(self, tx: Tx, rows: Sequence[VersionRow]) -> None:
        self._made = [
            (
                row,
                uuid7().hex() if row.bucket.versioning is Versioning.ENABLED else NULL_VERSION_ID,
                tx.now_us() if row.new.created_at_us is None else row.new.created_at_us,
            )
            for row in rows
        ]
        # A row keeps its blob from being freed: in the order in which the reaper locks them.
        in_order = sorted(self._made, key=lambda each: each[0].blob_id or b"")
        self._asked = tx.ask_many("insert_version", [_columns(*each) for each in in_order])

    def published(self) -> list[Published]:
        """What came of each, in their order."""
        seqs = {(bucket_id, key): seq for seq, bucket_id, key in self._asked.rows()}
        return [
            Published(
                version_seq=cast(int, seqs[row.bucket.bucket_id, row.new.key]),
                version_id=version_id,
                versioning=row.bucket.versioning,
                created_at_us=created_at_us,
                replaced_version_seq=row.displacing.retired_seq,
            )
            for row, version_id, created_at_us in self._made
        ]


def _columns(row: VersionRow, version_id: str, created_at_us: int) -> Params:
    new = row.new
    return {
        "bucket_id": row.bucket.bucket_id,
        "object_key": new.key,
        "version_id": version_id,
        "is_delete_marker": 0,
        "size_bytes": new.size_bytes,
        "etag": new.etag,
        **write_headers(new.headers),
        "checksums": write_checksums(new.checksums),
        "part_count": new.part_count,
        "sse_kind": new.sse_kind,
        "account_id": new.account_id,
        "now_us": created_at_us,
        "blob_id": row.blob_id,
    }


def image_of(row: VersionRow, published: Published, segments: Iterable[ToldSegment]) -> dict[str, object]:
    """The version's after-image: the one blob that it is, or its segments."""
    new = row.new
    image: dict[str, object] = {
        "seq": published.version_seq,
        "bucket": row.bucket.bucket_id,
        "key": new.key.hex(),
        "version": published.version_id,
        "size": new.size_bytes,
        "etag": new.etag,
        "account": new.account_id,
        "at_us": published.created_at_us,
        **write_headers(new.headers),
        "checksums": write_checksums(new.checksums),
        "part_count": new.part_count,
        "sse_kind": new.sse_kind,
    }
    if image["storage_class"] == STANDARD:
        del image["storage_class"]
    if row.blob_id is not None:
        image["blob"] = row.blob_id.hex()
    else:
        image["segments"] = [
            (each.hex(), offset, length, part)
            if digest is None
            else (each.hex(), offset, length, part, digest)
            for each, offset, length, part, digest in segments
        ]
    return image
