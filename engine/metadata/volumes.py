"""Rows of volume files: who appends to them, and where they are in their life."""

from typing import cast

from engine.metadata.store import Row, SqlValue, Tx
from engine.records import Location, LocationState, VolumeRow, VolumeState

_VOLUME_DIGITS = 32


def volume_of(storage_key: str) -> bytes | None:
    """The volume a storage key lies in (`<32 hex digits>:<offset>`); null for keys of other kinds of backend."""
    head, separator, _ = storage_key.partition(":")
    if not separator or len(head) != _VOLUME_DIGITS:
        return None
    try:
        return bytes.fromhex(head)
    except ValueError:
        return None


def volume_opened(tx: Tx, *, volume_id: bytes, backend_id: int, owner_process: bytes) -> bool:
    """A process appends to a new file, or goes on with an open one whose lock it holds.

    False when the file takes no more appends: closed (also for good, after a failed sync), compacting or gone.
    """
    changed = tx.run(
        "insert_volume",
        {
            "volume_id": volume_id,
            "backend_id": backend_id,
            "owner_process": owner_process,
            "now_us": tx.now_us(),
        },
    )
    return changed == 1


def volume_closed(tx: Tx, *, volume_id: bytes, size_bytes: int) -> None:
    tx.run("close_volume", {"volume_id": volume_id, "size_bytes": size_bytes})


def list_volumes(tx: Tx, backend_id: int) -> list[VolumeRow]:
    return [_read(row) for row in tx.rows("list_volumes", {"backend_id": backend_id})]


def takes_pieces(tx: Tx, volume_id: bytes) -> bool:
    """Whether a location may come to name the volume until this transaction ends: it is open or closed now."""
    tx.lock("lock_volume", {"volume_id": volume_id})
    row = tx.row_or_none("find_volume_state", {"volume_id": volume_id})
    return row is not None and VolumeState(row[0]) in (VolumeState.OPEN, VolumeState.CLOSED)


def set_volume_state(
    tx: Tx,
    volume_id: bytes,
    *,
    from_state: VolumeState,
    to_state: VolumeState,
    size_bytes: int | None = None,
    unlink_after_us: int | None = None,
) -> bool:
    """One step in a volume's life; false when it was not in `from_state`.

    It waits for transactions that have seen the volume take pieces: what they come to name is there afterwards.
    """
    tx.lock("lock_volume_for_change", {"volume_id": volume_id})
    changed = tx.run(
        "set_volume_state",
        {
            "volume_id": volume_id,
            "from_state": from_state.value,
            "to_state": to_state.value,
            "size_bytes": size_bytes,
            "unlink_after_us": unlink_after_us,
        },
    )
    return changed == 1


def live_locations(
    tx: Tx, *, backend_id: int, volume_id: bytes, after: str | None = None, count_max: int = 500
) -> list[Location]:
    """Locations in one volume, in the order of their storage keys, after one of them."""
    rows = tx.rows(
        "list_locations_by_key",
        {
            "backend_id": backend_id,
            "after": after if after is not None else f"{volume_id.hex()}:",
            "before": f"{volume_id.hex()};",
            "count_max": count_max,
        },
    )
    return [read_location(row) for row in rows]


def has_locations(tx: Tx, *, backend_id: int, volume_id: bytes) -> bool:
    """Whether any row names a piece in the volume."""
    bounds: dict[str, SqlValue] = {
        "backend_id": backend_id,
        "after": f"{volume_id.hex()}:",
        "before": f"{volume_id.hex()};",
    }
    return tx.row_or_none("has_location_in_range", bounds) is not None


def mark_gone_if_empty(
    tx: Tx, *, backend_id: int, volume_id: bytes, from_state: VolumeState, unlink_after_us: int
) -> bool:
    """`gone` when no location names it; the count and the step are one transaction."""
    tx.lock("lock_volume_for_change", {"volume_id": volume_id})
    if has_locations(tx, backend_id=backend_id, volume_id=volume_id):
        return False
    return set_volume_state(
        tx, volume_id, from_state=from_state, to_state=VolumeState.GONE, unlink_after_us=unlink_after_us
    )


def add_dead_bytes(tx: Tx, volume_id: bytes, size_bytes: int) -> None:
    """Bytes of a volume that no row names and that nobody had counted."""
    tx.run("add_volume_dead_bytes", {"volume_id": volume_id, "bytes": size_bytes})


def forget_if_empty(tx: Tx, *, backend_id: int, volume_id: bytes) -> bool:
    """Forget a volume whose file is not there, unless a location names it; whether it is forgotten."""
    for state in (VolumeState.OPEN, VolumeState.CLOSED, VolumeState.COMPACTING):
        is_gone = mark_gone_if_empty(
            tx,
            backend_id=backend_id,
            volume_id=volume_id,
            from_state=state,
            unlink_after_us=tx.now_us(),
        )
        if is_gone:
            forget_volume(tx, volume_id)
            return True
    return False


def forget_volume(tx: Tx, volume_id: bytes) -> None:
    """The file of a gone volume was unlinked."""
    tx.run("delete_volume", {"volume_id": volume_id})


def read_location(row: Row) -> Location:
    blob_id, piece_index, backend_id, storage_key, stored_bytes, card_key_id, state = row
    return Location(
        blob_id=cast(bytes, blob_id),
        piece_index=cast(int, piece_index),
        backend_id=cast(int, backend_id),
        storage_key=cast(str, storage_key),
        stored_bytes=cast(int, stored_bytes),
        card_key_id=cast("bytes | None", card_key_id),
        state=LocationState(state),
    )


def _read(row: Row) -> VolumeRow:
    volume_id, backend_id, owner, state, size_bytes, dead_bytes, unlink_after_us = row
    return VolumeRow(
        volume_id=cast(bytes, volume_id),
        backend_id=cast(int, backend_id),
        owner_process=cast("bytes | None", owner),
        state=VolumeState(state),
        size_bytes=cast("int | None", size_bytes),
        dead_bytes=cast(int, dead_bytes),
        unlink_after_us=cast("int | None", unlink_after_us),
    )
