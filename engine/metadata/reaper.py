"""The reaper: walks what was retired and frees the blobs that nothing points at any more."""

from dataclasses import dataclass
from typing import cast

from engine.metadata import quota
from engine.metadata.publish import is_locked
from engine.metadata.references import free_unreferenced
from engine.metadata.store import Tx

SEGMENT_COUNT_MAX = 500
"""Segments walked in one transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReapStep:
    """What one step did. `stopped_count` counts rows the reaper refuses to touch: somebody must look at them."""

    freed_count: int = 0
    stopped_count: int = 0
    stopped_at: str | None = None
    has_more: bool = False


def reap_step(tx: Tx, *, grace_us: int) -> ReapStep:
    """One bounded step on the oldest retired row. Repeating it is harmless: what is gone is not found again."""
    row = tx.row_or_none("next_retired", {})
    if row is None:
        return ReapStep()
    retired_id, kind, target_seq, target_id, _ = row
    not_before_us = tx.now_us() + grace_us
    changes = quota.Changes()
    if kind == "version":
        step = _reap_version(tx, cast(int, retired_id), cast(int, target_seq), not_before_us, changes)
    else:
        if kind == "part":
            freed, is_done = _reap_part(tx, cast(int, target_seq), not_before_us, changes)
        else:
            freed, is_done = _reap_upload(tx, cast(bytes, target_id), not_before_us, changes)
        if is_done:
            tx.ask("delete_retired", {"retired_id": retired_id})
        step = ReapStep(freed_count=freed, has_more=True)
    changes.apply(tx)
    return step


def _reap_version(
    tx: Tx, retired_id: int, version_seq: int, not_before_us: int, changes: quota.Changes
) -> ReapStep:
    named = {"version_seq": version_seq}
    version = tx.row_or_none("find_retired_version", named)
    if version is None:
        tx.ask("delete_retired", {"retired_id": retired_id})
        return ReapStep(has_more=True)
    blob_id, retention_mode, retain_until_us, legal_hold, state = version
    problem = None
    if state != "retired":
        problem = "the version is live"
    elif is_locked(tx, retention_mode, retain_until_us, legal_hold):
        problem = "a lock still holds"
    if problem is not None:
        tx.ask("set_retired_problem", {"retired_id": retired_id, "problem": problem})
        return ReapStep(stopped_count=1, stopped_at=f"version {version_seq}: {problem}", has_more=True)
    if blob_id is not None:
        tx.ask("unset_version_blob", named)
        freed = _free(tx, [cast(bytes, blob_id)], not_before_us, changes)
    else:
        segments = tx.rows("list_version_blobs", {**named, "count_max": SEGMENT_COUNT_MAX})
        freed = 0
        if segments:
            tx.ask("delete_version_segments", {**named, "ordinal": segments[-1][0]})
            blob_ids = [cast(bytes, each) for _, each in segments]
            freed = _free(tx, blob_ids, not_before_us, changes)
        if len(segments) == SEGMENT_COUNT_MAX:
            return ReapStep(freed_count=freed, has_more=True)
    tx.ask("delete_version", named)
    tx.ask("delete_retired", {"retired_id": retired_id})
    return ReapStep(freed_count=freed, has_more=True)


def _reap_part(tx: Tx, part_seq: int, not_before_us: int, changes: quota.Changes) -> tuple[int, bool]:
    """How many blobs were freed, and whether the part is gone."""
    segments = tx.rows("list_part_blobs", {"part_seq": part_seq, "count_max": SEGMENT_COUNT_MAX})
    freed = 0
    if segments:
        tx.ask("delete_part_segments", {"part_seq": part_seq, "ordinal": segments[-1][0]})
        blob_ids = [cast(bytes, each) for _, each in segments]
        freed = _free(tx, blob_ids, not_before_us, changes)
    if len(segments) == SEGMENT_COUNT_MAX:
        return freed, False
    tx.ask("delete_part", {"part_seq": part_seq})
    return freed, True


def _reap_upload(tx: Tx, upload_id: bytes, not_before_us: int, changes: quota.Changes) -> tuple[int, bool]:
    """Parts of a finished upload one by one; what a version shares with them stays."""
    walked = freed = 0
    while walked < SEGMENT_COUNT_MAX:
        row = tx.row_or_none("next_part_of_upload", {"upload_id": upload_id})
        if row is None:
            return freed, True
        count, is_done = _reap_part(tx, cast(int, row[0]), not_before_us, changes)
        freed += count
        # A part of at most 5 GiB has some eighty segments; counting it as that keeps the step bounded.
        walked += 80 if is_done else SEGMENT_COUNT_MAX
    return freed, False


def _free(tx: Tx, blob_ids: list[bytes], not_before_us: int, changes: quota.Changes) -> int:
    return free_unreferenced(tx, blob_ids, changes, not_before_us=not_before_us, reason="reaped")


def waiting(tx: Tx) -> tuple[int, int]:
    """How many rows wait for the reaper, and at how many it stopped."""
    waits, stopped = tx.row("count_retired", {})
    return cast(int, waits), cast(int, stopped)
