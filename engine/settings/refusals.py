"""What the validation of sections says, in words for whoever wrote the file."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from engine.settings.quantities import NOT_BUILT
from engine.settings.source import Path, path_text

_WORDS = {
    "extra_forbidden": "unknown key",
    "missing": "is required",
    "int_type": "expected a whole number",
    "float_type": "expected a number",
    "bool_type": "expected true or false",
    "tuple_type": "expected a list",
    "model_type": "expected a mapping",
    "model_attributes_type": "expected a mapping",
    "union_tag_not_found": "`provider` is required: file or inline",
}


def refusals(error: ValidationError, value: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Where in `value`, and what is wrong, for each thing the validation found."""
    for each in error.errors(include_url=False, include_input=False):
        path = _path_in(value, each["loc"])
        yield path, _message(each, path)


def _message(found: Any, path: Path) -> str:
    kind = found["type"]
    if kind == NOT_BUILT:
        return _not_built(path, found["ctx"]["what"])
    if kind == "union_tag_invalid" and path == ("database",):
        return "`driver` is sqlite or postgres"
    if kind == "union_tag_invalid":
        tag = found["ctx"]["tag"]
        return _not_built((*path, "provider"), tag) if tag == "vault" else "`provider` is file or inline"
    if kind == "extra_forbidden" and path[:-1] == ("database",):
        return (
            "unknown key for this kind of database: `path` is SQLite's, `host` and the like are PostgreSQL's"
        )
    message: str = found["msg"]
    return _WORDS.get(kind) or message.replace("Input should be", "expected a value")


def _not_built(path: Path, what: str) -> str:
    return f"not built yet: {path_text(path)}{f' {what}' if what else ''}"


def _path_in(value: Any, location: Path) -> Path:
    """The location without the steps that name a member of a union instead of a place in the document."""
    path: Path = ()
    for index, step in enumerate(location):
        is_last = index == len(location) - 1
        if isinstance(value, Mapping) and (step in value or is_last):
            value = value.get(str(step))
        elif isinstance(value, tuple) and isinstance(step, int):
            value = value[step] if step < len(value) else None
        elif not is_last:
            continue
        path = (*path, step)
    return path
