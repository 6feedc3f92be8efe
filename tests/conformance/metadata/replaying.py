"""What a replay is given, and what it is held against."""

from functools import partial
from typing import cast

from engine.metadata.images import TABLES
from engine.metadata.replay import Image, Lost, RestoreBlob, replay
from engine.metadata.store import Row, SqlValue, Store, Tx
from tests.support.metadata import run_sql
from tools.schema_reference import read_tables

# What is counted or seen by the way, and told by no image.
_UNTOLD_COLUMNS = {
    ("deployment", "seen_us"),
    ("access_keys", "last_used_us"),
    ("admin_tokens", "last_used_us"),
}
_ROWS_THAT_STAND = {
    "object_versions": "state = 'live'",
    "object_segments": "version_seq IN (SELECT version_seq FROM object_versions WHERE state = 'live')",
}
_COLUMNS = {table.name: [column.name for column in table.columns] for table in read_tables()}
_BLOB_COLUMNS = (
    "size_bytes",
    "stored_bytes",
    "scheme",
    "key_id",
    "wrapped_dek",
    "frame_bytes",
    "block_crcs",
    "content_hash",
    "dedup_domain",
)


def images_of(store: Store) -> list[Image]:
    """The journal in the order of its numbers."""
    rows = run_sql(store, "SELECT seq, kind, payload, created_at_us FROM journal ORDER BY seq")
    return [
        Image(
            seq=cast(int, seq),
            kind=cast(str, kind),
            payload=cast(str, payload),
            created_at_us=cast(int, at_us),
        )
        for seq, kind, payload, at_us in rows
    ]


def blobs_of(source: Store) -> RestoreBlob:
    """What cards would tell of blobs, from the rows that are still there."""

    def restore(tx: Tx, blob_id: bytes) -> bool:
        named: dict[str, SqlValue] = {"blob_id": blob_id}
        if tx.row_or_none("find_blob", named) is not None:
            return True
        row = source.read(lambda read: read.row_or_none("find_blob", named))
        if row is None:
            return False
        told = dict(zip(_BLOB_COLUMNS, row, strict=True))
        tx.run("insert_blob", {**named, **told, "now_us": tx.now_us()})
        return True

    return restore


def no_blobs(tx: Tx, blob_id: bytes) -> bool:
    """Cards that tell of nothing."""
    return False


def replayed(
    images: list[Image],
    target: Store,
    *,
    restore_blob: RestoreBlob,
    lost: Lost | None = None,
) -> Lost:
    """Replay in one transaction; what is lost."""
    return target.write(partial(replay, images=images, restore_blob=restore_blob, lost=lost or {}))


def rows_told(store: Store) -> dict[str, list[Row]]:
    """By table, all rows that images tell of, in an order that both engines have."""
    return {table: _rows_of(store, table) for table in TABLES}


def _rows_of(store: Store, table: str) -> list[Row]:
    columns = ", ".join(column for column in _COLUMNS[table] if (table, column) not in _UNTOLD_COLUMNS)
    where = f" WHERE {_ROWS_THAT_STAND[table]}" if table in _ROWS_THAT_STAND else ""
    return sorted(run_sql(store, f"SELECT {columns} FROM {table}{where}"), key=repr)
