"""A secret that does not show itself, and the refusal of ones that anybody could guess."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from functools import partial
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

from engine.settings.references import PartlyResolved

SECRET_BYTES_MIN = 16
SEALED = "sealed"
"""Key of a sealed secret in a document; its value is the sealed bytes in base64."""

_KNOWN = frozenset(
    {
        "minioadmin",
        "admin",
        "administrator",
        "password",
        "penstock",
        "secret",
        "secretkey",
        "changeme",
        "changeit",
        "default",
        "root",
        "test",
        "topsecret",
        # Of AWS's own documentation.
        "wjalrxutnfemi/k7mdeng/bpxrficyexamplekey",
        "je7mtgbclwbf/2zp9utk/h3ycox8wrb7exampleaccess",
    }
)
_DISTINCT_MIN = 5
_KNOWN_DIGESTS = frozenset(hashlib.sha256(known.encode()).hexdigest() for known in _KNOWN)


class Secret:
    """Text whose repr, str and format say nothing of it; `reveal()` where it is used."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickle would carry the text to wherever pickles go.
        raise TypeError("a secret is not pickled")

    @classmethod
    def weakness_of(cls, text: str) -> str | None:
        """Why such a secret is refused; null when it is not."""
        return weakness(text)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Text in, a Secret out, asterisks when dumped; `open` or `seal` in the context read and write sealed forms.

        `open` and `seal` take bytes and give bytes. Errors do not repeat what was given.
        """
        return core_schema.with_info_plain_validator_function(
            partial(_read, cls),
            serialization=core_schema.plain_serializer_function_ser_schema(_write, info_arg=True),
        )


class StoreSecret(Secret):
    """A secret that somebody else's store gave out: how good it is, is the store's affair."""

    __slots__ = ()

    @classmethod
    def weakness_of(cls, text: str) -> str | None:
        return None if text else "a secret is not empty"


def is_known_digest(sha256: str) -> bool:
    """Whether this is the SHA-256, in hex, of a secret that anybody would try first."""
    return sha256 in _KNOWN_DIGESTS


def weakness(text: str) -> str | None:
    """Why a secret would be refused; null when it would not."""
    lowered = text.lower()
    if any(lowered == known * (len(lowered) // len(known)) for known in _KNOWN):
        return "a well-known default secret is refused; `penstock init` makes fresh ones"
    if len(text.encode()) < SECRET_BYTES_MIN:
        return f"a secret has at least {SECRET_BYTES_MIN} bytes"
    if len(set(text)) < _DISTINCT_MIN:
        return "a secret of so few different characters is refused"
    return None


def _read(kind: type[Secret], value: Any, info: core_schema.ValidationInfo) -> Secret:
    if isinstance(value, kind):
        return value
    open_sealed = (info.context or {}).get("open")
    if open_sealed is not None and isinstance(value, Mapping) and set(value) == {SEALED}:
        return kind(open_sealed(base64.b64decode(value[SEALED], validate=True)).decode())
    if isinstance(value, PartlyResolved):
        # A document keeps references as they are, and would show the literal part beside one.
        raise PydanticCustomError("refused", "a secret is literal text or one reference, not both")
    if not isinstance(value, str):
        raise PydanticCustomError("refused", "a secret is text; put digits in quotes")
    problem = kind.weakness_of(value)
    if problem is not None:
        raise PydanticCustomError("refused", "{problem}", {"problem": problem})
    return kind(str(value))


def _write(secret: Secret, info: core_schema.SerializationInfo) -> Any:
    seal = (info.context or {}).get("seal")
    if seal is None:
        return "***"
    return {SEALED: base64.b64encode(seal(secret.reveal().encode())).decode()}
