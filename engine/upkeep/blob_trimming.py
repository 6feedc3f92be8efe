"""Trimming blobs with more copies than needed: all are read first, and one goes only beside enough good ones."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from engine.imported import loggable
from engine.metadata import repairs
from engine.metadata.pieces import StandingPiece, list_pieces_of
from engine.metadata.redundancy import trim_piece
from engine.metadata.repairs import Repair, RepairKind, RepairState
from engine.metadata.store import Tx
from engine.placement.redundancy import choose_excess
from engine.records import Location
from engine.units import MIB
from engine.upkeep.away import HealPolicy, Presence, read_presence
from engine.upkeep.integrity_parts import IntegrityParts
from engine.upkeep.long_work import Fence, Pace
from engine.upkeep.piece_check import Depth
from engine.upkeep.piece_inspection import PieceInspector

UNIT_COUNT_MAX = 64
"""Blobs trimmed in one unit."""

UNIT_BYTES_MAX = 64 * MIB
"""Bytes read in one unit; the blob that reaches it is the last."""

UNIT_S_MAX = 1.0
"""A unit looks at no further blob after this."""

_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Trimmed:
    """What a unit did. `seen_count` repairs from the first on were seen to, the others were not come to."""

    seen_count: int = 0
    removed_count: int = 0
    read_bytes: int = 0
    stuck: dict[bytes, str] = field(default_factory=dict)

    @property
    def done_count(self) -> int:
        """Blobs that have no copy too many."""
        return self.seen_count - len(self.stuck)


class BlobTrimmer:
    """Trims units of blobs. For one thread.

    Repeating any of it, by whomever, is harmless: who removes a copy counts those that are left under the blob's lock.
    """

    def __init__(self, parts: IntegrityParts, policy: HealPolicy, *, fence: Fence, pace: Pace) -> None:
        self._parts = parts
        self._store = parts.store
        self._policy = policy
        self._fence = fence
        self._pace = pace
        # It only marks what it finds bad: that is removed, or healed by those whose task it is.
        self._inspector = PieceInspector(parts.store, parts.checker(pace), fence=fence)

    def trim(self, asked: Sequence[Repair]) -> Trimmed:
        """Trim the first of these, as many as make up a unit. Raises LeaseLost and what a write raises."""
        presence = self._store.read(partial(read_presence, policy=self._policy))
        trimmed = Trimmed()
        deadline_s = self._parts.clock.monotonic_s() + UNIT_S_MAX
        for repair in asked[:UNIT_COUNT_MAX]:
            is_late = self._pace.is_over or self._parts.clock.monotonic_s() > deadline_s
            if (is_late and trimmed.seen_count) or trimmed.read_bytes >= UNIT_BYTES_MAX:
                break
            trimmed.seen_count += 1
            self._trim_blob(repair, presence, trimmed)
        return trimmed

    def _trim_blob(self, repair: Repair, presence: Presence, trimmed: Trimmed) -> None:
        blob_id = repair.blob_id
        since_us, pieces = self._store.read(lambda tx: (tx.now_us(), list_pieces_of(tx, blob_id)))
        present = [each for each in pieces if each.location.backend_id not in presence.away]
        if not present or len(present) <= present[0].blob.scheme.count:
            self._store.write(lambda tx: self._end(tx, blob_id, removed_count=0))
            return
        problem = self._read(repair, present, trimmed)
        removed_count = 0
        if problem is None:
            while (gone := self._remove_one(blob_id, since_us, presence)) is not None:
                removed_count += 1
                _tell(gone)
            trimmed.removed_count += removed_count
            if len(present) - removed_count > present[0].blob.scheme.count:
                problem = "too few of its copies are good"
        if problem is None:
            self._store.write(lambda tx: self._end(tx, blob_id, removed_count=removed_count))
        else:
            trimmed.stuck[blob_id] = problem
            self._store.write(lambda tx: self._postpone(tx, repair, problem))

    def _read(self, repair: Repair, present: Sequence[StandingPiece], trimmed: Trimmed) -> str | None:
        """Read all copies, so that what is counted is what is there now; null when that was possible."""
        self._store.write(lambda tx: self._set_state(tx, repair.blob_id, RepairState.RECONSTRUCTING))
        inspected = self._inspector.inspect(
            present, Depth.FULL, also=lambda tx, _: self._set_state(tx, repair.blob_id, RepairState.VERIFIED)
        )
        trimmed.read_bytes += inspected.read_bytes
        return "a backend is out of reach" if inspected.is_away else None

    def _remove_one(self, blob_id: bytes, since_us: int, presence: Presence) -> Location | None:
        def unit(tx: Tx) -> Location | None:
            self._fence(tx)
            return trim_piece(
                tx,
                blob_id,
                choose=choose_excess,
                verified_since_us=since_us,
                away=presence.away,
                grace_us=self._parts.grace_us,
            )

        return self._store.write(unit)

    def _set_state(self, tx: Tx, blob_id: bytes, state: RepairState) -> None:
        self._fence(tx)
        repairs.set_state(tx, RepairKind.TRIM, [blob_id], state)

    def _end(self, tx: Tx, blob_id: bytes, *, removed_count: int) -> None:
        self._fence(tx)
        if removed_count:
            repairs.end(tx, RepairKind.TRIM, blob_id)
        else:
            repairs.drop(tx, RepairKind.TRIM, blob_id)

    def _postpone(self, tx: Tx, repair: Repair, problem: str) -> None:
        self._fence(tx)
        repairs.postpone(tx, RepairKind.TRIM, repair, problem)


def _tell(gone: Location) -> None:
    _log.info(
        "piece.trimmed",
        extra={
            "blob_id": gone.blob_id.hex(),
            "backend_id": gone.backend_id,
            "storage_key": loggable(gone.storage_key),
            "state": gone.state.value,
        },
    )
