"""What a store lists, held against the rows: what no row names, and the sizes of what rows name."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise

from engine.backends.base import ListedBackend, ListedObject, ListedPage
from engine.backends.s3.identity import IDENTITY_NAME
from engine.clock import Clock
from engine.errors import PieceCorrupt, PieceMissing
from engine.imported import storage_keys_of
from engine.metadata import facts
from engine.metadata.discrepancies import Direction, DiscrepancyKind, Mismatch
from engine.metadata.intents import LATE_WRITE_S
from engine.metadata.pieces import StandingPiece
from engine.metadata.store import Store
from engine.upkeep.piece_check import PieceFault, Verdict

SIZES_PAGE_COUNT_MAX = 4
"""Pages listed for the sizes of one page of rows; what lies between them may be somebody else's."""

_KEY = re.compile(r"pieces/([0-9a-f]{2})/([0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{13}(?:\1))")
_MILLISECONDS_DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingPosition:
    """Where a census has come to: behind a key, or where a token points to once the store was seen to keep no order."""

    after: str = ""
    token: str | None = None


@dataclass(slots=True, kw_only=True)
class LookedOver:
    """What one step saw; no position: it was the last."""

    position: ListingPosition | None
    seen_count: int = 0
    mismatches: list[Mismatch] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """A piece of ours that no row names, looked at once more; `kept_because` is null when it may go."""

    size_bytes: int = 0
    kept_because: str | None = None
    is_gone: bool = False


