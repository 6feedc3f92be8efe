"""Who calls: bearer tokens, and unix sockets whose owner stands for a role."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from penstock.admin.v1 import roles_pb2

Role: TypeAlias = "roles_pb2.Role.ValueType"
Metadata = Sequence[tuple[str, str | bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A caller whose right to be here was proven."""

    name: str
    role: Role


class Authenticator(Protocol):
    """Turns a call's metadata into a caller; null for a stranger."""

    def __call__(self, metadata: Metadata, /) -> Caller | None: ...


class SocketPeer:
    """Whoever may open this unix socket is a caller of this role; the folder's mode decides who may."""

    def __init__(self, role: Role) -> None:
        self._caller = Caller(name="local", role=role)

    def __call__(self, metadata: Metadata, /) -> Caller | None:
        return self._caller


class BearerToken:
    """Looks the SHA-256 of a bearer token up. The token is long and random, so its hash needs no salt.

    `find` gets the digest and answers the token's owner, or null for one that is unknown, disabled or expired.
    """

    def __init__(self, find: Callable[[bytes], Caller | None]) -> None:
        self._find = find

    def __call__(self, metadata: Metadata, /) -> Caller | None:
        given = [value for key, value in metadata if key == "authorization"]
        if len(given) != 1 or not isinstance(given[0], str):
            return None
        scheme, _, token = given[0].partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        return self._find(hashlib.sha256(token.encode()).digest())
