"""Healing all objects behind a prefix that somebody asked for, as long work; and what that would find, from rows."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from engine.errors import NoSuchBucket
from engine.imported import is_imported
from engine.metadata.bucket_settings import OwnBucket
from engine.metadata.buckets import find_bucket
from engine.metadata.listing import successor
from engine.metadata.pieces import BlobPosition, StandingPiece, list_bucket_blobs, list_pieces_of
from engine.metadata.redundancy import good_domains
from engine.metadata.store import Store, Tx
from engine.records import LocationState, Scheme
from engine.units import MIB
from engine.upkeep.away import HealPolicy, Presence, read_presence
from engine.upkeep.blob_mending import BlobMender
from engine.upkeep.integrity_parts import IntegrityParts
from engine.upkeep.long_work import Extent, Fence, Json, Pace, Step

PAGE_COUNT_MAX = 32
"""Blobs looked at in one step."""

STEP_BYTES_MAX = 64 * MIB
"""Bytes of blobs mended in one step; the blob that reaches it is the last."""

STEP_S_MAX = 1.0
"""A step mends no further blob after this."""

PREVIEW_COUNT_MAX = 10_000
"""So many slices of versions a preview looks at; beyond them only that there are more is known."""

GONE = "the bucket is gone, or another one of its name"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a healing has come to: behind a slice of a version of a key (in hex), null before the first; its sums."""

    after: tuple[str, int, int] | None = None
    blobs: int = 0
    bad: int = 0
    cured: int = 0
    added: int = 0
    removed: int = 0

    def write(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    def answer(self) -> dict[str, Json]:
        return {
            "blob_count": self.blobs,
            "bad_count": self.bad,
            "healed_count": self.cured,
            "added_copy_count": self.added,
            "removed_copy_count": self.removed,
        }


class PrefixHealing:
    """Long work: reads every copy of every version behind a prefix and heals them. Repeating a step is harmless.

    The bucket is told by its number: one that was made again under its name is left alone.
    """

    def __init__(
        self,
        parts: IntegrityParts,
        policy: HealPolicy,
        *,
        bucket: OwnBucket,
        prefix: bytes,
        fence: Fence,
        pace: Pace,
    ) -> None:
        self._store = parts.store
        self._clock = parts.clock
        self._bucket = bucket
        self._prefix = prefix
        self._pace = pace
        self._mender = BlobMender(parts, policy, fence=fence, pace=pace)

    def measure(self) -> Extent:
        return Extent()

    def step(self, cursor: str | None, /) -> Step:
        place = _Place() if cursor is None else _Place(**json.loads(cursor))
        try:
            page = self._store.read(partial(self._page, after=place.after))
        except NoSuchBucket:
            return Step(cursor=place.write(), is_last=True, result=place.answer(), warnings=(GONE,))
        if not page:
            return Step(cursor=place.write(), is_last=True, stage="done", result=place.answer())
        warnings: list[str] = []
        seen_count = stuck_count = moved_bytes = 0
        mended_ids: set[bytes] = set()
        deadline_s = self._clock.monotonic_s() + STEP_S_MAX
        for position, pieces in page:
            is_late = self._pace.is_over or self._clock.monotonic_s() > deadline_s
            if seen_count and (is_late or moved_bytes >= STEP_BYTES_MAX):
                break
            seen_count += 1
            place = replace(place, after=(position.key.hex(), position.version_seq, position.ordinal))
            blob_id = pieces[0].location.blob_id if pieces else None
            if blob_id is None or blob_id in mended_ids:
                continue
            mended_ids.add(blob_id)
            mended = self._mender.mend(blob_id)
            moved_bytes += sum(each.location.stored_bytes for each in pieces)
            stuck_count += mended.stuck_count
            warnings += mended.warnings
            place = replace(
                place,
                blobs=place.blobs + 1,
                bad=place.bad + mended.bad_count,
                cured=place.cured + mended.cured_count,
                added=place.added + mended.added_count,
                removed=place.removed + mended.removed_count,
            )
        return Step(
            cursor=place.write(),
            is_last=False,
            item_count=seen_count,
            failed_count=stuck_count,
            moved_bytes=moved_bytes,
            stage="healing",
            current_item=page[seen_count - 1][0].key.decode(),
            warnings=tuple(warnings),
        )

    def cancelled(self) -> None:
        """What was healed stays so."""

    def _page(self, tx: Tx, after: Sequence[Any] | None) -> "list[_Slice]":
        self._bucket.require(tx)
        return _page(tx, self._bucket.bucket_id, self._prefix, after=_position(self._prefix, after))


@dataclass(slots=True, kw_only=True)
class Damage:
    """What rows say of a prefix: slices of versions that were looked at, and blobs among them that are to be healed.

    `is_partial`: there is more behind the prefix than was looked at.
    """

    slice_count: int = 0
    lacking_count: int = 0
    bad_count: int = 0
    excess_count: int = 0
    is_partial: bool = False


def preview_healing(
    store: Store, policy: HealPolicy, bucket: OwnBucket, prefix: bytes, *, count_max: int = PREVIEW_COUNT_MAX
) -> Damage:
    """In transactions of bounded length. Raises NoSuchBucket."""
    damage, seen = Damage(), set[bytes]()
    after = BlobPosition(key=prefix)

    def unit(tx: Tx) -> "tuple[list[_Slice], Presence, Scheme]":
        bucket.require(tx)
        scheme = find_bucket(tx, bucket.name).scheme or policy.default_scheme
        return _page(tx, bucket.bucket_id, prefix, after=after), read_presence(tx, policy), scheme

    while True:
        page, presence, scheme = store.read(unit)
        if not page:
            return damage
        if damage.slice_count >= count_max:
            damage.is_partial = True
            return damage
        after = page[-1][0]
        damage.slice_count += len(page)
        for _, pieces in page:
            if pieces and pieces[0].location.blob_id not in seen:
                seen.add(pieces[0].location.blob_id)
                _judge(pieces, presence, scheme, damage)


_Slice = tuple[BlobPosition, Sequence[StandingPiece]]
"""A slice of a version, with the pieces of its blob; none where there are no bytes."""


def _page(tx: Tx, bucket_id: int, prefix: bytes, *, after: BlobPosition) -> list[_Slice]:
    found = list_bucket_blobs(
        tx, bucket_id, after=after, before_key=successor(prefix), count_max=PAGE_COUNT_MAX
    )
    return [(position, [] if blob_id is None else list_pieces_of(tx, blob_id)) for position, blob_id in found]


def _position(prefix: bytes, after: Sequence[Any] | None) -> BlobPosition:
    if after is None:
        return BlobPosition(key=prefix)
    key, version_seq, ordinal = after
    return BlobPosition(key=bytes.fromhex(key), version_seq=version_seq, ordinal=ordinal)


def _judge(pieces: Sequence[StandingPiece], presence: Presence, scheme: Scheme, damage: Damage) -> None:
    """`scheme` is the bucket's: what was imported is rewritten for it, what is ours keeps its own."""
    standing = [(each.location.backend_id, each.location.state) for each in pieces]
    has_imported = any(is_imported(each.location.storage_key) for each in pieces)
    wanted_count = (scheme if has_imported else pieces[0].blob.scheme).count
    good_count = len(good_domains(standing, presence.domains, presence.away))
    present_count = sum(backend_id not in presence.away for backend_id, _ in standing)
    damage.lacking_count += good_count < wanted_count
    damage.excess_count += present_count > wanted_count
    damage.bad_count += any(state is not LocationState.LIVE for _, state in standing)
