"""Rows of ring keys: wrapped by the provider, never in the clear."""

from dataclasses import dataclass
from typing import cast

from engine.metadata import journal
from engine.metadata.images import KEY
from engine.metadata.store import SqlValue, Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """A ring key as the database knows it."""

    key_id: bytes
    key_name: str
    provider: str
    wrapped_material: bytes
    state: str
    check_value: bytes
    created_at_us: int


def insert_key(
    tx: Tx,
    *,
    key_id: bytes,
    key_name: str,
    provider: str,
    wrapped_material: bytes,
    state: str,
    check_value: bytes,
) -> None:
    params: dict[str, SqlValue] = {
        "key_id": key_id,
        "key_name": key_name,
        "provider": provider,
        "wrapped_material": wrapped_material,
        "state": state,
        "check_value": check_value,
        "now_us": tx.now_us(),
    }
    tx.run("insert_key", params)
    journal.append_row(tx, KEY, {"key_id": key_id})


def list_keys(tx: Tx) -> list[KeyRow]:
    """The whole ring, the oldest key first."""
    return [
        KeyRow(
            key_id=cast(bytes, key_id),
            key_name=cast(str, key_name),
            provider=cast(str, provider),
            wrapped_material=cast(bytes, wrapped),
            state=cast(str, state),
            check_value=cast(bytes, check_value),
            created_at_us=cast(int, created_at_us),
        )
        for key_id, key_name, provider, wrapped, state, check_value, created_at_us in tx.rows("list_keys", {})
    ]
