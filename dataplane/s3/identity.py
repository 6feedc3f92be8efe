"""Identities: who signed, for which account, in which role; and the one rule that says what they may do."""

from dataclasses import dataclass
from enum import Enum

from dataplane.s3.faults import AccessDenied


class Role(Enum):
    """Ready-made roles; each may do all that the ones before it may."""

    READER = "reader"
    WRITER = "writer"
    SUPERUSER = "superuser"


class Action(Enum):
    """What an operation does to a bucket, as far as roles tell it apart."""

    READ = "read"
    WRITE = "write"
    ADMINISTER = "administer"


_MAY: dict[Role, frozenset[Action]] = {
    Role.READER: frozenset({Action.READ}),
    Role.WRITER: frozenset({Action.READ, Action.WRITE}),
    Role.SUPERUSER: frozenset(Action),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A proven caller. `buckets` limits it to those names; null: all of its account."""

    name: str
    account_id: int
    account: str
    role: Role
    buckets: frozenset[str] | None


def authorise(identity: Identity, action: Action, bucket: str | None) -> None:
    """Raises AccessDenied for what no role of the identity allows. A request without bucket only lists buckets."""
    if action not in _MAY[identity.role]:
        raise AccessDenied(f"the role {identity.role.value} may not do this")
    if bucket is not None and identity.buckets is not None and bucket not in identity.buckets:
        raise AccessDenied("the credentials are limited to other buckets")
