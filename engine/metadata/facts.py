"""What fsck compares with the bytes: rows by keyset, and the truth that counters should tell."""

from dataclasses import dataclass
from typing import cast

from engine.metadata.columns import read_blob
from engine.metadata.store import SqlValue, Tx
from engine.metadata.volumes import read_location
from engine.records import Blob, Location

_AFTER_ALL = "\U0010ffff"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueTotals:
    """Sums over rows, to hold against an account."""

    used_bytes: int
    orphan_bytes: int
    object_count: int


def list_blobs(tx: Tx, *, after: bytes, count_max: int) -> list[Blob]:
    return [read_blob(*row) for row in tx.rows("list_blobs", {"after": after, "count_max": count_max})]


def list_locations(tx: Tx, *, backend_id: int, after: str, count_max: int) -> list[Location]:
    """Locations of a backend in the order of their storage keys."""
    params: dict[str, SqlValue] = {
        "backend_id": backend_id,
        "after": after,
        "before": _AFTER_ALL,
        "count_max": count_max,
    }
    return [read_location(row) for row in tx.rows("list_locations_by_key", params)]


def list_cleanup_keys(tx: Tx, *, backend_id: int, after: str, count_max: int) -> list[str]:
    """Storage keys that wait for deletion, in order."""
    params: dict[str, SqlValue] = {"backend_id": backend_id, "after": after, "count_max": count_max}
    return [cast(str, row[0]) for row in tx.rows("list_cleanup_by_key", params)]


def backend_truth(tx: Tx, backend_id: int) -> TrueTotals:
    used, count = tx.row("sum_location_bytes", {"backend_id": backend_id})
    (orphan,) = tx.row("sum_cleanup_bytes", {"backend_id": backend_id})
    return TrueTotals(
        used_bytes=cast(int, used), orphan_bytes=cast(int, orphan), object_count=cast(int, count)
    )


def bucket_truth(tx: Tx, bucket_id: int) -> TrueTotals:
    used, count = tx.row("sum_bucket_bytes", {"bucket_id": bucket_id})
    return TrueTotals(used_bytes=cast(int, used), orphan_bytes=0, object_count=cast(int, count))


def versions_with_wrong_size(tx: Tx, *, count_max: int) -> list[int]:
    """Versions whose size is not what their segments hold."""
    return [cast(int, row[0]) for row in tx.rows("list_dangling_segments", {"count_max": count_max})]
