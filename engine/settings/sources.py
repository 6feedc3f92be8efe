"""Where each value of a configuration comes from: its default, the file, a reference, or a call of the API."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, get_args

from engine.settings.differences import HIDDEN, NAMED, SECRET_KEYS, redacted
from engine.settings.live import LiveSettings
from engine.settings.node import NodeSettings
from engine.settings.references import is_reference
from engine.settings.secret import SEALED
from engine.settings.section import Section
from engine.settings.source import Path, path_text


class Provenance(Enum):
    """Who says a value."""

    DEFAULT = "default"
    """It is what it would be if nobody said anything."""
    FILE = "file"
    REFERENCE = "reference"
    API = "api"


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueSource:
    """Of one value. `path` names list members by name; `reference` is its text, hidden where it may be a secret."""

    path: str
    provenance: Provenance
    reference: str = ""


def live_sources(document: Mapping[str, Any], *, node: str, is_of_file: bool) -> list[ValueSource]:
    """Of a generation's document, shown on the node of that name; `is_of_file`: a file was made that generation."""
    written = Provenance.FILE if is_of_file else Provenance.API
    return list(_Walk(_filled_in(document, node), written).sources(document))


def node_sources(node: NodeSettings, references: Mapping[Path, str]) -> list[ValueSource]:
    """Of settings as a file gave them, and the references that stood in them."""
    return list(_of_section(node, (), references))


class _Walk:
    """Through a document, beside what it would say by default."""

    def __init__(self, filled_in: Mapping[str, Collection[str]], written: Provenance) -> None:
        self._filled_in = filled_in
        self._written = written

    def sources(self, document: Mapping[str, Any]) -> Iterator[ValueSource]:
        defaults = default_document(LiveSettings)
        for key, value in document.items():
            if key in NAMED:
                member = _member_defaults(key)
                for each in value:
                    yield from self._within(f"{key}[{each['name']}]", each, member)
            else:
                yield from self._of(key, key, value, defaults.get(key))

    def _within(self, path: str, value: Mapping[str, Any], defaults: Any) -> Iterator[ValueSource]:
        known = defaults if isinstance(defaults, Mapping) else {}
        for key, each in value.items():
            yield from self._of(f"{path}.{key}", key, each, known.get(key))

    def _of(self, path: str, key: str, value: Any, default: Any) -> Iterator[ValueSource]:
        if isinstance(value, Mapping) and set(value) != {SEALED}:
            yield from self._within(path, value, default)
        elif refers(value):
            yield ValueSource(path=path, provenance=Provenance.REFERENCE, reference=_shown(key, value))
        elif value == default or (isinstance(value, str) and value in self._filled_in.get(key, ())):
            yield ValueSource(path=path, provenance=Provenance.DEFAULT)
        else:
            yield ValueSource(path=path, provenance=self._written)


def default_document(model: type[Section]) -> dict[str, Any]:
    """What a section says when nothing of it is written; what has no default is left out."""
    defaults = {
        name: field.get_default(call_default_factory=True)
        for name, field in model.model_fields.items()
        if not field.is_required()
    }
    return model.model_construct(**defaults).model_dump(mode="json", by_alias=True, exclude_none=True)


def refers(value: Any) -> bool:
    """Whether a value of a document, or a part of it, is to be looked up."""
    if isinstance(value, Mapping):
        return any(map(refers, value.values()))
    if isinstance(value, list | tuple):
        return any(map(refers, value))
    return isinstance(value, str) and is_reference(value)


def _member_defaults(key: str) -> dict[str, Any]:
    models = get_args(LiveSettings.model_fields[key].annotation)
    return default_document(models[0])


def _filled_in(document: Mapping[str, Any], node: str) -> dict[str, Collection[str]]:
    """By key, what a backend has on this node when it says nothing."""
    names = [each["name"] for each in document.get("backends", ())]
    domains = [*names, *(f"{node}/{name}" for name in names)] + [f"{node}/disk-of-{name}" for name in names]
    return {"node": (node,), "failure_domain": domains}


def _of_section(section: Section, place: Path, references: Mapping[Path, str]) -> Iterator[ValueSource]:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if value is None:
            continue
        at = (*place, field.alias or name)
        if isinstance(value, Section):
            yield from _of_section(value, at, references)
            continue
        text = next((text for found, text in references.items() if found[: len(at)] == at), None)
        if text is not None:
            shown = _shown(str(at[-1]), text)
            yield ValueSource(path=path_text(at), provenance=Provenance.REFERENCE, reference=shown)
        else:
            is_written = name in section.model_fields_set
            provenance = Provenance.FILE if is_written else Provenance.DEFAULT
            yield ValueSource(path=path_text(at), provenance=provenance)


def _shown(key: str, value: Any) -> str:
    """A reference's text; a list of which only a part refers shows as JSON would."""
    if key in SECRET_KEYS:
        return HIDDEN
    return value if isinstance(value, str) else json.dumps(redacted(value), ensure_ascii=False)
