"""Access keys as operators see, make, change and delete them: without secrets, and none of the configuration."""

from dataclasses import dataclass, replace
from typing import cast

from engine.errors import MalformedField, NoSuchResource, ResourceExists
from engine.metadata import identity_changes, journal
from engine.metadata.configured import read_configured, refuse_configured
from engine.metadata.images import ACCESS_KEY, ACCESS_KEY_DELETED
from engine.metadata.store import Row, SqlValue, Tx
from engine.records import Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenAccessKey:
    """An access key without its secret. `is_usable`: neither it nor its identity is switched off or has ended.

    `last_used_us` is a minute late at most, null for a key that was never used.
    """

    access_key_id: str
    identity: str
    identity_origin: Origin
    is_disabled: bool
    expires_at_us: int | None
    is_usable: bool
    created_at_us: int
    last_used_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccessKey:
    """A key about to be made; its secret is sealed under the ring key `key_id`."""

    access_key_id: str
    sealed_secret: bytes
    key_id: bytes
    expires_at_us: int | None


def resource_name(access_key_id: str) -> str:
    return f"accessKeys/{access_key_id}"


def see_access_key(tx: Tx, access_key_id: str) -> SeenAccessKey:
    """Raises NoSuchResource."""
    row = tx.row_or_none("see_access_key", {"access_key_id": access_key_id})
    if row is None:
        raise NoSuchResource(name=resource_name(access_key_id))
    return _read(tx, row)


def see_access_keys(tx: Tx, *, identity: str | None, after: str, count_max: int) -> list[SeenAccessKey]:
    """Keys of an identity, or of all, behind an id. Raises NoSuchResource when the identity is not there."""
    identity_id = None if identity is None else identity_changes.see_identity(tx, identity).identity_id
    params: dict[str, SqlValue] = {"identity_id": identity_id, "after": after, "count_max": count_max}
    return [_read(tx, row) for row in tx.rows("see_access_keys", params)]


def make_access_key(tx: Tx, *, identity: str, new: NewAccessKey) -> SeenAccessKey:
    """One more key of an identity. Raises NoSuchResource, OwnedByConfig, ResourceExists, MalformedField."""
    tx.lock("lock_identity", {"name": identity})
    owner = identity_changes.see_identity(tx, identity)
    name = identity_changes.resource_name(identity)
    refuse_configured(owner.is_configured, name=name, what="its access key")
    if new.expires_at_us is not None and new.expires_at_us <= tx.now_us():
        raise MalformedField("expire_time", "lies in the past")
    named: dict[str, SqlValue] = {"access_key_id": new.access_key_id}
    inserted = tx.run(
        "insert_access_key",
        {
            **named,
            "identity_id": owner.identity_id,
            "sealed_secret": new.sealed_secret,
            "key_id": new.key_id,
            "expires_at_us": new.expires_at_us,
            "now_us": tx.now_us(),
        },
    )
    if not inserted:
        raise ResourceExists(name=resource_name(new.access_key_id))
    journal.append_row(tx, ACCESS_KEY, named)
    return see_access_key(tx, new.access_key_id)


def change_access_key(
    tx: Tx, access_key_id: str, *, is_disabled: bool | None, expires_at_us: int | None, sets_expiry: bool
) -> SeenAccessKey:
    """Switch it off or on unless null, and set its end where asked for. Raises NoSuchResource, OwnedByConfig."""
    seen = _look_for_change(tx, access_key_id)
    changed = replace(
        seen,
        is_disabled=seen.is_disabled if is_disabled is None else is_disabled,
        expires_at_us=expires_at_us if sets_expiry else seen.expires_at_us,
    )
    if changed == seen:
        return seen
    named: dict[str, SqlValue] = {"access_key_id": access_key_id}
    tx.run(
        "set_access_key",
        {**named, "is_disabled": int(changed.is_disabled), "expires_at_us": changed.expires_at_us},
    )
    journal.append_row(tx, ACCESS_KEY, named)
    return see_access_key(tx, access_key_id)


def delete_access_key(tx: Tx, access_key_id: str) -> None:
    """Raises NoSuchResource, OwnedByConfig."""
    _look_for_change(tx, access_key_id)
    tx.run("delete_access_key", {"access_key_id": access_key_id})
    journal.append(tx, ACCESS_KEY_DELETED.name, {"id": access_key_id})


def _look_for_change(tx: Tx, access_key_id: str) -> SeenAccessKey:
    tx.lock("lock_access_key", {"access_key_id": access_key_id})
    seen = see_access_key(tx, access_key_id)
    is_configured = read_configured(tx).names_identity(seen.identity, seen.identity_origin)
    refuse_configured(
        is_configured, name=identity_changes.resource_name(seen.identity), what="its access key"
    )
    return seen


def _read(tx: Tx, row: Row) -> SeenAccessKey:
    (
        access_key_id,
        identity,
        origin,
        is_disabled,
        expires_at_us,
        is_identity_disabled,
        identity_expires_at_us,
        created_at_us,
        last_used_us,
    ) = row
    ends_us = [cast(int, each) for each in (expires_at_us, identity_expires_at_us) if each is not None]
    has_ended = any(each <= tx.now_us() for each in ends_us)
    return SeenAccessKey(
        access_key_id=cast(str, access_key_id),
        identity=cast(str, identity),
        identity_origin=Origin(origin),
        is_disabled=bool(is_disabled),
        expires_at_us=cast("int | None", expires_at_us),
        is_usable=not (is_disabled or is_identity_disabled or has_ended),
        created_at_us=cast(int, created_at_us),
        last_used_us=cast("int | None", last_used_us),
    )
