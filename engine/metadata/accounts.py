"""Accounts: owners of buckets and identities."""

from dataclasses import dataclass
from typing import cast

from engine.errors import NoSuchResource, ResourceExists
from engine.metadata import journal
from engine.metadata.images import ACCOUNT
from engine.metadata.store import Tx
from engine.records import Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """An account as the database knows it."""

    account_id: int
    name: str
    origin: Origin
    created_at_us: int


def resource_name(account: str) -> str:
    return f"accounts/{account}"


def ensure_account(tx: Tx, name: str, origin: Origin) -> int:
    """The id of the account of that name, made if it was not there."""
    row = tx.row_or_none("find_account", {"name": name})
    if row is None:
        row = tx.row("insert_account", {"name": name, "origin": origin.value, "now_us": tx.now_us()})
        journal.append_row(tx, ACCOUNT, {"account_id": row[0]})
    return cast(int, row[0])


def find_account_id(tx: Tx, name: str) -> int:
    """Raises NoSuchResource."""
    row = tx.row_or_none("find_account", {"name": name})
    if row is None:
        raise NoSuchResource(name=resource_name(name))
    return cast(int, row[0])


def find_account_name(tx: Tx, account_id: int) -> str:
    """Of an account that is there."""
    (_, name, *_) = tx.row(ACCOUNT.reads, {"account_id": account_id})
    return cast(str, name)


def list_accounts(tx: Tx, *, after: str, count_max: int) -> list[AccountRow]:
    """Accounts behind a name."""
    return [
        AccountRow(
            account_id=cast(int, account_id),
            name=cast(str, name),
            origin=Origin(origin),
            created_at_us=cast(int, created_at_us),
        )
        for account_id, name, origin, created_at_us in tx.rows(
            "list_accounts", {"after": after, "count_max": count_max}
        )
    ]


def make_account(tx: Tx, name: str) -> AccountRow:
    """An account made by a call. Raises ResourceExists."""
    if tx.row_or_none("find_account", {"name": name}) is not None:
        raise ResourceExists(name=resource_name(name))
    account_id = ensure_account(tx, name, Origin.API)
    return AccountRow(account_id=account_id, name=name, origin=Origin.API, created_at_us=tx.now_us())
