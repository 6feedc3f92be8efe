"""How much is sealed under which ring key: summed over pages of rows, as no counter is kept of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from engine.metadata.store import SqlValue, Tx

PAGE_COUNT_MAX = 5_000
"""Blobs, and versions, summed up in one transaction."""

_LAST_BLOB = b"\xff" * 17
_LAST_VERSION = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSum:
    """Bytes of one backend or bucket under one ring key; null: not sealed."""

    subject_id: int
    key_id: bytes | None
    size_bytes: int


def sum_pieces(
    tx: Tx, after: bytes, *, count_max: int = PAGE_COUNT_MAX
) -> tuple[Sequence[SealedSum], bytes | None]:
    """Bytes that pieces of the next blobs occupy on each backend, and the last of these blobs; null at the end."""
    edge = tx.row_or_none("find_blob_at", {"after": after, "skip_count": count_max - 1})
    last = _LAST_BLOB if edge is None else edge[0]
    return _sums(tx, "sum_sealed_pieces", after, last), None if edge is None else cast(bytes, last)


def sum_versions(
    tx: Tx, after: int, *, count_max: int = PAGE_COUNT_MAX
) -> tuple[Sequence[SealedSum], int | None]:
    """Logical bytes that the next live versions have in each bucket, and the last of them; null at the end."""
    edge = tx.row_or_none("find_version_at", {"after": after, "skip_count": count_max - 1})
    last = _LAST_VERSION if edge is None else edge[0]
    return _sums(tx, "sum_sealed_versions", after, last), None if edge is None else cast(int, last)


def _sums(tx: Tx, statement: str, after: SqlValue, last: SqlValue) -> Sequence[SealedSum]:
    return [
        SealedSum(
            subject_id=cast(int, subject_id),
            key_id=cast("bytes | None", key_id),
            size_bytes=cast(int, size_bytes),
        )
        for subject_id, key_id, size_bytes in tx.rows(statement, {"after": after, "last": last})
    ]
