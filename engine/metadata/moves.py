"""Pieces that are copied to another backend: read with all that it takes, and switched there one by one."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from engine.errors import BackendQuotaExceeded
from engine.metadata import cleanup, quota
from engine.metadata.backends import list_backends
from engine.metadata.columns import read_blob
from engine.metadata.locations import mark_location, switch_location
from engine.metadata.placements import Placements
from engine.metadata.publish import Intents
from engine.metadata.store import Tx
from engine.metadata.strays import Stray, settle_strays
from engine.metadata.versions import read_pieces
from engine.metadata.volumes import read_location
from engine.records import Blob, Location, LocationState

KEY_MAX = "\U0010ffff"
"""No storage key is greater."""


class Switched(Enum):
    """What became of a copy."""

    MOVED = "the piece lies there now"
    GONE = "the piece was moved or freed meanwhile"
    NOT_APART = "another piece of the blob lies in the same failure domain"
    REFUSED = "its backend or its volume takes no pieces any more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """A piece as its row knows it, and its fresh, synced copy; `intent_id` is what that was announced by."""

    old: Location
    new: Location
    intent_id: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Movable:
    """A piece with all that copying it takes. `others` are the other pieces of its blob, wherever they lie."""

    location: Location
    blob: Blob
    others: tuple[Location, ...]


def list_movable(tx: Tx, backend_id: int, *, after: str, count_max: int) -> list[Movable]:
    """Pieces of a backend behind a storage key, in the order of those."""
    rows = tx.rows(
        "list_locations_by_key",
        {"backend_id": backend_id, "after": after, "before": KEY_MAX, "count_max": count_max},
    )
    return _complete(tx, [read_location(row) for row in rows])


def read_again(tx: Tx, movables: Sequence[Movable]) -> list[Movable]:
    """The same pieces as they are now, without those that were moved or freed meanwhile."""
    places = {_place(each.location) for each in movables}
    found = _complete(tx, [each.location for each in movables])
    return [each for each in found if _place(each.location) in places]


def switch_pieces(
    tx: Tx,
    copies: Sequence[Copied],
    *,
    reason: str,
    grace_us: int,
    strays: Sequence[Stray] = (),
    damaged: Sequence[Location] = (),
) -> list[Switched]:
    """Switch every location that may be; old pieces and copies that lost go to cleanup, after `grace_us` and at once.

    So do `strays`, which no row is to name, and the pieces found `damaged` are marked where they still lie. Accounts
    come last: nothing that locks may follow in the transaction.
    A copy never joins a failure domain where another piece of its blob lies, whoever else moves pieces now.
    Raises BackendQuotaExceeded, after which nothing is switched and the copies are still to be seen to; IntentLost.
    """
    # Who moves another piece of a blob, or frees it, waits; who comes to point at it does not.
    for blob_id in sorted({each.old.blob_id for each in copies} | {each.blob_id for each in damaged}):
        tx.lock("lock_blob_for_move", {"blob_id": blob_id})
    placements = Placements(tx, [each.new for each in copies])
    intents = Intents(tx, [each.intent_id for each in copies if each.intent_id is not None])
    domains = {row.backend_id: row.failure_domain for row in list_backends(tx)}
    pieces = _read_pieces(tx, {each.old.blob_id for each in copies})
    refused = set(placements.refused())
    intents.check()
    changes = quota.Changes()
    not_before_us = tx.now_us() + grace_us
    outcomes = []
    for each in copies:
        of_blob = pieces[each.old.blob_id]
        outcome = _verdict(each, of_blob, refused, domains)
        if outcome is Switched.MOVED and not switch_location(
            tx, each.old, each.new, changes, reason=reason, not_before_us=not_before_us, takes_room=True
        ):
            outcome = Switched.GONE
        if outcome is Switched.MOVED:
            of_blob[each.new.piece_index] = each.new
        else:
            discard_copy(tx, each.new, changes, reason=f"{reason} lost")
        outcomes.append(outcome)
    for location in damaged:
        # One that lies elsewhere by now is not meant.
        mark_location(tx, location, LocationState.SUSPECT)
    settle_strays(tx, strays, changes)
    full = changes.apply(tx)
    if full is not None:
        raise BackendQuotaExceeded(backend_id=quota.backend_of(full), wanted_bytes=changes.wanted_bytes(full))
    return outcomes


def discard_copy(tx: Tx, copy: Location, changes: quota.Changes, *, reason: str) -> None:
    """A copy that no row names: its bytes are there, and go to cleanup at once."""
    changes.find(quota.backend_subject(copy.backend_id), orphan_bytes=copy.stored_bytes)
    cleanup.enqueue(
        tx,
        backend_id=copy.backend_id,
        storage_key=copy.storage_key,
        size_bytes=copy.stored_bytes,
        reason=reason,
        not_before_us=tx.now_us(),
    )


def _verdict(
    copied: Copied, pieces: Mapping[int, Location], refused: set[str], domains: Mapping[int, str]
) -> Switched:
    if copied.new.storage_key in refused:
        return Switched.REFUSED
    now = pieces.get(copied.old.piece_index)
    if now is None or _place(now) != _place(copied.old):
        return Switched.GONE
    others = [each for index, each in pieces.items() if index != copied.old.piece_index]
    if domains[copied.new.backend_id] in {domains[each.backend_id] for each in others}:
        return Switched.NOT_APART
    return Switched.MOVED


def _complete(tx: Tx, locations: Sequence[Location]) -> list[Movable]:
    blob_ids = {each.blob_id for each in locations}
    asked = {each: tx.ask("find_blob", {"blob_id": each}) for each in blob_ids}
    pieces = _read_pieces(tx, blob_ids)
    movables = []
    for each in locations:
        row, of_blob = asked[each.blob_id].row_or_none(), pieces[each.blob_id]
        now = of_blob.get(each.piece_index)
        # Without a blob the reaper was quicker.
        if row is not None and now is not None:
            others = tuple(piece for index, piece in sorted(of_blob.items()) if index != each.piece_index)
            movables.append(Movable(location=now, blob=read_blob(each.blob_id, *row), others=others))
    return movables


def _read_pieces(tx: Tx, blob_ids: Collection[bytes]) -> dict[bytes, dict[int, Location]]:
    asked = {each: tx.ask("list_blob_locations", {"blob_id": each}) for each in blob_ids}
    return {
        blob_id: {each.piece_index: each for each in read_pieces(blob_id, answer.rows())}
        for blob_id, answer in asked.items()
    }


def _place(location: Location) -> tuple[bytes, int, int, str]:
    """Which piece, and where it lies; what else is known of it may change."""
    return location.blob_id, location.piece_index, location.backend_id, location.storage_key
