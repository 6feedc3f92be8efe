"""Healing blobs: bad copies made anew where that can be done, and what is missing still added beside them.

An imported blob that lacks copies by its bucket's scheme is rewritten instead (`engine.upkeep.imported_healing`).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from engine.metadata import repairs
from engine.metadata.pieces import StandingPiece, list_pieces_of
from engine.metadata.redundancy import good_domains
from engine.metadata.repairs import Repair, RepairKind, RepairState, ask_repair
from engine.metadata.store import Tx
from engine.placement.redundancy import missing_count
from engine.records import Blob, LocationState
from engine.units import MIB
from engine.upkeep.adding import CopyAdder
from engine.upkeep.away import HealPolicy, Presence, read_presence
from engine.upkeep.imported_healing import ImportedHealer, Rewritten
from engine.upkeep.integrity_parts import IntegrityParts
from engine.upkeep.long_work import Fence, Pace
from engine.upkeep.moved_cards import MovedCards
from engine.upkeep.piece_check import Depth
from engine.upkeep.piece_copier import PieceCopier
from engine.upkeep.targets import Targets

UNIT_COUNT_MAX = 64
"""Blobs healed in one unit."""

UNIT_BYTES_MAX = 64 * MIB
"""Payload of these; the blob that reaches it is the last."""

UNIT_S_MAX = 1.0
"""A unit looks at no further blob after this."""

_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Healed:
    """What a unit did. `seen_count` repairs from the first on were seen to, the others were not come to."""

    seen_count: int = 0
    cured_count: int = 0
    """Copies that were bad and stand anew."""
    added_count: int = 0
    copied_bytes: int = 0
    stuck: dict[bytes, str] = field(default_factory=dict)
    """Blobs that lack copies still, and why."""

    @property
    def done_count(self) -> int:
        """Blobs that have what they should."""
        return self.seen_count - len(self.stuck)


class BlobHealer:
    """Heals units of blobs. For one thread. Repeating any of it, by whomever, is harmless."""

    def __init__(self, parts: IntegrityParts, policy: HealPolicy, *, fence: Fence, pace: Pace) -> None:
        self._parts = parts
        self._store = parts.store
        self._policy = policy
        self._fence = fence
        self._pace = pace
        self._inspector = parts.inspector(fence, pace)
        self._imported = ImportedHealer(parts.store, parts.rewriting(fence, pace), policy)
        copier = PieceCopier(
            parts.backends, announcer=parts.announcer, cards=MovedCards(parts.ring, parts.clock), pace=pace
        )
        self._adder = CopyAdder(parts.store, announcer=parts.announcer, copier=copier, fence=fence, pace=pace)

    def heal(self, asked: Sequence[Repair]) -> Healed:
        """Heal the first of these, as many as make up a unit. Raises LeaseLost and what a write raises."""
        presence = self._store.read(partial(read_presence, policy=self._policy))
        chosen = asked[:UNIT_COUNT_MAX]
        self._store.write(lambda tx: self._begin(tx, chosen))
        healed = Healed()
        wanted: dict[bytes, tuple[Repair, Sequence[StandingPiece]]] = {}
        settled: list[bytes] = []
        deadline_s = self._parts.clock.monotonic_s() + UNIT_S_MAX
        taken_bytes = 0
        for repair in chosen:
            is_late = self._pace.is_over or self._parts.clock.monotonic_s() > deadline_s
            if (is_late and healed.seen_count) or taken_bytes >= UNIT_BYTES_MAX:
                break
            healed.seen_count += 1
            pieces = self._cured(repair.blob_id, presence, healed)
            rewritten = self._imported.heal(pieces, presence)
            if rewritten is not None:
                taken_bytes += pieces[0].blob.stored_bytes
                self._note_rewritten(repair, pieces[0].blob, rewritten, healed)
                continue
            if not pieces or not _lacks(pieces, presence):
                settled.append(repair.blob_id)
                continue
            taken_bytes += pieces[0].blob.stored_bytes
            wanted[repair.blob_id] = (repair, pieces)
        if settled:
            self._store.write(lambda tx: self._drop(tx, settled))
        if wanted:
            self._add(wanted, presence, healed)
        return healed

    def _note_rewritten(self, repair: Repair, blob: Blob, rewritten: Rewritten, healed: Healed) -> None:
        problem = rewritten.problem
        if problem is None:
            healed.added_count += rewritten.copy_count
            healed.copied_bytes += rewritten.copy_count * blob.stored_bytes
            self._store.write(lambda tx: self._drop(tx, [repair.blob_id]))
            return

        def postpone(tx: Tx) -> None:
            self._fence(tx)
            repairs.postpone(tx, RepairKind.HEAL, repair, problem)

        healed.stuck[repair.blob_id] = problem
        self._store.write(postpone)

    def _begin(self, tx: Tx, chosen: Sequence[Repair]) -> None:
        self._fence(tx)
        repairs.set_state(tx, RepairKind.HEAL, [each.blob_id for each in chosen], RepairState.RECONSTRUCTING)

    def _drop(self, tx: Tx, blob_ids: Sequence[bytes]) -> None:
        """These have all they should, or are gone; some have more by now."""
        self._fence(tx)
        for blob_id in sorted(blob_ids):
            repairs.drop(tx, RepairKind.HEAL, blob_id)

    def _cured(self, blob_id: bytes, presence: Presence, healed: Healed) -> list[StandingPiece]:
        """The blob's pieces, after the bad ones among them were looked at once more and made anew where possible."""
        pieces = self._store.read(partial(list_pieces_of, blob_id=blob_id))
        bad = [
            each
            for each in pieces
            if each.location.state is not LocationState.LIVE and each.location.backend_id not in presence.away
        ]
        if not bad:
            return pieces
        for each in bad:
            healed.cured_count += self._inspector.inspect([each], Depth.FULL).cured_count
        return self._store.read(partial(list_pieces_of, blob_id=blob_id))

    def _add(
        self,
        wanted: dict[bytes, tuple[Repair, Sequence[StandingPiece]]],
        presence: Presence,
        healed: Healed,
    ) -> None:
        targets = Targets(
            self._store,
            self._parts.backends,
            self._parts.health,
            routing=self._parts.routing,
            sources=presence.away,
        )
        result = self._adder.add(wanted, targets, presence)
        healed.stuck.update(result.stuck)
        crowded = []
        for blob_id, count in result.added.items():
            _, pieces = wanted[blob_id]
            healed.added_count += count
            healed.copied_bytes += count * pieces[0].blob.stored_bytes
            _log.warning(
                "blob.healed",
                extra={"blob_id": blob_id.hex(), "added_count": count, "had_count": len(pieces)},
            )
            present_count = sum(each.location.backend_id not in presence.away for each in pieces)
            if present_count + count > pieces[0].blob.scheme.count:
                crowded.append(blob_id)
        if crowded:
            # Beside copies that are bad. What lies on a backend that is away is seen to when that is back.
            self._store.write(lambda tx: self._ask_trim(tx, crowded))

    def _ask_trim(self, tx: Tx, blob_ids: Sequence[bytes]) -> None:
        self._fence(tx)
        for blob_id in sorted(blob_ids):
            ask_repair(tx, RepairKind.TRIM, blob_id, reason="copies were made beside bad ones")


def _lacks(pieces: Sequence[StandingPiece], presence: Presence) -> bool:
    places = [(each.location.backend_id, each.location.state) for each in pieces]
    return missing_count(pieces[0].blob.scheme, good_domains(places, presence.domains, presence.away)) > 0
