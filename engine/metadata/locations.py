"""Moving and judging pieces: compare and set of a location, and marks that reads found it bad."""

from engine.metadata import cleanup, quota
from engine.metadata.repairs import RepairKind, ask_repair
from engine.metadata.store import SqlValue, Tx
from engine.records import Location, LocationState


def switch_location(
    tx: Tx,
    old: Location,
    new: Location,
    changes: quota.Changes,
    *,
    reason: str,
    not_before_us: int,
    takes_room: bool = False,
) -> bool:
    """The piece lies elsewhere now; the old one goes to cleanup. False: it was moved or freed meanwhile.

    Then the fresh copy is the caller's to clean up. `takes_room`: it needs room in its backend's account, as a write
    does; otherwise it is counted past the limit, because the bytes are there.
    """
    changed = tx.run(
        "switch_location",
        {
            "blob_id": old.blob_id,
            "piece_index": old.piece_index,
            "old_backend_id": old.backend_id,
            "old_storage_key": old.storage_key,
            "backend_id": new.backend_id,
            "storage_key": new.storage_key,
            "stored_bytes": new.stored_bytes,
            "card_key_id": new.card_key_id,
            "now_us": tx.now_us(),
        },
    )
    if not changed:
        return False
    changes.orphan(quota.backend_subject(old.backend_id), size_bytes=old.stored_bytes, objects=1)
    subject = quota.backend_subject(new.backend_id)
    if takes_room:
        changes.use(subject, size_bytes=new.stored_bytes, objects=1)
    else:
        changes.find(subject, used_bytes=new.stored_bytes, objects=1)
    cleanup.enqueue(
        tx,
        backend_id=old.backend_id,
        storage_key=old.storage_key,
        size_bytes=old.stored_bytes,
        reason=reason,
        not_before_us=not_before_us,
    )
    return True


def is_named(tx: Tx, *, backend_id: int, storage_key: str) -> bool:
    """Whether a location names the key; what is named is never deleted."""
    named: dict[str, SqlValue] = {"backend_id": backend_id, "storage_key": storage_key}
    return tx.row_or_none("has_location_at", named) is not None


def mark_location(tx: Tx, location: Location, state: LocationState) -> bool:
    """What a read or a scan found; false when the piece moved meanwhile."""
    changed = tx.run(
        "set_location_state",
        {
            "blob_id": location.blob_id,
            "piece_index": location.piece_index,
            "storage_key": location.storage_key,
            "state": state.value,
        },
    )
    if changed and state is not LocationState.LIVE:
        ask_repair(tx, RepairKind.HEAL, location.blob_id, reason=f"a copy was found {state.value}")
    return changed == 1
