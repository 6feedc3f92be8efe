"""Providers of the key that wraps ring keys; asked at start and at rotation only."""

import base64
import os
from pathlib import Path
from typing import Protocol

from engine.errors import SealBroken, StartRefused, WrongKey
from engine.sealing.box import Box, RandomBytes
from engine.settings.keyfile import key_file_problem, key_material_problem

_AAD = b"penstock ring key v1"


class KeyProvider(Protocol):
    """Wraps ring keys. `name` is what rows call its kind."""

    @property
    def name(self) -> str: ...

    def wrap(self, material: bytes, /) -> bytes: ...

    def unwrap(self, wrapped: bytes, /) -> bytes:
        """Raises WrongKey when it was wrapped by another key."""


class LocalProvider:
    """A master key of 32 bytes that this process holds; wrapped keys are boxes."""

    def __init__(self, name: str, key: bytes, random: RandomBytes = os.urandom) -> None:
        self._name = name
        self._box = Box(key, random)

    @property
    def name(self) -> str:
        return self._name

    def wrap(self, material: bytes, /) -> bytes:
        return self._box.seal(material, _AAD)

    def unwrap(self, wrapped: bytes, /) -> bytes:
        try:
            return self._box.open(wrapped, _AAD)
        except SealBroken as error:
            raise WrongKey("the master key given does not open this deployment's key ring") from error


def file_provider(path: Path) -> LocalProvider:
    """The master key in a file of base64 that nobody but its owner may use; raises StartRefused."""
    problem = key_file_problem(path)
    if problem is not None:
        raise StartRefused(f"master key: {problem}")
    try:
        text = path.read_bytes()
    except OSError as error:
        raise StartRefused(f"master key: {path} cannot be read: {error.strerror}") from error
    return LocalProvider("file", _decoded(text))


def inline_provider(text: str) -> LocalProvider:
    """The master key as base64 from the configuration; raises StartRefused."""
    return LocalProvider("inline", _decoded(text.encode()))


def _decoded(text: bytes) -> bytes:
    stripped = text.strip()
    problem = key_material_problem(stripped)
    if problem is not None:
        raise StartRefused(problem)
    return base64.b64decode(stripped, validate=True)
