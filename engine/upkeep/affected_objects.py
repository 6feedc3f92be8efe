"""Which objects lack copies or have too many, and what would go of these: from rows, without a look at any bytes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from engine.metadata.backends import list_backends
from engine.metadata.blob_owners import Owner, list_owners
from engine.metadata.pieces import StandingPiece, list_pieces_of
from engine.metadata.quota import backend_subject, read_quota
from engine.metadata.redundancy import PresentCopy, fill_of, good_domains
from engine.metadata.repairs import Repair, RepairKind, list_repairs
from engine.metadata.store import Store, Tx
from engine.placement.redundancy import choose_excess
from engine.records import BackendRow, BackendState, LocationState
from engine.upkeep.away import HealPolicy, Presence, read_presence

OWNER_COUNT_MAX = 100
"""Versions that are named of one blob."""

PREVIEW_PAGE_COUNT_MAX = 100
PREVIEW_BLOB_COUNT_MAX = 10_000
"""So many blobs a preview looks at; beyond them only that there are more is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AffectedBlob:
    """A blob that waits for a repair, with the versions it is part of.

    `present_count` are its copies on backends that are not away, `good_count` those of them that count: good ones, in
    failure domains of their own.
    """

    repair: Repair
    owners: Sequence[Owner]
    wanted_count: int
    present_count: int
    good_count: int


@dataclass(slots=True, kw_only=True)
class Excess:
    """Copies that would go, by backend: how many, and their bytes. `is_partial`: there are more."""

    blob_count: int = 0
    copies: dict[int, tuple[int, int]] = field(default_factory=dict)
    is_partial: bool = False

    def add(self, piece: StandingPiece) -> None:
        count, size_bytes = self.copies.get(piece.location.backend_id, (0, 0))
        self.copies[piece.location.backend_id] = (count + 1, size_bytes + piece.location.stored_bytes)


def list_affected(
    tx: Tx, kind: RepairKind, policy: HealPolicy, *, after: bytes, count_max: int
) -> list[AffectedBlob]:
    """Blobs behind an id that wait for a repair; one that was freed meanwhile wants no copies, and has no owners."""
    presence = read_presence(tx, policy)
    found = list_repairs(tx, kind, after=after, count_max=count_max)
    owners = list_owners(tx, [each.blob_id for each in found], count_max=OWNER_COUNT_MAX)
    return [
        _affected(repair, of_blob, list_pieces_of(tx, repair.blob_id), presence)
        for repair, of_blob in zip(found, owners, strict=True)
    ]


def preview_excess(store: Store, policy: HealPolicy) -> Excess:
    """What trimming would remove if every copy was found good. In transactions of bounded length."""
    excess, after, left_count = Excess(), b"", PREVIEW_BLOB_COUNT_MAX
    while left_count:
        page_max = min(PREVIEW_PAGE_COUNT_MAX, left_count)
        unit = partial(_preview_page, policy=policy, after=after, count_max=page_max, excess=excess)
        last = store.read(unit)
        if last is None:
            return excess
        after, left_count = last, left_count - page_max
    beyond = partial(list_repairs, kind=RepairKind.TRIM, after=after, count_max=1)
    excess.is_partial = bool(store.read(beyond))
    return excess


def _affected(
    repair: Repair, owners: Sequence[Owner], pieces: Sequence[StandingPiece], presence: Presence
) -> AffectedBlob:
    standing = [(each.location.backend_id, each.location.state) for each in pieces]
    return AffectedBlob(
        repair=repair,
        owners=owners,
        wanted_count=pieces[0].blob.scheme.count if pieces else 0,
        present_count=sum(backend_id not in presence.away for backend_id, _ in standing),
        good_count=len(good_domains(standing, presence.domains, presence.away)),
    )


def _preview_page(tx: Tx, policy: HealPolicy, after: bytes, count_max: int, excess: Excess) -> bytes | None:
    """Where the next page begins; null: this one was the last."""
    presence = read_presence(tx, policy)
    rows = {row.backend_id: row for row in list_backends(tx)}
    fills = {backend_id: fill_of(read_quota(tx, backend_subject(backend_id))) for backend_id in rows}
    page = list_repairs(tx, RepairKind.TRIM, after=after, count_max=count_max)
    for repair in page:
        gone = _excess_of(list_pieces_of(tx, repair.blob_id), presence.away, rows, fills)
        excess.blob_count += bool(gone)
        for piece in gone:
            excess.add(piece)
    return page[-1].blob_id if len(page) == count_max else None


def _excess_of(
    pieces: Sequence[StandingPiece],
    away: Collection[int],
    rows: Mapping[int, BackendRow],
    fills: Mapping[int, float],
) -> list[StandingPiece]:
    """One after the other, as they would go."""
    left = [each for each in pieces if each.location.backend_id not in away]
    gone = []
    while left:
        copies = [
            PresentCopy(
                piece_index=each.location.piece_index,
                failure_domain=rows[each.location.backend_id].failure_domain,
                is_good=each.location.state is LocationState.LIVE,
                is_leaving=rows[each.location.backend_id].state is not BackendState.ACTIVE,
                fill=fills[each.location.backend_id],
            )
            for each in left
        ]
        index = choose_excess(left[0].blob.scheme, copies)
        if index is None:
            break
        (piece,) = [each for each in left if each.location.piece_index == index]
        gone.append(piece)
        left.remove(piece)
    return gone
