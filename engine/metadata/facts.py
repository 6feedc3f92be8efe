"""What fsck compares with the bytes: rows by keyset, and the truth that counters should tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from engine.metadata.columns import read_blob
from engine.metadata.store import SqlValue, Tx
from engine.metadata.volumes import read_location
from engine.records import Blob, Location

SUM_PAGE_COUNT_MAX = 10_000
"""Rows added up by one statement."""

_AFTER_ALL = "\U0010ffff"
_BEFORE_ALL = 2**62


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


def unaccounted_keys(tx: Tx, *, backend_id: int, keys: Sequence[str]) -> list[str]:
    """Those that no location, no intent and no wait for deletion names, in the order given."""
    asked = [
        (key, tx.ask("is_key_accounted_for", {"backend_id": backend_id, "storage_key": key})) for key in keys
    ]
    return [key for key, answer in asked if answer.row_or_none() is None]


def names_some(tx: Tx, *, backend_id: int, begins_with: str) -> bool:
    """Whether a location names a storage key that begins so."""
    bounds: dict[str, SqlValue] = {
        "backend_id": backend_id,
        "after": begins_with,
        "before": begins_with + _AFTER_ALL,
    }
    return tx.row_or_none("has_location_in_range", bounds) is not None


def backend_truth(tx: Tx, backend_id: int) -> TrueTotals:
    """Page by page on the transaction's one snapshot, so that no statement takes long however many rows there are."""
    used = count = 0
    after: SqlValue = ""
    while True:
        page: dict[str, SqlValue] = {
            "backend_id": backend_id,
            "after": after,
            "count_max": SUM_PAGE_COUNT_MAX,
        }
        page_bytes, page_count, after = tx.row("sum_location_page", page)
        used += cast(int, page_bytes)
        count += cast(int, page_count)
        if page_count != SUM_PAGE_COUNT_MAX:
            break
    (orphan,) = tx.row("sum_cleanup_bytes", {"backend_id": backend_id})
    return TrueTotals(used_bytes=used, orphan_bytes=cast(int, orphan), object_count=count)


def bucket_truth(tx: Tx, bucket_id: int) -> TrueTotals:
    """As `backend_truth`: what live versions and the parts of open uploads hold."""
    (used,) = tx.row("sum_open_parts", {"bucket_id": bucket_id})
    used, count = cast(int, used), 0
    after_key: SqlValue = b""
    after_seq: SqlValue = _BEFORE_ALL
    while True:
        page: dict[str, SqlValue] = {
            "bucket_id": bucket_id,
            "after_key": after_key,
            "after_seq": after_seq,
            "count_max": SUM_PAGE_COUNT_MAX,
        }
        page_bytes, page_count, after_key, after_seq = tx.row("sum_version_page", page)
        used += cast(int, page_bytes)
        count += cast(int, page_count)
        if page_count != SUM_PAGE_COUNT_MAX:
            return TrueTotals(used_bytes=used, orphan_bytes=0, object_count=count)


def versions_with_wrong_size(tx: Tx, *, count_max: int) -> list[int]:
    """Versions whose size is not what their segments hold."""
    return [cast(int, row[0]) for row in tx.rows("list_dangling_segments", {"count_max": count_max})]
