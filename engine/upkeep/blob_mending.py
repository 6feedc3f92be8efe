"""Mending a blob that somebody asked for: copies are read, bad ones made anew, missing ones added, extra ones go."""

from dataclasses import dataclass
from functools import partial

from engine.metadata.pieces import list_pieces_of
from engine.metadata.repairs import Repair, RepairState
from engine.upkeep.away import HealPolicy
from engine.upkeep.blob_healing import BlobHealer
from engine.upkeep.blob_trimming import BlobTrimmer
from engine.upkeep.integrity_parts import IntegrityParts
from engine.upkeep.long_work import Fence, Pace
from engine.upkeep.piece_check import Depth

REASON = "somebody asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """What was found and done. `stuck_count` is of repairs that could not be made; `warnings` say why, for people."""

    bad_count: int
    cured_count: int
    added_count: int
    removed_count: int
    stuck_count: int
    warnings: tuple[str, ...]


class BlobMender:
    """For one thread. Repeating it is harmless."""

    def __init__(self, parts: IntegrityParts, policy: HealPolicy, *, fence: Fence, pace: Pace) -> None:
        self._store = parts.store
        self._inspector = parts.inspector(fence, pace)
        self._healer = BlobHealer(parts, policy, fence=fence, pace=pace)
        self._trimmer = BlobTrimmer(parts, policy, fence=fence, pace=pace)

    def mend(self, blob_id: bytes) -> Mended:
        """Raises LeaseLost and what a write raises."""
        bad = cured = 0
        warnings: list[str] = []
        for piece in self._store.read(partial(list_pieces_of, blob_id=blob_id)):
            inspected = self._inspector.inspect([piece], Depth.FULL)
            bad += len(inspected.bad)
            cured += inspected.cured_count
            warnings += [str(each) for each in inspected.bad]
            if inspected.is_away:
                warnings.append(f"piece {piece.location.storage_key} could not be reached")
        repair = _repair_of(blob_id)
        healed, trimmed = self._healer.heal([repair]), self._trimmer.trim([repair])
        stuck = [*healed.stuck.values(), *trimmed.stuck.values()]
        return Mended(
            bad_count=bad,
            cured_count=cured,
            added_count=healed.added_count,
            removed_count=trimmed.removed_count,
            stuck_count=len(stuck),
            warnings=tuple(warnings + [f"blob {blob_id.hex()}: {problem}" for problem in stuck]),
        )


def _repair_of(blob_id: bytes) -> Repair:
    return Repair(
        blob_id=blob_id,
        state=RepairState.DETECTED,
        reason=REASON,
        detected_at_us=0,
        due_us=0,
        attempt_count=0,
        error=None,
    )
