"""What points at a blob: the one list. Liveness is "some row points at it"; there is no counter beside it."""

from collections.abc import Iterable
from typing import cast

from engine.metadata import cleanup, quota, repairs
from engine.metadata.store import Answer, Tx

REFERRING_TABLES = ("object_versions", "object_segments", "multipart_part_segments")
"""Tables whose rows keep a blob alive; `is_blob_referenced` asks each of them. Locations belong to the blob itself."""


def is_referenced(tx: Tx, blob_id: bytes) -> bool:
    """Whether any row points at the blob, those that wait for the reaper included."""
    return tx.row_or_none("is_blob_referenced", {"blob_id": blob_id}) is not None


def free_unreferenced(
    tx: Tx, blob_ids: Iterable[bytes], changes: quota.Changes, *, not_before_us: int, reason: str
) -> int:
    """Delete those blobs that nothing points at; their pieces go to the cleanup queue with their bytes as orphans.

    How many were deleted. Blobs are locked in the order of their ids, so that two callers never wait for each other,
    and asked about in a statement of its own behind the lock, which sees who was quicker.
    """
    asked: list[tuple[bytes, Answer]] = []
    for blob_id in sorted(set(blob_ids)):
        tx.lock("lock_blob", {"blob_id": blob_id})
        asked.append((blob_id, tx.ask("is_blob_referenced", {"blob_id": blob_id})))
    unreferenced = [blob_id for blob_id, answer in asked if answer.row_or_none() is None]
    located = [tx.ask("delete_blob_locations", {"blob_id": blob_id}) for blob_id in unreferenced]
    pieces = [cast("tuple[int, str, int]", row) for answer in located for row in answer.rows()]
    for backend_id, _, stored_bytes in pieces:
        changes.orphan(quota.backend_subject(backend_id), size_bytes=stored_bytes, objects=1)
    cleanup.enqueue_all(tx, pieces, reason=reason, not_before_us=not_before_us)
    repairs.drop_all(tx, unreferenced)
    return tx.ask_many("delete_blob", [{"blob_id": blob_id} for blob_id in unreferenced]).count()