class StoreCensus:
    """Looks at one store and changes nothing. For one thread; repeating a step is harmless.

    A listing may be late or lie: what it lacks is looked up one by one, what it has too much is listed once more.
    """

    def __init__(self, store: Store, backend: ListedBackend, *, clock: Clock, grace_us: int) -> None:
        """What no row names is told of once it is older than the grace and than any write under way: a row may come."""
        self._store = store
        self._backend = backend
        self._clock = clock
        self._grace_us = max(grace_us, LATE_WRITE_S * 1_000_000)
        self._page: tuple[str, ListedPage] | None = None
        self._keeps_order = True

    def step(self, position: ListingPosition) -> LookedOver:
        """The next page. Raises BackendUnavailable, ForeignBackend."""
        self._backend.check_identity()
        page = self._list(position)
        mismatches: list[Mismatch] = []
        suspects = self._unaccounted(page.objects)
        if suspects:
            # What was deleted since the listing had its row until it was gone, and now has neither.
            standing = set(self._list(position).objects)
            mismatches = [each for found in suspects if found in standing for each in self._judge(found)]
        return LookedOver(
            position=_next_position(position, page), seen_count=len(page.objects), mismatches=mismatches
        )

    def sizes(self, keys: Sequence[str], *, after: str) -> dict[str, int]:
        """Sizes of objects by key, of keys in order behind `after`; what a listing does not say is left out.

        Raises BackendUnavailable, ForeignBackend.
        """
        wanted, found = set(keys), dict[str, int]()
        begin = after
        for _ in range(SIZES_PAGE_COUNT_MAX):
            page = self._remembered(begin)
            if page is None:
                return found
            found |= {each.key: each.size_bytes for each in page.objects if each.key in wanted}
            if page.next_token is None or not page.objects or page.objects[-1].key >= keys[-1]:
                return found
            begin = page.objects[-1].key
        return found

    def compare_size(self, piece: StandingPiece, verdict: Verdict) -> Verdict:
        """What is to be said of a piece that is good as far as it was looked at, its size included.

        Raises BackendUnavailable, ForeignBackend.
        """
        told_bytes = piece.location.stored_bytes
        try:
            size_bytes = self._backend.object_bytes(piece.location.storage_key)
        except PieceMissing as error:
            return Verdict(fault=PieceFault.MISSING, detail=str(error))
        if size_bytes == told_bytes:
            return verdict
        return Verdict(
            fault=PieceFault.SIZE,
            detail=f"its object has {size_bytes} bytes, its row says {told_bytes}",
            read_bytes=verdict.read_bytes,
            occupied_bytes=size_bytes,
            is_readable=verdict.is_readable,
        )

    def look_at_orphan(self, key: str) -> Orphan:
        """Whether what no row named may be deleted: only what proves to be a piece of ours, and old enough.

        Raises BackendUnavailable, ForeignBackend.
        """
        self._backend.check_identity()
        if not self._is_old(ListedObject(key=key, size_bytes=0, changed_at_us=0)):
            return Orphan(kept_because="it is too young, or none of ours")
        try:
            size_bytes = self._backend.object_bytes(key)
            self._backend.read_card(key, size_bytes)
        except PieceMissing:
            return Orphan(is_gone=True)
        except PieceCorrupt as error:
            return Orphan(kept_because=f"it cannot be told to be a piece of ours: {error}")
        return Orphan(size_bytes=size_bytes)

    @property
    def grace_us(self) -> int:
        return self._grace_us

    def _list(self, position: ListingPosition) -> ListedPage:
        return self._backend.list_objects(position.token, after=position.after)

    def _remembered(self, begin: str) -> ListedPage | None:
        """A page that begins at or before that key and goes beyond; null where the store keeps no order."""
        if self._page is not None:
            after, page = self._page
            if after <= begin and (page.next_token is None or page.objects[-1].key > begin):
                return page
        if not self._keeps_order:
            return None
        page = self._backend.list_objects(after=begin)
        self._keeps_order = is_in_order(begin, page.objects)
        # One page at a time: rows are walked in the same order.
        self._page = (begin, page) if self._keeps_order and page.objects else None
        return page

    def _unaccounted(self, objects: Collection[ListedObject]) -> list[ListedObject]:
        by_key = {each.key: each for each in objects if each.key != IDENTITY_NAME}
        unaccounted = partial(facts.unaccounted_keys, backend_id=self._backend.backend_id, keys=list(by_key))
        found = self._store.read(unaccounted) if by_key else []
        return [by_key[key] for key in found if minted_at_us(key) is not None or not self._is_imported(key)]

    def _is_imported(self, key: str) -> bool:
        """Whether an object that was there before us is named by a row: without a prefix such lie among ours."""
        named = partial(
            facts.names_some, backend_id=self._backend.backend_id, begins_with=storage_keys_of(key)
        )
        return self._store.read(named)

    def _judge(self, found: ListedObject) -> Iterator[Mismatch]:
        if minted_at_us(found.key) is None:
            detail = "an object of somebody else below the backend's prefix"
            yield self._mismatch(DiscrepancyKind.FOREIGN, found, detail)
        elif self._is_old(found):
            detail = f"a piece of {_day(found.changed_at_us)} that no row names"
            yield self._mismatch(DiscrepancyKind.ORPHAN, found, detail)

    def _is_old(self, found: ListedObject) -> bool:
        """Whether no row will come any more: by the time in its key and by the store's; what is not said is young."""
        minted_us = minted_at_us(found.key)
        if minted_us is None or found.changed_at_us is None:
            return False
        return max(minted_us, found.changed_at_us) <= self._clock.now_us() - self._grace_us

    def _mismatch(self, kind: DiscrepancyKind, found: ListedObject, detail: str) -> Mismatch:
        return Mismatch(
            backend_id=self._backend.backend_id,
            direction=Direction.BYTES,
            kind=kind,
            subject=found.key,
            size_bytes=found.size_bytes,
            detail=detail,
        )


def minted_at_us(key: str) -> int | None:
    """When the storage key was made; null for a key that is none of ours."""
    found = _KEY.fullmatch(key)
    return None if found is None else int(found[2][:_MILLISECONDS_DIGITS], 16) * 1000


def is_in_order(after: str, objects: Sequence[ListedObject]) -> bool:
    """Whether a listing is in the order of its keys' bytes and begins behind one."""
    keys = [after.encode(), *(each.key.encode() for each in objects)]
    return all(before < behind for before, behind in pairwise(keys))


def _next_position(position: ListingPosition, page: ListedPage) -> ListingPosition | None:
    if page.next_token is None:
        return None
    last = page.objects[-1].key if page.objects else position.after
    # A key as a beginning is good for ever, a token only as long as its store wants.
    if position.token is None and page.objects and is_in_order(position.after, page.objects):
        return ListingPosition(after=last)
    return ListingPosition(after=last, token=page.next_token)


def _day(at_us: int | None) -> str:
    return "some day" if not at_us else datetime.fromtimestamp(at_us / 1_000_000, tz=UTC).date().isoformat()
