"""Listings in byte order; common prefixes by skip-scan: past a prefix the scan seeks, it never folds its keys."""

import json
from typing import cast

from engine.metadata.buckets import find_bucket
from engine.metadata.store import Row, Tx
from engine.names import BucketName, ObjectKey
from engine.records import ListedVersion, ListingPage

BATCH_COUNT_FIRST = 8
"""Keys fetched after a seek when a delimiter is set; doubled as long as no common prefix is met."""

LISTED_COLUMN_COUNT = 6
"""Columns that `read_listed` takes."""

_AFTER_ALL_KEYS = b"\xff" * 4
"""No key begins so: keys are UTF-8."""


def successor(prefix: bytes) -> bytes:
    """The least byte string greater than every one that begins with `prefix`."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes([trimmed[-1] + 1]) if trimmed else _AFTER_ALL_KEYS


def list_versions(
    tx: Tx, *, bucket: BucketName, prefix: bytes, delimiter: bytes, after: bytes, count_max: int
) -> ListingPage:
    """A page of current versions; keys and common prefixes together count against `count_max`.

    `after` is exclusive; when it lies in a common prefix that it names whole, that prefix is not listed again.
    Raises NoSuchBucket.
    """
    bucket_id = find_bucket(tx, bucket).bucket_id
    before = successor(prefix)
    if count_max == 0:
        return ListingPage(versions=(), common_prefixes=(), next_after=None)
    is_inclusive, position = start_of(prefix, delimiter, after)
    statement = "list_current_versions_from" if is_inclusive else "list_current_versions"
    if not delimiter:
        rows = tx.rows(statement, _bounds(bucket_id, position, before, count_max + 1))
        versions = [read_listed(row) for row in rows[:count_max]]
        return ListingPage(
            versions=versions,
            common_prefixes=(),
            next_after=versions[-1].key if len(rows) > count_max else None,
        )
    return _list_folded(tx, bucket_id, prefix, delimiter, statement, position, before, count_max)


def _list_folded(
    tx: Tx,
    bucket_id: int,
    prefix: bytes,
    delimiter: bytes,
    statement: str,
    position: bytes,
    before: bytes,
    count_max: int,
) -> ListingPage:
    versions: list[ListedVersion] = []
    prefixes: list[bytes] = []
    last = b""
    batch = BATCH_COUNT_FIRST
    while True:
        rows = tx.rows(statement, _bounds(bucket_id, position, before, batch))
        for row in rows:
            if len(versions) + len(prefixes) == count_max:
                return ListingPage(versions=versions, common_prefixes=prefixes, next_after=last)
            key = cast(bytes, row[0])
            cut = key.find(delimiter, len(prefix))
            if cut >= 0:
                last = key[: cut + len(delimiter)]
                prefixes.append(last)
                statement, position = "list_current_versions_from", successor(last)
                batch = BATCH_COUNT_FIRST
                break
            versions.append(read_listed(row))
            last = key
            statement, position = "list_current_versions", key
        else:
            if len(rows) < batch:
                return ListingPage(versions=versions, common_prefixes=prefixes, next_after=None)
            batch = min(batch * 2, count_max + 1)


def start_of(prefix: bytes, delimiter: bytes, after: bytes) -> tuple[bool, bytes]:
    """The key to begin with, and whether it belongs to the page itself."""
    if after < prefix or not after:
        return True, prefix
    if delimiter and after.startswith(prefix):
        cut = after.find(delimiter, len(prefix))
        if cut >= 0 and cut + len(delimiter) == len(after):
            return True, successor(after)
    return False, after


def _bounds(bucket_id: int, after: bytes, before: bytes, count_max: int) -> dict[str, int | bytes]:
    return {"bucket_id": bucket_id, "after": after, "before": before, "count_max": count_max}


def read_listed(row: Row) -> ListedVersion:
    """From the columns that every listing begins with."""
    key, size_bytes, etag, storage_class, created_at_us, checksums = row
    told = () if checksums is None else json.loads(cast(str, checksums))
    return ListedVersion(
        key=ObjectKey(cast(bytes, key)),
        size_bytes=cast(int, size_bytes),
        etag=cast(str, etag),
        storage_class=cast(str, storage_class),
        created_at_us=cast(int, created_at_us),
        checksum_algorithms=tuple(each["algorithm"] for each in told),
        checksum_type=told[0]["type"] if told else None,
    )
