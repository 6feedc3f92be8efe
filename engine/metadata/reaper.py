"""The reaper: walks what was retired and frees the blobs that nothing points at any more."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import cast

from engine.metadata import quota
from engine.metadata.displacing import is_locked
from engine.metadata.references import free_unreferenced
from engine.metadata.store import Row, SqlValue, Tx

SEGMENT_COUNT_MAX = 500
"""Segments walked in one transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReapStep:
    """What one step did with so many retired rows.

    `stopped_at` are those that the reaper refuses to touch: somebody must look at them.
    """

    row_count: int = 0
    freed_count: int = 0
    stopped_at: Sequence[str] = ()
    has_more: bool = False


def reap_step(tx: Tx, *, grace_us: int) -> ReapStep:
    """One bounded step on the oldest retired row. Repeating it is harmless: what is gone is not found again."""
    reaping = Reaping(tx, grace_us=grace_us)
    step = reaping.step()
    return replace(step, freed_count=reaping.finish())


class Reaping:
    """Several steps in one transaction, which `finish` ends; nothing else may follow it in the transaction.

    What the steps let go of is freed in the end, all of it in the order of ids, and accounts come last: whoever moves
    pieces locks in that order as well, and steps in the order of retirement would stand in its way.
    """

    def __init__(self, tx: Tx, *, grace_us: int) -> None:
        self._tx = tx
        self._grace_us = grace_us
        self._blob_ids: set[bytes] = set()
        self._segment_count = 0

    @property
    def is_full(self) -> bool:
        """Whether one transaction should walk no more segments, and free no more blobs in `finish`."""
        return max(len(self._blob_ids), self._segment_count) >= SEGMENT_COUNT_MAX

    def step(self, count_max: int = 1) -> ReapStep:
        """Take the oldest retired rows apart, at most so many, or a bounded part of the first.

        What they free is known in the end.
        """
        rows = self._tx.rows("next_retired", {"count_max": count_max})
        if not rows:
            return ReapStep()
        versions = [
            (cast(int, retired_id), cast(int, target_seq))
            for retired_id, _, target_seq, _, _ in takewhile(lambda row: row[1] == "version", rows)
        ]
        if versions:
            return ReapStep(row_count=len(versions), stopped_at=self._versions(versions), has_more=True)
        retired_id, kind, target_seq, target_id, _ = rows[0]
        is_part = kind == "part"
        is_done = self._part(cast(int, target_seq)) if is_part else self._upload(cast(bytes, target_id))
        if is_done:
            self._tx.ask("delete_retired", {"retired_id": retired_id})
        return ReapStep(row_count=1, has_more=True)

    def finish(self) -> int:
        """Free what nothing points at any more; how many blobs that were."""
        changes = quota.Changes()
        not_before_us = self._tx.now_us() + self._grace_us
        freed = free_unreferenced(
            self._tx, self._blob_ids, changes, not_before_us=not_before_us, reason="reaped"
        )
        changes.apply(self._tx)
        return freed

    def _versions(self, retired: Sequence[tuple[int, int]]) -> list[str]:
        """Take versions apart as long as the transaction is not full; those that it stopped at."""
        tx, stopped_at = self._tx, []
        asked = [tx.ask("find_retired_version", {"version_seq": version_seq}) for _, version_seq in retired]
        done: list[tuple[int, int]] = []
        for (retired_id, version_seq), answer in zip(retired, asked, strict=True):
            if self.is_full:
                break
            row = answer.row_or_none()
            problem = None if row is None else _problem_of(tx, row)
            if problem is not None:
                tx.ask("set_retired_problem", {"retired_id": retired_id, "problem": problem})
                stopped_at.append(f"version {version_seq}: {problem}")
            elif row is None or self._let_go(version_seq, row[0]):
                done.append((retired_id, version_seq))
        tx.ask_many("delete_version", [{"version_seq": version_seq} for _, version_seq in done])
        tx.ask_many("delete_retired", [{"retired_id": retired_id} for retired_id, _ in done])
        return stopped_at

    def _let_go(self, version_seq: int, blob_id: SqlValue) -> bool:
        """Whether that was all the version pointed at."""
        if blob_id is not None:
            self._blob_ids.add(cast(bytes, blob_id))
            return True
        named: dict[str, SqlValue] = {"version_seq": version_seq}
        segments = self._tx.rows("list_version_blobs", {**named, "count_max": SEGMENT_COUNT_MAX})
        self._segment_count += len(segments)
        if segments:
            self._tx.ask("delete_version_segments", {**named, "ordinal": segments[-1][0]})
            self._blob_ids.update(cast(bytes, each) for _, each in segments)
        return len(segments) < SEGMENT_COUNT_MAX

    def _part(self, part_seq: int) -> bool:
        """Whether the part is gone."""
        segments = self._tx.rows("list_part_blobs", {"part_seq": part_seq, "count_max": SEGMENT_COUNT_MAX})
        if segments:
            self._tx.ask("delete_part_segments", {"part_seq": part_seq, "ordinal": segments[-1][0]})
            self._blob_ids.update(cast(bytes, each) for _, each in segments)
        if len(segments) == SEGMENT_COUNT_MAX:
            return False
        self._tx.ask("delete_part", {"part_seq": part_seq})
        return True

    def _upload(self, upload_id: bytes) -> bool:
        """Parts of a finished upload one by one; what a version shares with them stays. Whether all are gone."""
        walked = 0
        while walked < SEGMENT_COUNT_MAX:
            row = self._tx.row_or_none("next_part_of_upload", {"upload_id": upload_id})
            if row is None:
                return True
            is_done = self._part(cast(int, row[0]))
            # A part of at most 5 GiB has some eighty segments; counting it as that keeps the step bounded.
            walked += 80 if is_done else SEGMENT_COUNT_MAX
        return False


def _problem_of(tx: Tx, row: Row) -> str | None:
    """What speaks against taking a version apart."""
    _, retention_mode, retain_until_us, legal_hold, state = row
    if state != "retired":
        return "the version is live"
    if is_locked(tx, retention_mode, retain_until_us, legal_hold):
        return "a lock still holds"
    return None


def list_released(tx: Tx, *, count_max: int) -> list[int]:
    """Rows that the reaper stopped at, with nothing to stop it any more: a lock has ended, most likely.

    For a transaction that only reads: it goes through all that is retired.
    """
    params: dict[str, SqlValue] = {"now_us": tx.now_us(), "count_max": count_max}
    return [cast(int, row[0]) for row in tx.rows("list_released_retired", params)]


def take_up_again(tx: Tx, retired_ids: Sequence[int]) -> None:
    """The reaper looks at these once more, and stops again at what it may not touch."""
    for retired_id in retired_ids:
        tx.ask("forget_retired_problem", {"retired_id": retired_id})


def waiting(tx: Tx) -> tuple[int, int]:
    """How many rows wait for the reaper, and at how many it stopped."""
    waits, stopped = tx.row("count_retired", {})
    return cast(int, waits), cast(int, stopped)
