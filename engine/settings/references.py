"""References in scalar values: `${env:NAME}` or short `${NAME}`, and `${file:PATH}`; `$${` is a plain `${`."""

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from engine.settings.source import Path

FILE_BYTES_MAX = 64 * 1024

_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_WHOLE = re.compile(r"\$\{[^{}]*\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Resolved(str):
    """Text that came out of a reference: where a number is wanted, its digits are taken as one."""

    __slots__ = ()


class PartlyResolved(Resolved):
    """Text of which only a part came out of a reference."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What references mean here: the environment, and the folder that relative paths start from."""

    environ: Mapping[str, str]
    folder: FilePath


class UnresolvedReference(Exception):
    """A reference that has no value here; the message says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """Values with their references replaced, where references stood and as what, and those without a value."""

    value: Any
    references: Mapping[Path, str]
    unresolved: Mapping[Path, str]


def resolve(value: Any, surroundings: Surroundings) -> Resolution:
    """Replace every reference in the scalars of a plain tree, once: what comes out is never looked into again."""
    references: dict[Path, str] = {}
    unresolved: dict[Path, str] = {}

    def walk(each: Any, path: Path) -> Any:
        if isinstance(each, Mapping):
            return {key: walk(inner, (*path, key)) for key, inner in each.items()}
        if isinstance(each, list | tuple):
            return tuple(walk(inner, (*path, index)) for index, inner in enumerate(each))
        if not isinstance(each, str) or "${" not in each:
            return each
        refers = is_reference(each)
        if refers:
            references[path] = each
        try:
            text = _replaced(each, surroundings)
            if not refers:
                return text
            return Resolved(text) if _WHOLE.fullmatch(each) else PartlyResolved(text)
        except UnresolvedReference as problem:
            unresolved[path] = str(problem)
            return each

    return Resolution(value=walk(value, ()), references=references, unresolved=unresolved)


def is_reference(text: str) -> bool:
    """Whether something in the text is to be looked up."""
    return any(match[0] != "$${" for match in _REFERENCE.finditer(text))


def escaped(text: str) -> str:
    """The text written so that resolving gives it back."""
    return text.replace("${", "$${")


def _replaced(text: str, surroundings: Surroundings) -> str:
    def value_of(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        if match[1] is None:
            raise UnresolvedReference("`${` without its `}`; a plain `${` is written `$${`")
        return _value(match[1], surroundings)

    return _REFERENCE.sub(value_of, text)


def _value(reference: str, surroundings: Surroundings) -> str:
    kind, colon, name = reference.partition(":")
    if colon and kind == "file":
        return _file_text(surroundings.folder / name)
    if colon and kind != "env":
        raise UnresolvedReference(f"unknown kind of reference ${{{kind}:…}}: env and file are known")
    name = name if colon else kind
    if _NAME.fullmatch(name) is None:
        raise UnresolvedReference(f"{name[:40]!r} is no name of an environment variable")
    if name not in surroundings.environ:
        raise UnresolvedReference(f"the environment variable {name} is not set")
    return surroundings.environ[name]


def _file_text(path: FilePath) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnresolvedReference(f"{path} is no regular file")
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        raise UnresolvedReference(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error
    if len(raw) > FILE_BYTES_MAX:
        raise UnresolvedReference(f"{path} has more than {FILE_BYTES_MAX} bytes")
    try:
        return raw.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise UnresolvedReference(f"{path} is not valid UTF-8") from error
