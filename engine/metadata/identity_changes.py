"""Identities as operators see, make, change and delete them, within what the configuration leaves to them."""

import hashlib
import json
from dataclasses import dataclass, replace
from enum import Enum
from typing import cast

from engine.errors import EtagMismatch, NoSuchResource, ResourceExists
from engine.metadata import journal
from engine.metadata.configured import Configured, read_configured, refuse_configured
from engine.metadata.images import ACCESS_KEY_DELETED, IDENTITY, IDENTITY_DELETED
from engine.metadata.store import Row, SqlValue, Tx
from engine.records import Origin


class IdentityField(Enum):
    """What can be changed; the value is the field's name in masks."""

    ROLE = "role"
    BUCKETS = "buckets"
    DISABLED = "disabled"
    EXPIRE_TIME = "expire_time"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentitySettings:
    """What an identity may be told. `buckets` null: all of its account; `expires_at_us` null: never."""

    role: str
    buckets: tuple[str, ...] | None = None
    is_disabled: bool = False
    expires_at_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenIdentity:
    """An identity, and whether the running configuration names it."""

    identity_id: int
    name: str
    account_id: int
    account: str
    settings: IdentitySettings
    origin: Origin
    created_at_us: int
    is_configured: bool

    @property
    def etag(self) -> str:
        """Of what can be changed, so equal settings have equal etags."""
        told = repr((self.identity_id, self.settings))
        return hashlib.sha256(told.encode()).hexdigest()[:16]


def resource_name(identity: str) -> str:
    return f"identities/{identity}"


def see_identity(tx: Tx, name: str) -> SeenIdentity:
    """Raises NoSuchResource."""
    row = tx.row_or_none("see_identity", {"name": name})
    if row is None:
        raise NoSuchResource(name=resource_name(name))
    return _read(row, read_configured(tx))


def see_identities(tx: Tx, *, after: str, count_max: int) -> list[SeenIdentity]:
    """Identities behind a name."""
    configured = read_configured(tx)
    rows = tx.rows("list_identities", {"after": after, "count_max": count_max})
    return [_read(row, configured) for row in rows]


def make_identity(tx: Tx, *, name: str, account_id: int, settings: IdentitySettings) -> SeenIdentity:
    """Raises ResourceExists."""
    if tx.row_or_none("find_identity", {"name": name}) is not None:
        raise ResourceExists(name=resource_name(name))
    (identity_id,) = tx.row(
        "insert_identity",
        {
            "name": name,
            "account_id": account_id,
            "role": settings.role,
            "buckets": _write_buckets(settings.buckets),
            "origin": Origin.API.value,
            "now_us": tx.now_us(),
        },
    )
    _set(tx, cast(int, identity_id), name, settings)
    return see_identity(tx, name)


def change_identity(
    tx: Tx, *, name: str, settings: IdentitySettings, fields: frozenset[IdentityField], etag: str = ""
) -> SeenIdentity:
    """Set the fields that are named. Raises NoSuchResource, EtagMismatch, OwnedByConfig."""
    seen = _look_for_change(tx, name, etag)
    now = seen.settings
    changed = replace(
        now,
        role=settings.role if IdentityField.ROLE in fields else now.role,
        buckets=settings.buckets if IdentityField.BUCKETS in fields else now.buckets,
        is_disabled=settings.is_disabled if IdentityField.DISABLED in fields else now.is_disabled,
        expires_at_us=settings.expires_at_us if IdentityField.EXPIRE_TIME in fields else now.expires_at_us,
    )
    if changed != now:
        _set(tx, seen.identity_id, name, changed)
    return replace(seen, settings=changed)


def delete_identity(tx: Tx, *, name: str, etag: str = "") -> int:
    """Delete it with its access keys; how many they were. Raises NoSuchResource, EtagMismatch, OwnedByConfig."""
    seen = _look_for_change(tx, name, etag)
    named: dict[str, SqlValue] = {"identity_id": seen.identity_id}
    gone = tx.rows("delete_access_keys_of", named)
    for (access_key_id,) in sorted(gone):
        journal.append(tx, ACCESS_KEY_DELETED.name, {"id": access_key_id})
    tx.run("delete_identity", named)
    journal.append(tx, IDENTITY_DELETED.name, {"id": seen.identity_id})
    return len(gone)


def _look_for_change(tx: Tx, name: str, etag: str) -> SeenIdentity:
    tx.lock("lock_identity", {"name": name})
    seen = see_identity(tx, name)
    if etag not in ("", seen.etag):
        raise EtagMismatch(name=resource_name(name))
    refuse_configured(seen.is_configured, name=resource_name(name), what="all of it")
    return seen


def _set(tx: Tx, identity_id: int, name: str, settings: IdentitySettings) -> None:
    tx.run(
        "set_identity",
        {
            "identity_id": identity_id,
            "role": settings.role,
            "buckets": _write_buckets(settings.buckets),
            "is_disabled": int(settings.is_disabled),
            "expires_at_us": settings.expires_at_us,
        },
    )
    journal.append_row(tx, IDENTITY, {"name": name})


def _write_buckets(buckets: tuple[str, ...] | None) -> str | None:
    return None if buckets is None else json.dumps(list(buckets))


def _read(row: Row, configured: Configured) -> SeenIdentity:
    (
        identity_id,
        name,
        account_id,
        account,
        role,
        buckets,
        is_disabled,
        expires_at_us,
        origin,
        created_at_us,
    ) = row
    return SeenIdentity(
        identity_id=cast(int, identity_id),
        name=cast(str, name),
        account_id=cast(int, account_id),
        account=cast(str, account),
        settings=IdentitySettings(
            role=cast(str, role),
            buckets=None if buckets is None else tuple(json.loads(cast(str, buckets))),
            is_disabled=bool(is_disabled),
            expires_at_us=cast("int | None", expires_at_us),
        ),
        origin=Origin(origin),
        created_at_us=cast(int, created_at_us),
        is_configured=configured.names_identity(cast(str, name), Origin(origin)),
    )
