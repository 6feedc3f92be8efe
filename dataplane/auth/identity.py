"""Identities: who signed, for which account, in which role, and the one rule that says what they may do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from dataplane.wire.operations import Action
from dataplane.wire.refusals import AccessDenied


class Role(Enum):
    """Ready-made roles; the value is what configurations and the database say."""

    __hash__ = object.__hash__

    READER = "reader"
    WRITER = "writer"
    SUPERUSER = "superuser"


_READS = frozenset(
    {
        Action.LIST_BUCKETS,
        Action.BUCKET_LOCATION,
        Action.LIST_BUCKET,
        Action.LIST_UPLOADS,
        Action.LIST_PARTS,
        Action.GET_OBJECT,
        Action.LIST_VERSIONS,
        Action.GET_VERSIONING,
        Action.GET_BUCKET_ACL,
        Action.GET_OBJECT_ACL,
        Action.GET_OBJECT_TAGGING,
        Action.GET_ACCELERATION,
        Action.GET_CORS,
        Action.GET_ENCRYPTION,
        Action.GET_LIFECYCLE,
        Action.GET_LOGGING,
        Action.GET_NOTIFICATION,
        Action.GET_LOCK_CONFIGURATION,
        Action.GET_OWNERSHIP,
        Action.GET_POLICY,
        Action.GET_POLICY_STATUS,
        Action.GET_PUBLIC_ACCESS,
        Action.GET_REPLICATION,
        Action.GET_REQUEST_PAYMENT,
        Action.GET_BUCKET_TAGGING,
        Action.GET_WEBSITE,
    }
)
_WRITES = frozenset(
    {
        Action.PUT_OBJECT,
        Action.DELETE_OBJECT,
        Action.ABORT_UPLOAD,
        Action.PUT_OBJECT_ACL,
        Action.PUT_OBJECT_TAGGING,
        Action.DELETE_OBJECT_TAGGING,
    }
)

ALLOWED: Mapping[Role, frozenset[Action]] = {
    Role.READER: _READS,
    Role.WRITER: _READS | _WRITES,
    Role.SUPERUSER: frozenset(Action),
}
"""What a role may do; what is not here it may not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A proven caller. `buckets` limits it to those names, None: all of its account, empty: none."""

    name: str
    account_id: int
    account: str
    role: Role
    buckets: frozenset[str] | None = None

    def sees(self, bucket: str) -> bool:
        """Whether the bucket is among those the identity is limited to."""
        return self.buckets is None or bucket in self.buckets


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """An access key that is in force, and whose it is. The secret never shows in a representation."""

    access_key_id: str
    secret: str = field(repr=False)
    identity: Identity


def authorise(identity: Identity, action: Action, bucket: str | None) -> None:
    """Let pass what the identity's role and bucket list allow; raises AccessDenied for everything else.

    `bucket` is the decoded name that storage will use, None only where an operation has none. That the bucket belongs
    to the identity's account is for whoever reads its row to see.
    """
    if action not in ALLOWED[identity.role] or (bucket is not None and not identity.sees(bucket)):
        raise AccessDenied
