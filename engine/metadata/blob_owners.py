"""Which versions a blob is part of, for people: they know keys, not blobs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from engine.metadata.store import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A version that a blob is part of."""

    bucket: str
    key: bytes
    version_id: str
    version_seq: int
    size_bytes: int
    is_current: bool


def list_owners(tx: Tx, blob_ids: Sequence[bytes], *, count_max: int) -> list[list[Owner]]:
    """Of each blob at most `count_max`, the oldest first; none of one that only an upload holds, or nothing."""
    asked = [
        tx.ask("list_owners_of_blob", {"blob_id": blob_id, "count_max": count_max}) for blob_id in blob_ids
    ]
    return [
        [
            Owner(
                bucket=cast(str, bucket),
                key=cast(bytes, key),
                version_id=cast(str, version_id),
                version_seq=cast(int, version_seq),
                size_bytes=cast(int, size_bytes),
                is_current=bool(is_current),
            )
            for bucket, key, version_id, version_seq, size_bytes, is_current in answer.rows()
        ]
        for answer in asked
    ]
