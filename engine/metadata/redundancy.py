"""Copies beside those a blob has, and copies that go: decided under the blob's lock, whoever else looks after it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import cast

from engine.errors import BackendQuotaExceeded
from engine.metadata import cleanup, quota
from engine.metadata.backends import list_backends
from engine.metadata.locations import mark_location
from engine.metadata.moves import Copied, discard_copy
from engine.metadata.pieces import StandingPiece, list_pieces_of
from engine.metadata.placements import Placements
from engine.metadata.publish import Intents
from engine.metadata.quota import QuotaTotals, backend_subject, read_quota
from engine.metadata.store import SqlValue, Tx
from engine.metadata.strays import Stray, settle_strays
from engine.records import BackendRow, BackendState, Location, LocationState, Scheme, read_scheme

ADDED = "healed"
TRIMMED = "trimmed"
"""Why pieces stand in the cleanup queue."""


class Added(Enum):
    """What became of a fresh copy."""

    ADDED = "it is one of the blob's pieces now"
    NEEDLESS = "the blob was freed, or has all its copies"
    OUTRUN = "another copy was quicker"
    NOT_APART = "a good piece of the blob lies in the same failure domain"
    REFUSED = "its backend or its volume takes no pieces any more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a blob's pieces lie. `position` is where a walk has come to with it: a storage key, or the blob's id."""

    position: str | bytes
    blob_id: bytes
    scheme: Scheme
    pieces: tuple[tuple[int, LocationState], ...]
    """Backend and state of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentCopy:
    """A copy on a backend that is not away; see `engine.placement.redundancy.Copy`."""

    piece_index: int
    failure_domain: str
    is_good: bool
    is_leaving: bool
    fill: float


ChooseExcess = Callable[[Scheme, Sequence[PresentCopy]], int | None]
"""The index of the piece that may go; null: none may. See `engine.placement.redundancy.choose_excess`."""


def list_blob_standings(tx: Tx, *, after: bytes, count_max: int) -> list[Standing]:
    """Blobs behind an id, in order."""
    return _gathered(tx.rows("list_blob_redundancy", {"after": after, "count_max": count_max}))


def list_backend_standings(tx: Tx, backend_id: int, *, after: str, count_max: int) -> list[Standing]:
    """The blobs of a backend's pieces behind a storage key, in the order of these."""
    params: dict[str, SqlValue] = {"backend_id": backend_id, "after": after, "count_max": count_max}
    return _gathered(tx.rows("list_backend_redundancy", params))


def good_domains(
    pieces: Sequence[tuple[int, LocationState]], domains: Mapping[int, str], away: Collection[int]
) -> set[str]:
    """Failure domains with a piece that counts."""
    return {
        domains[backend_id]
        for backend_id, state in pieces
        if state is LocationState.LIVE and backend_id not in away
    }


def add_pieces(
    tx: Tx,
    copies: Sequence[Copied],
    *,
    away: Collection[int],
    strays: Sequence[Stray] = (),
    damaged: Sequence[Location] = (),
    also: Callable[[Tx, Sequence[Added]], None] = lambda tx, outcomes: None,
) -> list[Added]:
    """Make fresh copies pieces of their blobs where those still lack one; the others go to cleanup at once.

    `new` of each is the piece to be, under an index that no other piece had when it was made. Pieces on backends that
    are `away` count for nothing. `strays` go to cleanup as well, pieces found `damaged` are marked where they still
    lie, and `also` is told what came of the copies: accounts come last in a transaction. Raises BackendQuotaExceeded,
    after which nothing is added and the copies are still to be seen to; IntentLost.
    """
    blob_ids = sorted({each.new.blob_id for each in copies})
    for blob_id in sorted({*blob_ids, *(each.blob_id for each in damaged)}):
        tx.lock("lock_blob_for_move", {"blob_id": blob_id})
    placements = Placements(tx, [each.new for each in copies])
    intents = Intents(tx, [each.intent_id for each in copies if each.intent_id is not None])
    domains = {row.backend_id: row.failure_domain for row in list_backends(tx)}
    known = {blob_id: list_pieces_of(tx, blob_id) for blob_id in blob_ids}
    schemes = {blob_id: found[0].blob.scheme for blob_id, found in known.items() if found}
    pieces = {blob_id: [each.location for each in found] for blob_id, found in known.items()}
    refused = set(placements.refused())
    intents.check()
    changes = quota.Changes()
    outcomes = []
    for each in copies:
        new = each.new
        outcome = _verdict(new, schemes.get(new.blob_id), pieces[new.blob_id], domains, away, refused)
        if outcome is Added.ADDED:
            _insert(tx, new)
            changes.use(backend_subject(new.backend_id), size_bytes=new.stored_bytes, objects=1)
            pieces[new.blob_id].append(new)
        else:
            discard_copy(tx, new, changes, reason=f"{ADDED} lost")
        outcomes.append(outcome)
    for location in damaged:
        # One that lies elsewhere by now is not meant.
        mark_location(tx, location, LocationState.SUSPECT)
    also(tx, outcomes)
    settle_strays(tx, strays, changes)
    full = changes.apply(tx)
    if full is not None:
        raise BackendQuotaExceeded(backend_id=quota.backend_of(full), wanted_bytes=changes.wanted_bytes(full))
    return outcomes


