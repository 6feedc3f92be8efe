"""Accounts: owners of buckets and identities."""

from typing import cast

from engine.metadata import journal
from engine.metadata.images import ACCOUNT
from engine.metadata.store import Tx
from engine.records import Origin


def ensure_account(tx: Tx, name: str, origin: Origin) -> int:
    """The id of the account of that name, made if it was not there."""
    row = tx.row_or_none("find_account", {"name": name})
    if row is None:
        row = tx.row("insert_account", {"name": name, "origin": origin.value, "now_us": tx.now_us()})
        journal.append_row(tx, ACCOUNT, {"account_id": row[0]})
    return cast(int, row[0])
