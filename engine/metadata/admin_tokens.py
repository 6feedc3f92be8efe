"""Admin tokens as operators see, make, change and delete them; a token itself is nowhere, only its hash."""

import json
from dataclasses import dataclass, replace
from enum import Enum
from typing import cast

from engine.errors import MalformedField, NoSuchResource, ResourceExists, WiderThanCaller
from engine.metadata import journal
from engine.metadata.configured import Configured, read_configured, refuse_configured
from engine.metadata.images import ADMIN_TOKEN, ADMIN_TOKEN_DELETED
from engine.metadata.store import Row, Tx
from engine.records import Origin


class TokenField(Enum):
    """What can be changed; the value is the field's name in masks."""

    ROLE = "role"
    SCOPES = "scopes"
    DISABLED = "disabled"
    EXPIRE_TIME = "expire_time"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSettings:
    """What a token may be told. `scopes` null: all that its role may call; `expires_at_us` null: never."""

    role: str
    scopes: tuple[str, ...] | None = None
    is_disabled: bool = False
    expires_at_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenToken:
    """A token's row, and whether the running configuration names it.

    `last_used_us` is a minute late at most, null for a token that was never used.
    """

    name: str
    settings: TokenSettings
    origin: Origin
    created_at_us: int
    is_configured: bool
    last_used_us: int | None


def resource_name(token: str) -> str:
    return f"adminTokens/{token}"


def see_token(tx: Tx, name: str) -> SeenToken:
    """Raises NoSuchResource."""
    row = tx.row_or_none("see_admin_token", {"name": name})
    if row is None:
        raise NoSuchResource(name=resource_name(name))
    return _read(row, read_configured(tx))


def see_tokens(tx: Tx, *, after: str, count_max: int) -> list[SeenToken]:
    """Tokens behind a name."""
    configured = read_configured(tx)
    rows = tx.rows("list_admin_tokens", {"after": after, "count_max": count_max})
    return [_read(row, configured) for row in rows]


def make_token(
    tx: Tx, *, name: str, sha256: bytes, settings: TokenSettings, within: tuple[str, ...] | None = None
) -> SeenToken:
    """Raises ResourceExists, MalformedField, and WiderThanCaller for other scopes than `within`; null is all."""
    _refuse_wider(settings.scopes, within)
    if settings.expires_at_us is not None and settings.expires_at_us <= tx.now_us():
        raise MalformedField("admin_token.expire_time", "lies in the past")
    inserted = tx.run(
        "insert_admin_token",
        {
            "name": name,
            "role": settings.role,
            "sha256": sha256,
            "scopes": _write_scopes(settings.scopes),
            "expires_at_us": settings.expires_at_us,
            "origin": Origin.API.value,
            "now_us": tx.now_us(),
        },
    )
    if not inserted:
        raise ResourceExists(name=resource_name(name))
    if settings.is_disabled:
        _set(tx, name, settings)
    journal.append_row(tx, ADMIN_TOKEN, {"name": name})
    return see_token(tx, name)


def change_token(
    tx: Tx,
    *,
    name: str,
    settings: TokenSettings,
    fields: frozenset[TokenField],
    within: tuple[str, ...] | None = None,
) -> SeenToken:
    """Set the fields that are named. Raises NoSuchResource, OwnedByConfig, and WiderThanCaller as `make_token` does."""
    seen = _look_for_change(tx, name)
    now = seen.settings
    # What it has counts as well: who is held to scopes brings no wider token back to life.
    _refuse_wider(now.scopes, within)
    changed = TokenSettings(
        role=settings.role if TokenField.ROLE in fields else now.role,
        scopes=settings.scopes if TokenField.SCOPES in fields else now.scopes,
        is_disabled=settings.is_disabled if TokenField.DISABLED in fields else now.is_disabled,
        expires_at_us=settings.expires_at_us if TokenField.EXPIRE_TIME in fields else now.expires_at_us,
    )
    _refuse_wider(changed.scopes, within)
    if changed != now:
        _set(tx, name, changed)
        journal.append_row(tx, ADMIN_TOKEN, {"name": name})
    return replace(seen, settings=changed)


def delete_token(tx: Tx, name: str) -> None:
    """Raises NoSuchResource, OwnedByConfig."""
    _look_for_change(tx, name)
    tx.run("delete_admin_token", {"name": name})
    journal.append(tx, ADMIN_TOKEN_DELETED.name, {"name": name})


def _look_for_change(tx: Tx, name: str) -> SeenToken:
    tx.lock("lock_admin_token", {"name": name})
    seen = see_token(tx, name)
    refuse_configured(seen.is_configured, name=resource_name(name), what="all of it")
    return seen


def _set(tx: Tx, name: str, settings: TokenSettings) -> None:
    tx.run(
        "set_admin_token",
        {
            "name": name,
            "role": settings.role,
            "scopes": _write_scopes(settings.scopes),
            "is_disabled": int(settings.is_disabled),
            "expires_at_us": settings.expires_at_us,
        },
    )


def _refuse_wider(scopes: tuple[str, ...] | None, within: tuple[str, ...] | None) -> None:
    """Scopes are compared as they are written: what a pattern covers is not reckoned out."""
    if within is not None and (scopes is None or not set(scopes) <= set(within)):
        raise WiderThanCaller("the caller is held to scopes: the token may have some of these, and no others")


def _write_scopes(scopes: tuple[str, ...] | None) -> str | None:
    return None if scopes is None else json.dumps(list(scopes))


def _read(row: Row, configured: Configured) -> SeenToken:
    name, role, scopes, is_disabled, expires_at_us, origin, created_at_us, last_used_us = row
    return SeenToken(
        name=cast(str, name),
        settings=TokenSettings(
            role=cast(str, role),
            scopes=None if scopes is None else tuple(json.loads(cast(str, scopes))),
            is_disabled=bool(is_disabled),
            expires_at_us=cast("int | None", expires_at_us),
        ),
        origin=Origin(origin),
        created_at_us=cast(int, created_at_us),
        is_configured=configured.names_admin_token(cast(str, name), Origin(origin)),
        last_used_us=cast("int | None", last_used_us),
    )
