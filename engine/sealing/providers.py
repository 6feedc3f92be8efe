"""Providers of the key that wraps ring keys; a provider is asked at start and at rotation, never on a request's path."""

import base64
import binascii
import os
import stat
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from engine.errors import StartRefused, WrongKey

KEY_BYTES = 32
NONCE_BYTES = 12
_AAD = b"penstock ring key v1"


class KeyProvider(Protocol):
    """Wraps ring keys. `name` is what rows call its kind."""

    @property
    def name(self) -> str: ...

    def wrap(self, material: bytes, /) -> bytes: ...

    def unwrap(self, wrapped: bytes, /) -> bytes:
        """Raises WrongKey when it was wrapped by another key."""


class LocalProvider:
    """A master key of 32 bytes that this process holds: `NONCE || CIPHERTEXT || TAG` of AES-256-GCM."""

    def __init__(self, name: str, key: bytes) -> None:
        self._name = name
        self._cipher = AESGCM(key)

    @property
    def name(self) -> str:
        return self._name

    def wrap(self, material: bytes, /) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, material, _AAD)

    def unwrap(self, wrapped: bytes, /) -> bytes:
        try:
            return self._cipher.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], _AAD)
        except (InvalidTag, ValueError) as error:
            raise WrongKey("the master key given does not open this deployment's key ring") from error


def file_provider(path: Path) -> LocalProvider:
    """The master key in a file of base64 that nobody but its owner may read; raises StartRefused."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise StartRefused(f"the master key {path} cannot be read: {error}") from error
    if stat.S_IMODE(mode) & 0o077:
        raise StartRefused(f"the master key {path} may be read by others: chmod 600 {path}")
    return LocalProvider("file", _decoded(text, f"the master key {path}"))


def inline_provider(text: str) -> LocalProvider:
    """The master key as base64 from the configuration; raises StartRefused."""
    return LocalProvider("inline", _decoded(text, "the inline master key"))


def new_master_key() -> str:
    """A fresh master key as base64."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode("ascii")


def _decoded(text: str, what: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise StartRefused(f"{what} is not {KEY_BYTES} bytes in base64")
    return key
