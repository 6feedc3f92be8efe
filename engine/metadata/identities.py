"""Who may do what: identities with their access keys, and admin tokens."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from engine.errors import ConfigProblem, InvalidConfig
from engine.metadata import journal
from engine.metadata.images import ACCESS_KEY, ADMIN_TOKEN, IDENTITY
from engine.metadata.store import Row, SqlValue, Tx
from engine.records import Origin

_NEVER_US = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKeyRow:
    """An access key and whose it is. The secret is sealed under the ring key `key_id`."""

    access_key_id: str
    sealed_secret: bytes
    key_id: bytes
    identity: str
    account_id: int
    account: str
    role: str
    buckets: tuple[str, ...] | None
    is_disabled: bool
    expires_at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminTokenRow:
    """A token that may be used now."""

    name: str
    role: str
    scopes: tuple[str, ...] | None = None
    """Globs of methods it is held to; null: all of its role."""


def apply_identity(
    tx: Tx,
    *,
    name: str,
    account_id: int,
    role: str,
    buckets: Sequence[str] | None,
    access_key_id: str,
    sealed_secret: bytes,
    key_id: bytes,
) -> None:
    """An identity as a generation names it; raises InvalidConfig when the API made one of that name or key."""
    limited = None if buckets is None else json.dumps(list(buckets))
    _refuse_key_of_a_call(tx, access_key_id)
    row = tx.row_or_none("find_identity", {"name": name})
    if row is None:
        (identity_id,) = tx.row(
            "insert_identity",
            {
                "name": name,
                "account_id": account_id,
                "role": role,
                "buckets": limited,
                "origin": Origin.CONFIG.value,
                "now_us": tx.now_us(),
            },
        )
    else:
        identity_id = row[0]
        if row[1] != Origin.CONFIG.value:
            raise _made_through_the_api("identities", name)
        params = {"identity_id": identity_id, "account_id": account_id, "role": role, "buckets": limited}
        tx.run("update_identity", params)
    tx.run(
        "upsert_access_key",
        {
            "access_key_id": access_key_id,
            "identity_id": identity_id,
            "sealed_secret": sealed_secret,
            "key_id": key_id,
            "now_us": tx.now_us(),
        },
    )
    only: dict[str, SqlValue] = {"identity_id": identity_id, "access_key_id": access_key_id}
    for (other_id,) in tx.rows("disable_other_access_keys", only):
        journal.append_row(tx, ACCESS_KEY, {"access_key_id": other_id})
    journal.append_row(tx, IDENTITY, {"name": name})
    journal.append_row(tx, ACCESS_KEY, {"access_key_id": access_key_id})


def disable_missing(tx: Tx, *, identities: Sequence[str], tokens: Sequence[str]) -> None:
    """What the configuration names no more is switched off, never deleted."""
    for (name,) in tx.rows("disable_other_identities", {"names": json.dumps(list(identities))}):
        journal.append_row(tx, IDENTITY, {"name": name})
    for (name,) in tx.rows("disable_other_admin_tokens", {"names": json.dumps(list(tokens))}):
        journal.append_row(tx, ADMIN_TOKEN, {"name": name})


def find_access_key(tx: Tx, access_key_id: str) -> AccessKeyRow | None:
    row = tx.row_or_none("find_access_key", {"access_key_id": access_key_id, "never": _NEVER_US})
    return None if row is None else _read_access_key(row)


def list_access_keys(tx: Tx, *, after: str, count_max: int) -> list[AccessKeyRow]:
    """Keys in order, those that may not be used included."""
    params: dict[str, SqlValue] = {"after": after, "count_max": count_max, "never": _NEVER_US}
    return [_read_access_key(row) for row in tx.rows("list_access_keys", params)]


def _read_access_key(row: Row) -> AccessKeyRow:
    found_id, sealed, key_id, identity, account_id, account, role, buckets, is_disabled, expires_at_us = row
    return AccessKeyRow(
        access_key_id=cast(str, found_id),
        sealed_secret=cast(bytes, sealed),
        key_id=cast(bytes, key_id),
        identity=cast(str, identity),
        account_id=cast(int, account_id),
        account=cast(str, account),
        role=cast(str, role),
        buckets=None if buckets is None else tuple(json.loads(cast(str, buckets))),
        is_disabled=bool(is_disabled),
        expires_at_us=cast(int, expires_at_us),
    )


def apply_admin_token(
    tx: Tx,
    *,
    name: str,
    role: str,
    sha256: bytes,
    scopes: Sequence[str] | None = None,
    expires_at_us: int | None = None,
) -> None:
    """A token as a generation names it; its hash is free again wherever another of its names had it.

    Raises InvalidConfig when the API made one of that name or hash.
    """
    holder = tx.row_or_none("find_admin_token_of_hash", {"sha256": sha256})
    if holder is not None and holder[1] != Origin.CONFIG.value:
        raise _made_through_the_api("admin_tokens", cast(str, holder[0]))
    unusable = os.urandom(len(sha256))
    freed = tx.rows("free_admin_token_hash", {"name": name, "sha256": sha256, "unusable": unusable})
    for (other,) in freed:
        journal.append_row(tx, ADMIN_TOKEN, {"name": other})
    params: dict[str, SqlValue] = {
        "name": name,
        "role": role,
        "sha256": sha256,
        "scopes": None if scopes is None else json.dumps(list(scopes)),
        "expires_at_us": expires_at_us,
        "origin": Origin.CONFIG.value,
        "now_us": tx.now_us(),
    }
    if not tx.run("upsert_admin_token", params):
        raise _made_through_the_api("admin_tokens", name)
    journal.append_row(tx, ADMIN_TOKEN, {"name": name})


def find_admin_token(tx: Tx, sha256: bytes) -> AdminTokenRow | None:
    """By the token's hash; null when it is unknown, disabled or expired by the database's clock."""
    row = tx.row_or_none("find_admin_token", {"sha256": sha256, "now_us": tx.now_us()})
    if row is None:
        return None
    name, role, scopes = row
    return AdminTokenRow(
        name=cast(str, name),
        role=cast(str, role),
        scopes=None if scopes is None else tuple(json.loads(cast(str, scopes))),
    )


def has_admin_token(tx: Tx) -> bool:
    """Whether any token may be used, now or earlier: an expired one still is a reason to listen for its successor."""
    return tx.row_or_none("has_admin_token", {}) is not None


def _refuse_key_of_a_call(tx: Tx, access_key_id: str) -> None:
    """A key is told by its id alone, so the configuration may not take one of an identity that it does not know."""
    row = tx.row_or_none("see_access_key", {"access_key_id": access_key_id})
    if row is not None and row[2] != Origin.CONFIG.value:
        problem = f"access key {access_key_id!r} is one of {row[1]!r}, which was made through the API"
        raise InvalidConfig(problems=(ConfigProblem(path="identities", line=None, message=problem),))


def _made_through_the_api(path: str, name: str) -> InvalidConfig:
    problem = ConfigProblem(path=path, line=None, message=f"{name!r} was made through the API")
    return InvalidConfig(problems=(problem,))
