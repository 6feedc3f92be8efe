"""Secrets that are made here, told once, and kept sealed or as a hash: long and random, of letters and digits."""

import base64
import hashlib
import secrets
import string
from dataclasses import dataclass, field

_LETTERS = string.ascii_letters + string.digits
_ID_PREFIX = "PS"
_ID_LENGTH = 18
_SECRET_LENGTH = 40
_TOKEN_PREFIX = "pst_"
_TOKEN_LENGTH = 43


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPair:
    """An access key id with its secret."""

    access_key_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """An admin token with its hash."""

    token: str = field(repr=False)
    sha256: bytes = field(repr=False)


def new_pair(identity: str, request_id: str | None) -> NewPair:
    """A fresh secret; of one request id the key's id is always the same, so that a repeat finds it taken."""
    if request_id is None:
        tail = "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(_ID_LENGTH))
    else:
        digest = hashlib.sha256(f"{identity}\n{request_id}".encode()).digest()
        tail = base64.b32encode(digest).decode("ascii")[:_ID_LENGTH]
    return NewPair(access_key_id=_ID_PREFIX + tail, secret=_random(_SECRET_LENGTH))


def new_token() -> NewToken:
    token = _TOKEN_PREFIX + _random(_TOKEN_LENGTH)
    return NewToken(token=token, sha256=hashlib.sha256(token.encode("ascii")).digest())


def _random(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))
