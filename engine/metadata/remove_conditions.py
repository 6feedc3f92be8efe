"""Conditions on removing: what must hold of a version under its key's lock, or nothing is removed."""

from typing import cast

from engine.errors import PreconditionFailed
from engine.metadata.store import Row, Tx
from engine.records import ANY_ETAG, RemoveConditions


def check_remove_conditions(tx: Tx, conditions: RemoveConditions, row: Row | None) -> None:
    """Raise PreconditionFailed unless all of them hold of the version that a write looked at under the key's lock.

    Where there is none (a delete marker is none) a condition on its ETag fails; those on time and size hold, as there
    is nothing they could protect (S3 API, DeleteObject).
    """
    if conditions.version_seq is not None and (row is None or row[0] != conditions.version_seq):
        raise PreconditionFailed(condition="version_seq")
    if row is None or row[4]:
        if conditions.etag is not None:
            raise PreconditionFailed(condition="If-Match")
        return
    version_seq, _, etag, size_bytes, *_ = row
    if conditions.etag not in (None, ANY_ETAG, etag):
        raise PreconditionFailed(condition="If-Match")
    if conditions.size_bytes not in (None, size_bytes):
        raise PreconditionFailed(condition="x-amz-if-match-size")
    wanted_ms = conditions.modified_at_ms
    if wanted_ms is not None:
        (created_at_us,) = tx.row("find_created_at", {"version_seq": version_seq})
        if not _is_then(cast(int, created_at_us) // 1000, wanted_ms):
            raise PreconditionFailed(condition="x-amz-if-match-last-modified-time")


def _is_then(modified_at_ms: int, wanted_ms: int) -> bool:
    """Whoever knows a time from a header knows whole seconds, from a listing milliseconds."""
    return wanted_ms in (modified_at_ms, modified_at_ms - modified_at_ms % 1000)
