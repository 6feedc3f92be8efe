"""A scrub that somebody asked for: of a backend, of a bucket's objects, or of a sample of all, as long work."""

import json
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from engine.clock import Ids
from engine.metadata import quota
from engine.metadata.listing import successor
from engine.metadata.pieces import (
    BlobPosition,
    StandingPiece,
    list_bucket_blobs,
    list_pieces,
    list_pieces_of,
)
from engine.metadata.store import Store, Tx
from engine.units import MIB
from engine.upkeep.long_work import Extent, Step
from engine.upkeep.piece_check import Depth
from engine.upkeep.piece_inspection import Inspected, PieceInspector

STEP_COUNT_MAX = 100
STEP_BYTES_MAX = 32 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Pieces that come next, and where the page behind them begins; null: there is none."""

    pieces: Sequence[StandingPiece]
    next_after: str | None


class PieceWalk(Protocol):
    """An order of pieces to look at."""

    def measure(self) -> Extent: ...

    def page(self, after: str, /) -> Page:
        """The pieces behind a position, which is empty at the beginning. Few enough for one step."""


class BackendWalk:
    """The pieces of some backends, one backend after the other, in the order of their storage keys."""

    def __init__(self, store: Store, backend_ids: Iterable[int]) -> None:
        self._store = store
        self._backend_ids = sorted(backend_ids)

    def measure(self) -> Extent:
        subjects = [quota.backend_subject(backend_id) for backend_id in self._backend_ids]
        totals = [self._store.read(partial(quota.read_quota, subject=subject)) for subject in subjects]
        return Extent(
            item_count=sum(each.object_count for each in totals if each is not None),
            size_bytes=sum(each.used_bytes for each in totals if each is not None),
        )

    def page(self, after: str, /) -> Page:
        backend_text, _, key = after.partition(" ")
        left = [each for each in self._backend_ids if not backend_text or each >= int(backend_text)]
        if not left:
            return Page(pieces=(), next_after=None)
        found = self._store.read(
            partial(list_pieces, backend_id=left[0], after=key, count_max=STEP_COUNT_MAX)
        )
        pieces = _bounded(found)
        if pieces:
            return Page(pieces=pieces, next_after=f"{left[0]} {pieces[-1].location.storage_key}")
        return Page(pieces=(), next_after=f"{left[1]} " if len(left) > 1 else None)


class BucketWalk:
    """The pieces of a bucket's versions, those with keys that begin alike, in the order of keys."""

    def __init__(self, store: Store, bucket_id: int, prefix: bytes) -> None:
        self._store = store
        self._bucket_id = bucket_id
        self._prefix = prefix

    def measure(self) -> Extent:
        return Extent()

    def page(self, after: str, /) -> Page:
        key, version_seq, ordinal = json.loads(after) if after else (self._prefix.hex(), None, -1)
        position = BlobPosition(key=bytes.fromhex(key))
        if version_seq is not None:
            position = BlobPosition(key=bytes.fromhex(key), version_seq=version_seq, ordinal=ordinal)
        return self._store.read(partial(self._read, after=position))

    def _read(self, tx: Tx, *, after: BlobPosition) -> Page:
        blobs = list_bucket_blobs(
            tx,
            self._bucket_id,
            after=after,
            before_key=successor(self._prefix) if self._prefix else _AFTER_ALL_KEYS,
            count_max=STEP_COUNT_MAX,
        )
        pieces: list[StandingPiece] = []
        last: BlobPosition | None = None
        for position, blob_id in blobs:
            if sum(each.blob.stored_bytes for each in pieces) >= STEP_BYTES_MAX:
                break
            last = position
            pieces += [] if blob_id is None else list_pieces_of(tx, blob_id)
        told = None if last is None else json.dumps([last.key.hex(), last.version_seq, last.ordinal])
        return Page(pieces=pieces, next_after=told)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a scrub has come to. `salt` decides whom a sample takes."""

    salt: str
    after: str = ""
    counts: dict[str, int] = field(default_factory=dict)


class ScrubRun:
    """Long work. Repeating a step reads the same pieces again."""

    def __init__(
        self,
        walk: PieceWalk,
        inspector: PieceInspector,
        *,
        ids: Ids,
        depth: Depth = Depth.FULL,
        sample: float = 1.0,
    ) -> None:
        """`sample` is the share of pieces that are looked at."""
        self._walk = walk
        self._inspector = inspector
        self._ids = ids
        self._depth = depth
        self._sample = sample

    def measure(self) -> Extent:
        return self._walk.measure()

    def step(self, cursor: str | None, /) -> Step:
        place = _Place(salt=self._ids().hex()) if cursor is None else _Place(**json.loads(cursor))
        page = self._walk.page(place.after)
        chosen = [each for each in page.pieces if self._is_chosen(each, place.salt)]
        counts = Counter(place.counts)
        warnings: list[str] = []
        read_bytes = 0
        while chosen:
            inspected = self._inspector.inspect(chosen, self._depth)
            read_bytes += inspected.read_bytes
            _count(counts, inspected)
            warnings += [str(each) for each in inspected.bad]
            chosen = chosen[inspected.seen_count :]
            if inspected.is_away:
                # The next pieces may lie elsewhere.
                warnings.append(f"piece {chosen[0].location.storage_key} could not be reached")
                counts["unreached_count"] += 1
                chosen = chosen[1:]
        is_last = page.next_after is None
        told = replace(place, after=page.next_after or place.after, counts=dict(counts))
        return Step(
            cursor=json.dumps(asdict(told)),
            is_last=is_last,
            item_count=len(page.pieces),
            moved_bytes=sum(each.location.stored_bytes for each in page.pieces),
            stage="verifying",
            current_item=page.pieces[-1].location.storage_key if page.pieces else "",
            warnings=tuple(warnings),
            result=_answer(counts) if is_last else None,
        )

    def cancelled(self) -> None:
        """What was verified and healed stays so."""

    def _is_chosen(self, piece: StandingPiece, salt: str) -> bool:
        if self._sample >= 1.0:
            return True
        drawn = salt.encode() + piece.location.blob_id + piece.location.piece_index.to_bytes(4, "big")
        return zlib.crc32(drawn) < self._sample * 2**32


def _count(counts: "Counter[str]", inspected: Inspected) -> None:
    counts["checked_count"] += inspected.seen_count
    counts["verified_bytes"] += inspected.read_bytes
    counts["bad_count"] += len(inspected.bad)
    counts["healed_count"] += inspected.cured_count


def _answer(counts: "Counter[str]") -> dict[str, Any]:
    names = ("checked_count", "verified_bytes", "bad_count", "healed_count", "unreached_count")
    return {name: counts[name] for name in names}


def _bounded(pieces: Sequence[StandingPiece]) -> list[StandingPiece]:
    bounded: list[StandingPiece] = []
    size_bytes = 0
    for each in pieces:
        if size_bytes >= STEP_BYTES_MAX:
            break
        bounded.append(each)
        size_bytes += each.blob.stored_bytes
    return bounded


_AFTER_ALL_KEYS = b"\xff" * 1025