def trim_piece(
    tx: Tx,
    blob_id: bytes,
    *,
    choose: ChooseExcess,
    verified_since_us: int,
    away: Collection[int],
    grace_us: int,
) -> Location | None:
    """Give up one piece of a blob that has more good ones than it needs; null: none may go.

    Only those that were read and found good since then count for what is left, so whoever asks reads them before.
    """
    tx.lock("lock_blob_for_move", {"blob_id": blob_id})
    found = list_pieces_of(tx, blob_id)
    present = [each for each in found if each.location.backend_id not in away]
    if not present:
        return None
    rows = {row.backend_id: row for row in list_backends(tx)}
    copies = [_judged(tx, each, rows, verified_since_us) for each in present]
    excess = choose(present[0].blob.scheme, copies)
    if excess is None:
        return None
    (location,) = [each.location for each in present if each.location.piece_index == excess]
    _delete(tx, location, grace_us)
    return location


def _verdict(
    new: Location,
    scheme: Scheme | None,
    pieces: Sequence[Location],
    domains: Mapping[int, str],
    away: Collection[int],
    refused: Collection[str],
) -> Added:
    if scheme is None:
        return Added.NEEDLESS
    taken = good_domains([(each.backend_id, each.state) for each in pieces], domains, away)
    if len(taken) >= scheme.count:
        return Added.NEEDLESS
    if any(each.piece_index == new.piece_index for each in pieces):
        return Added.OUTRUN
    if new.storage_key in refused:
        return Added.REFUSED
    return Added.NOT_APART if domains[new.backend_id] in taken else Added.ADDED


def _insert(tx: Tx, new: Location) -> None:
    tx.run(
        "insert_location",
        {
            "blob_id": new.blob_id,
            "piece_index": new.piece_index,
            "backend_id": new.backend_id,
            "storage_key": new.storage_key,
            "stored_bytes": new.stored_bytes,
            "card_key_id": new.card_key_id,
            "now_us": tx.now_us(),
        },
    )


def _delete(tx: Tx, location: Location, grace_us: int) -> None:
    tx.run(
        "delete_location",
        {
            "blob_id": location.blob_id,
            "piece_index": location.piece_index,
            "backend_id": location.backend_id,
            "storage_key": location.storage_key,
        },
    )
    changes = quota.Changes()
    changes.orphan(backend_subject(location.backend_id), size_bytes=location.stored_bytes, objects=1)
    cleanup.enqueue(
        tx,
        backend_id=location.backend_id,
        storage_key=location.storage_key,
        size_bytes=location.stored_bytes,
        reason=TRIMMED,
        not_before_us=tx.now_us() + grace_us,
    )
    changes.apply(tx)


def _judged(
    tx: Tx, piece: StandingPiece, rows: Mapping[int, BackendRow], verified_since_us: int
) -> PresentCopy:
    location = piece.location
    row = rows[location.backend_id]
    is_good = location.state is LocationState.LIVE and piece.verified_at_us >= verified_since_us
    return PresentCopy(
        piece_index=location.piece_index,
        failure_domain=row.failure_domain,
        is_good=is_good,
        is_leaving=row.state is not BackendState.ACTIVE,
        fill=fill_of(read_quota(tx, backend_subject(location.backend_id))),
    )


def fill_of(totals: QuotaTotals | None) -> float:
    """How full a backend is, from 0 to 1; 0 without a limit."""
    if totals is None or not totals.limit_bytes:
        return 0.0
    return (totals.used_bytes + totals.orphan_bytes + totals.reserved_bytes) / totals.limit_bytes


def _gathered(rows: Sequence[Sequence[SqlValue]]) -> list[Standing]:
    """Rows of one position after the other, as standings."""
    gathered: dict[SqlValue, tuple[bytes, str, list[tuple[int, LocationState]]]] = {}
    for position, blob_id, scheme, backend_id, state in rows:
        _, _, pieces = gathered.setdefault(position, (cast(bytes, blob_id), cast(str, scheme), []))
        if backend_id is not None:
            pieces.append((cast(int, backend_id), LocationState(state)))
    return [
        Standing(
            position=cast("str | bytes", position),
            blob_id=blob_id,
            scheme=read_scheme(scheme),
            pieces=tuple(pieces),
        )
        for position, (blob_id, scheme, pieces) in gathered.items()
    ]
