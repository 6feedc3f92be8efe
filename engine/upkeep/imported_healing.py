"""Imported blobs of which more copies are wished for: rewritten as blobs of ours, as many times as their bucket asks.

What was imported lies once where it lay, whatever its bucket says: a copy of bytes that nothing vouches for would
be none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from engine.imported import is_imported
from engine.metadata.moves import Movable
from engine.metadata.pieces import StandingPiece
from engine.metadata.redundancy import good_domains
from engine.metadata.replacing import find_first_use
from engine.metadata.store import Store
from engine.placement.redundancy import missing_count
from engine.records import Scheme
from engine.upkeep.away import HealPolicy, Presence
from engine.upkeep.rewriting import Rewriting


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """What became of a blob: `problem` says why it is what it was, null: `copy_count` pieces of ours stand instead."""

    copy_count: int
    problem: str | None


class ImportedHealer:
    """For one thread. Repeating it is harmless: a blob that was rewritten is gone."""

    def __init__(self, store: Store, rewriting: Rewriting, policy: HealPolicy) -> None:
        self._store = store
        self._rewriting = rewriting
        self._policy = policy

    def heal(self, pieces: Sequence[StandingPiece], presence: Presence) -> Rewritten | None:
        """Null for a blob that is ours, or has all that its bucket asks for. Raises LeaseLost, and as a write does."""
        imported = next((each for each in pieces if is_imported(each.location.storage_key)), None)
        if imported is None:
            return None
        scheme = self._scheme_of(imported)
        places = [(each.location.backend_id, each.location.state) for each in pieces]
        if not missing_count(scheme, good_domains(places, presence.domains, presence.away)):
            return None
        moved = self._rewriting.move(Movable(location=imported.location, blob=imported.blob, others=()))
        if not moved.unmoved:
            return Rewritten(copy_count=scheme.count, problem=None)
        (unmoved,) = moved.unmoved
        problem = f"{unmoved.why.value}: {unmoved.detail}" if unmoved.detail else unmoved.why.value
        return Rewritten(copy_count=0, problem=problem)

    def _scheme_of(self, piece: StandingPiece) -> Scheme:
        """That of the bucket whose objects it is stored as. One that nobody uses wants no more than it has."""
        first = self._store.read(partial(find_first_use, blob_id=piece.location.blob_id))
        return piece.blob.scheme if first is None else first.bucket.scheme or self._policy.default_scheme
