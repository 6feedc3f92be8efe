"""Passes that detect blobs with too few or too many copies: a page of rows at a time, without a look at any bytes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

from engine.metadata import redundancy_passes
from engine.metadata.redundancy import (
    Standing,
    good_domains,
    list_backend_standings,
    list_blob_standings,
)
from engine.metadata.redundancy_passes import Phase, RedundancyPass
from engine.metadata.repairs import RepairKind, ask_repair
from engine.metadata.store import Store, Tx
from engine.units import DAY_S
from engine.upkeep.away import Presence
from engine.upkeep.long_work import Fence

PAGE_COUNT_MAX = 500
"""Pieces or blobs looked at in one step."""

ALL_EVERY_S = DAY_S
"""How often all blobs are gone through: what is noticed when it happens needs no pass."""

REASONS = {
    Phase.AWAY: "its backend has been away too long",
    Phase.RETURNED: "its backend has come back",
    Phase.ALL: "found by a pass over all blobs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """What a look at a page of blobs found."""

    seen_count: int
    found_count: int
    last: str | bytes | None
    """Where the next page begins; null: this one was empty."""


class Detector:
    """Looks for repairs. Repeating a step asks for the same ones, once."""

    def __init__(self, store: Store, *, fence: Fence) -> None:
        self._store = store
        self._fence = fence

    def step(self, presence: Presence) -> Detected | None:
        """The next page of the first pass that has any left; null when none has."""
        going = next((each for each in presence.passes if _is_due(each, presence)), None)
        if going is None:
            if not any(each.phase is Phase.ALL for each in presence.passes):
                self._store.write(self._begin_all)
                return Detected(seen_count=0, found_count=0, last=b"")
            return None
        return self._store.write(partial(self._go_on, going=going, presence=presence))

    def renew(self, presence: Presence, now_us: int) -> None:
        """The pass over all blobs is due again a day after its end."""
        before_us = now_us - ALL_EVERY_S * 1_000_000
        for each in presence.passes:
            if each.phase is Phase.ALL and each.ended_at_us is not None and each.ended_at_us <= before_us:
                self._store.write(self._begin_all)

    def _begin_all(self, tx: Tx) -> None:
        self._fence(tx)
        redundancy_passes.begin(tx, Phase.ALL)

    def _go_on(self, tx: Tx, going: RedundancyPass, presence: Presence) -> Detected:
        self._fence(tx)
        if going.backend_id is None:
            page = list_blob_standings(tx, after=bytes.fromhex(going.cursor), count_max=PAGE_COUNT_MAX)
        else:
            page = list_backend_standings(tx, going.backend_id, after=going.cursor, count_max=PAGE_COUNT_MAX)
        if not page:
            if going.phase is Phase.RETURNED:
                redundancy_passes.drop(tx, going.subject)
            else:
                redundancy_passes.end(tx, going.subject)
            return Detected(seen_count=0, found_count=0, last=None)
        detected = ask_repairs(tx, page, presence, reason=REASONS[going.phase])
        assert detected.last is not None
        cursor = detected.last.hex() if isinstance(detected.last, bytes) else detected.last
        redundancy_passes.advance(
            tx,
            going.subject,
            cursor=cursor,
            seen_count=detected.seen_count,
            found_count=detected.found_count,
        )
        return detected


def ask_repairs(
    tx: Tx,
    page: Sequence[Standing],
    presence: Presence,
    *,
    reason: str,
    kinds: Collection[RepairKind] = frozenset(RepairKind),
) -> Detected:
    """Ask for what the blobs of a page need of these kinds. What others have asked for already counts for nothing."""
    asked = []
    for each in page:
        kind = _need_of(each, presence)
        if kind is not None and kind in kinds:
            asked.append(ask_repair(tx, kind, each.blob_id, reason=reason))
    return Detected(
        seen_count=len(page),
        found_count=sum(answer.count() for answer in asked),
        last=page[-1].position if page else None,
    )


def _need_of(standing: Standing, presence: Presence) -> RepairKind | None:
    good = good_domains(standing.pieces, presence.domains, presence.away)
    if len(good) < standing.scheme.count:
        return RepairKind.HEAL
    present_count = sum(backend_id not in presence.away for backend_id, _ in standing.pieces)
    return RepairKind.TRIM if present_count > standing.scheme.count else None


def _is_due(going: RedundancyPass, presence: Presence) -> bool:
    if going.ended_at_us is not None:
        return False
    return going.phase is not Phase.AWAY or going.backend_id in presence.away
