"""Replication that somebody asked for, as long work: of all blobs, or of one object."""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

from engine.errors import IsDeleteMarker, NoSuchBucket, NoSuchKey, NoSuchVersion
from engine.metadata.redundancy import list_blob_standings
from engine.metadata.repairs import Repair, RepairKind, list_due
from engine.metadata.store import Tx
from engine.metadata.versions import find_current, find_version, read_slices
from engine.records import StoredSlice, StoredVersion
from engine.upkeep.away import HealPolicy, Presence, read_presence
from engine.upkeep.blob_healing import BlobHealer
from engine.upkeep.blob_mending import REASON, BlobMender
from engine.upkeep.blob_trimming import BlobTrimmer
from engine.upkeep.detecting import PAGE_COUNT_MAX, Detected, ask_repairs
from engine.upkeep.integrity_parts import IntegrityParts
from engine.upkeep.long_work import Extent, Fence, Json, Pace, Step

LIST_COUNT_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a run has come to; null `after`: all blobs were looked at. `added`, `removed`: copies."""

    after: str | None = ""
    found: int = 0
    healed: int = 0
    trimmed: int = 0
    added: int = 0
    removed: int = 0

    def write(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    def answer(self) -> dict[str, Json]:
        return {
            "found_count": self.found,
            "healed_count": self.healed,
            "trimmed_count": self.trimmed,
            "added_copy_count": self.added,
            "removed_copy_count": self.removed,
        }


class ReplicationRun:
    """Long work: looks at every blob, and repairs whatever is due. Repeating a step is harmless."""

    def __init__(
        self,
        parts: IntegrityParts,
        policy: HealPolicy,
        *,
        fence: Fence,
        pace: Pace,
        kinds: Collection[RepairKind] = frozenset(RepairKind),
    ) -> None:
        """`kinds` are the repairs that are looked for and made."""
        self._store = parts.store
        self._policy = policy
        self._fence = fence
        self._kinds = kinds
        self._healer = BlobHealer(parts, policy, fence=fence, pace=pace)
        self._trimmer = BlobTrimmer(parts, policy, fence=fence, pace=pace)

    def measure(self) -> Extent:
        return Extent()

    def step(self, cursor: str | None, /) -> Step:
        """Repairs go first. Those that cannot be done are put off, so that a run ends."""
        place = _Place() if cursor is None else _Place(**json.loads(cursor))
        due = self._due(RepairKind.HEAL)
        if due:
            healed = self._healer.heal(due)
            now = replace(
                place, healed=place.healed + healed.done_count, added=place.added + healed.added_count
            )
            return _repaired(
                now, "healing blobs", healed.seen_count, healed.copied_bytes, list(healed.stuck.items())
            )
        due = self._due(RepairKind.TRIM)
        if due:
            trimmed = self._trimmer.trim(due)
            now = replace(
                place,
                trimmed=place.trimmed + trimmed.done_count,
                removed=place.removed + trimmed.removed_count,
            )
            return _repaired(
                now, "trimming blobs", trimmed.seen_count, trimmed.read_bytes, list(trimmed.stuck.items())
            )
        if place.after is None:
            return Step(cursor=place.write(), is_last=True, stage="done", result=place.answer())
        presence = self._store.read(partial(read_presence, policy=self._policy))
        detected = self._store.write(partial(self._look, after=place.after, presence=presence))
        last = detected.last
        after = last.hex() if isinstance(last, bytes) else None
        now = replace(place, after=after, found=place.found + detected.found_count)
        return Step(
            cursor=now.write(), is_last=False, item_count=detected.seen_count, stage="looking at blobs"
        )

    def cancelled(self) -> None:
        """What was repaired stays so, and what was found waits for the workers."""

    def _due(self, kind: RepairKind) -> list[Repair]:
        if kind not in self._kinds:
            return []
        return self._store.read(partial(list_due, kind=kind, count_max=LIST_COUNT_MAX))

    def _look(self, tx: Tx, after: str, presence: Presence) -> Detected:
        self._fence(tx)
        page = list_blob_standings(tx, after=bytes.fromhex(after), count_max=PAGE_COUNT_MAX)
        return ask_repairs(tx, page, presence, reason=REASON, kinds=self._kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectOrder:
    """The version of an object that is to be healed, by the id it had when that was asked for."""

    bucket: str
    key: bytes
    version_id: str
    version_seq: int


class ObjectHealing:
    """Long work: reads every copy of an object and heals it, one slice a step. Repeating a step is harmless."""

    def __init__(
        self, parts: IntegrityParts, policy: HealPolicy, order: ObjectOrder, *, fence: Fence, pace: Pace
    ) -> None:
        self._store = parts.store
        self._order = order
        self._mender = BlobMender(parts, policy, fence=fence, pace=pace)

    def measure(self) -> Extent:
        return Extent()

    def step(self, cursor: str | None, /) -> Step:
        told = {"ordinal": -1, "bad": 0, "cured": 0, "added": 0, "removed": 0}
        told |= {} if cursor is None else json.loads(cursor)
        part = next(iter(self._slices_after(told["ordinal"])), None)
        if part is None:
            result: dict[str, Json] = {
                "bad_count": told["bad"],
                "healed_count": told["cured"],
                "added_copy_count": told["added"],
                "removed_copy_count": told["removed"],
            }
            return Step(cursor=json.dumps(told), is_last=True, stage="done", result=result)
        mended = self._mender.mend(part.blob.blob_id)
        now = {
            "ordinal": part.segment.ordinal,
            "bad": told["bad"] + mended.bad_count,
            "cured": told["cured"] + mended.cured_count,
            "added": told["added"] + mended.added_count,
            "removed": told["removed"] + mended.removed_count,
        }
        return Step(
            cursor=json.dumps(now),
            is_last=False,
            item_count=1,
            failed_count=mended.stuck_count,
            moved_bytes=part.blob.stored_bytes,
            stage="healing",
            warnings=mended.warnings,
        )

    def cancelled(self) -> None:
        """What was healed stays so."""

    def _slices_after(self, ordinal: int) -> Sequence[StoredSlice]:
        """None once it was overwritten or deleted: then nothing is left to be healed."""
        order = self._order

        def unit(tx: Tx) -> Sequence[StoredSlice]:
            try:
                stored = read_version(tx, order.bucket, order.key, order.version_id)
            except (NoSuchBucket, NoSuchKey, NoSuchVersion, IsDeleteMarker):
                return ()
            if stored.version.version_seq != order.version_seq:
                return ()
            if ordinal < 0 or not stored.has_more_slices:
                return [each for each in stored.slices if each.segment.ordinal > ordinal]
            return read_slices(tx, order.version_seq, after_ordinal=ordinal, count_max=1)

        return self._store.read(unit)


def read_version(tx: Tx, bucket: str, key: bytes, version_id: str) -> StoredVersion:
    """That version, or the current one where the id is empty. Raises as those two do."""
    return find_version(tx, bucket, key, version_id) if version_id else find_current(tx, bucket, key)


def _repaired(
    place: _Place, stage: str, seen_count: int, moved_bytes: int, stuck: list[tuple[bytes, str]]
) -> Step:
    return Step(
        cursor=place.write(),
        is_last=False,
        item_count=seen_count,
        failed_count=len(stuck),
        moved_bytes=moved_bytes,
        stage=stage,
        warnings=tuple(f"blob {blob_id.hex()}: {problem}" for blob_id, problem in stuck),
    )
