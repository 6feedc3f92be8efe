"""Who calls: bearers of tokens, owners of certificates, and unix sockets whose owner stands for a role."""

import hashlib
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol, TypeAlias

from penstock.admin.v1 import roles_pb2

Role: TypeAlias = "roles_pb2.Role.ValueType"
Metadata = Sequence[tuple[str, str | bytes]]

_calling: ContextVar["Caller"] = ContextVar("caller")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A caller whose right to be here was proven. `scopes` null: all methods of the role."""

    name: str
    role: Role
    scopes: tuple[str, ...] | None = None

    def is_held_back_from(self, method: str) -> bool:
        """Whether the scopes leave out a method, given as it was dispatched: `/package.Service/Method`."""
        if self.scopes is None:
            return False
        service, _, name = method.removeprefix("/").partition("/")
        return not any(_matches(scope, service.rpartition(".")[2], name) for scope in self.scopes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a call shows of its caller."""

    metadata: Metadata = ()
    uris: tuple[str, ...] = ()
    """URIs in the client's certificate, which TLS has verified."""
    common_names: tuple[str, ...] = ()
    """Common names of its subject."""


class Authenticator(Protocol):
    """Turns what a call shows into a caller; null for a stranger."""

    def __call__(self, evidence: Evidence, /) -> Caller | None: ...


def calling() -> Caller:
    """Who makes the call that is being answered; for servicers."""
    return _calling.get()


def note_caller(caller: Caller) -> None:
    """Of the call that the running task answers."""
    _calling.set(caller)


class SocketPeer:
    """Whoever may open this unix socket is a caller of this role; the folder's mode decides who may."""

    def __init__(self, role: Role) -> None:
        self._caller = Caller(name="local", role=role)

    def __call__(self, evidence: Evidence, /) -> Caller | None:
        return self._caller


class BearerToken:
    """Looks the SHA-256 of a bearer token up. The token is long and random, so its hash needs no salt.

    What the look-up's time may tell is of the hash, from which no token is found. `find` gets the digest and answers
    the token's owner, or null for one that is unknown, disabled or expired.
    """

    def __init__(self, find: Callable[[bytes], Caller | None]) -> None:
        self._find = find

    def __call__(self, evidence: Evidence, /) -> Caller | None:
        given = [value for key, value in evidence.metadata if key == "authorization"]
        if len(given) != 1 or not isinstance(given[0], str):
            return None
        scheme, _, token = given[0].partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        return self._find(hashlib.sha256(token.encode()).digest())


class TokenOrCertificate:
    """A call that carries a token is its bearer's; any other one that of the certificate's owner, if it has one."""

    def __init__(self, token: Authenticator, find_owner: Callable[[Evidence], Caller | None]) -> None:
        self._token = token
        self._find_owner = find_owner

    def __call__(self, evidence: Evidence, /) -> Caller | None:
        has_token = any(key == "authorization" for key, _ in evidence.metadata)
        return self._token(evidence) if has_token else self._find_owner(evidence)


def _matches(scope: str, service: str, name: str) -> bool:
    """`Service/Method`, each half a glob of its own: `*` does not reach over the slash."""
    services, _, names = scope.partition("/")
    return fnmatchcase(service, services) and fnmatchcase(name, names)
