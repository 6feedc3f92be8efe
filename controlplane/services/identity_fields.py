"""Accounts, identities, keys and tokens between messages and the engine's records."""

import re
from collections.abc import Mapping
from re import Pattern

from google.protobuf.timestamp_pb2 import Timestamp
from penstock.admin.v1 import identity_pb2, roles_pb2

from controlplane.callers import Role
from controlplane.fields import read_name
from controlplane.services.origins import ORIGINS
from controlplane.times import read_timestamp, timestamp
from engine.errors import InvalidBucketName, MalformedField
from engine.metadata import accounts, identity_changes
from engine.metadata.access_keys import SeenAccessKey
from engine.metadata.accounts import AccountRow
from engine.metadata.admin_tokens import SeenToken, TokenField, TokenSettings
from engine.metadata.identity_changes import IdentityField, IdentitySettings, SeenIdentity
from engine.names import ACCOUNT_ID, RESOURCE_ID, SCOPE, bucket_name

BUCKET_COUNT_MAX = 100
SCOPE_COUNT_MAX = 50

TOKEN_ROLES: Mapping[str, Role] = {
    "viewer": roles_pb2.ROLE_VIEWER,
    "operator": roles_pb2.ROLE_OPERATOR,
    "admin": roles_pb2.ROLE_ADMIN,
}
_IDENTITY_ROLES: Mapping[str, "identity_pb2.IdentityRole.ValueType"] = {
    "reader": identity_pb2.IDENTITY_ROLE_READER,
    "writer": identity_pb2.IDENTITY_ROLE_WRITER,
    "superuser": identity_pb2.IDENTITY_ROLE_SUPERUSER,
}
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{16,64}")


def read_new_id(field: str, name: str, collection: str, pattern: Pattern[str] = RESOURCE_ID) -> str:
    """The id of what is to be made; one that is there already was checked when it was."""
    leaf = read_name(field, name, collection)
    if pattern.fullmatch(leaf) is None:
        form = "letters, digits and . _ @ -" if pattern is ACCOUNT_ID else "a-z, 0-9 and dash"
        raise MalformedField(field, f"an id is 1 to 63 of {form}, and begins with a letter or digit")
    return leaf


def read_request_id(request_id: str) -> str | None:
    if request_id and _REQUEST_ID.fullmatch(request_id) is None:
        raise MalformedField("request_id", "16 to 64 of letters, digits and dash, such as a UUID")
    return request_id or None


def read_expiry(field: str, moment: Timestamp, is_set: bool) -> int | None:
    return read_timestamp(field, moment) if is_set else None


def read_identity(identity: identity_pb2.Identity, fields: frozenset[IdentityField]) -> IdentitySettings:
    """Of the fields that are named; the others do not count."""
    has_expiry = IdentityField.EXPIRE_TIME in fields and identity.HasField("expire_time")
    return IdentitySettings(
        role=_read_identity_role(identity.role) if IdentityField.ROLE in fields else "",
        buckets=_read_buckets(identity) if IdentityField.BUCKETS in fields else None,
        is_disabled=identity.disabled,
        expires_at_us=read_expiry("identity.expire_time", identity.expire_time, has_expiry),
    )


def read_token(token: identity_pb2.AdminToken, fields: frozenset[TokenField]) -> TokenSettings:
    """Of the fields that are named; the others do not count."""
    has_expiry = TokenField.EXPIRE_TIME in fields and token.HasField("expire_time")
    return TokenSettings(
        role=_read_token_role(token.role) if TokenField.ROLE in fields else "",
        scopes=_read_scopes(token) if TokenField.SCOPES in fields else None,
        is_disabled=token.disabled,
        expires_at_us=read_expiry("admin_token.expire_time", token.expire_time, has_expiry),
    )


def write_account(row: AccountRow) -> identity_pb2.Account:
    return identity_pb2.Account(
        name=accounts.resource_name(row.name),
        origin=ORIGINS[row.origin],
        create_time=timestamp(row.created_at_us),
    )


def write_identity(seen: SeenIdentity) -> identity_pb2.Identity:
    settings = seen.settings
    return identity_pb2.Identity(
        name=identity_changes.resource_name(seen.name),
        account=accounts.resource_name(seen.account),
        role=_IDENTITY_ROLES[settings.role],
        buckets=[f"buckets/{each}" for each in settings.buckets or ()],
        disabled=settings.is_disabled,
        expire_time=timestamp(settings.expires_at_us),
        origin=ORIGINS[seen.origin],
        configured=seen.is_configured,
        create_time=timestamp(seen.created_at_us),
        etag=seen.etag,
    )


def write_access_key(seen: SeenAccessKey) -> identity_pb2.AccessKey:
    return identity_pb2.AccessKey(
        name=f"accessKeys/{seen.access_key_id}",
        access_key_id=seen.access_key_id,
        identity=identity_changes.resource_name(seen.identity),
        disabled=seen.is_disabled,
        expire_time=timestamp(seen.expires_at_us),
        usable=seen.is_usable,
        create_time=timestamp(seen.created_at_us),
        last_use_time=timestamp(seen.last_used_us),
    )


def write_token(seen: SeenToken) -> identity_pb2.AdminToken:
    settings = seen.settings
    return identity_pb2.AdminToken(
        name=f"adminTokens/{seen.name}",
        role=TOKEN_ROLES[settings.role],
        scopes=settings.scopes,
        disabled=settings.is_disabled,
        expire_time=timestamp(settings.expires_at_us),
        origin=ORIGINS[seen.origin],
        configured=seen.is_configured,
        create_time=timestamp(seen.created_at_us),
        last_use_time=timestamp(seen.last_used_us),
    )


def _read_identity_role(number: int) -> str:
    for role, known in _IDENTITY_ROLES.items():
        if number == known:
            return role
    raise MalformedField("identity.role", "one of READER, WRITER, SUPERUSER is required")


def _read_token_role(number: int) -> str:
    for role, known in TOKEN_ROLES.items():
        if number == known:
            return role
    raise MalformedField("admin_token.role", "one of VIEWER, OPERATOR, ADMIN is required")


def _read_buckets(identity: identity_pb2.Identity) -> tuple[str, ...] | None:
    """None named means all of the account: an identity that may touch no bucket is one that is switched off."""
    if len(identity.buckets) > BUCKET_COUNT_MAX:
        raise MalformedField("identity.buckets", f"at most {BUCKET_COUNT_MAX} buckets")
    names = tuple(read_name("identity.buckets", each, "buckets") for each in identity.buckets)
    try:
        return tuple(dict.fromkeys(map(bucket_name, names))) or None
    except InvalidBucketName as error:
        raise MalformedField("identity.buckets", str(error)) from error


def _read_scopes(token: identity_pb2.AdminToken) -> tuple[str, ...] | None:
    if len(token.scopes) > SCOPE_COUNT_MAX:
        raise MalformedField("admin_token.scopes", f"at most {SCOPE_COUNT_MAX} scopes")
    for scope in token.scopes:
        if SCOPE.fullmatch(scope) is None:
            raise MalformedField(
                "admin_token.scopes", f"expected such as `BucketService/*` or `*/Get*`, got {scope[:80]!r}"
            )
    return tuple(dict.fromkeys(token.scopes)) or None
