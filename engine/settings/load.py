"""Reads the configuration file into node settings and the live part, or into a list of all its problems."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, TypeVar

from pydantic import ValidationError

from engine.errors import ConfigProblem, InvalidConfig
from engine.settings.checks import common_problems, live_problems, node_problems
from engine.settings.domains import with_domains
from engine.settings.live import LiveSettings
from engine.settings.node import NodeSettings
from engine.settings.references import Resolution, Surroundings, resolve
from engine.settings.refusals import refusals
from engine.settings.section import Section
from engine.settings.source import SOURCE_BYTES_MAX, Path, Source, path_text, read_source

S = TypeVar("S", bound=Section)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A whole valid configuration. `node` needs a restart to change; `live` is what a generation holds.

    `file_digest` is the SHA-256 of the file, `path` its absolute path: relative references start at its folder.
    """

    path: FilePath
    file_digest: bytes
    node: NodeSettings
    live: LiveSettings
    node_references: Mapping[Path, str] = field(default_factory=dict)
    """Where values of the node came out of references, and the text that referred to them."""


def load_settings(path: FilePath, environ: Mapping[str, str]) -> Settings:
    """Read and check a configuration file; raises InvalidConfig with every problem found, each with its line.

    Reads what the file refers to, and the key file. Changes nothing.
    """
    path = path.absolute()
    return settings_of(read_file(path), path=path, environ=environ)


def settings_of(
    raw: bytes, *, path: FilePath, environ: Mapping[str, str], standing: NodeSettings | None = None
) -> Settings:
    """The same for a text that would stand at the absolute `path`, whatever stands there now.

    A text without any settings of a node has `standing` ones where these are given.
    """
    source = read_source(raw)
    surroundings = Surroundings(environ=environ, folder=path.parent)
    resolution = resolve(source.value, surroundings)
    found = _Findings(source=source, resolution=resolution, folder=path.parent)
    for place, why in resolution.unresolved.items():
        found.add(place, why)
    found.refuse_unknown_sections()
    if standing is not None and not found.has_any(NodeSettings):
        node: NodeSettings | None = standing
    else:
        node = found.section(NodeSettings)
    live = found.section(LiveSettings)
    if node is not None and node is not standing:
        for place, why in node_problems(node):
            found.add(place, why)
    if live is not None:
        name = "node" if node is None else node.node.name
        live = live.model_copy(update={"backends": with_domains(live.backends, node=name)})
        for place, why in live_problems(live, node=name):
            found.add(place, why)
    if node is not None and live is not None:
        for place, why in common_problems(node, live):
            found.add(place, why)
    if found.problems or node is None or live is None:
        raise InvalidConfig(problems=tuple(sorted(found.problems, key=_by_line)))
    return Settings(
        path=path,
        file_digest=hashlib.sha256(raw).digest(),
        node=node,
        live=live.referring(found.references(LiveSettings)),
        node_references=found.references(NodeSettings),
    )


class _Findings:
    """Problems found so far, one for each place: the first is the cause, what follows from it is noise."""

    def __init__(self, *, source: Source, resolution: Resolution, folder: FilePath) -> None:
        self._source = source
        # An empty section asks for nothing.
        self._value = {key: value for key, value in resolution.value.items() if value is not None}
        self._context = {"folder": folder}
        self._references = resolution.references
        self._places: set[Any] = set()
        self.problems: list[ConfigProblem] = []

    def add(self, place: tuple[str | int, ...], message: str) -> None:
        if place not in self._places:
            self._places.add(place)
            self.problems.append(self._source.problem(place, message))

    def refuse_unknown_sections(self) -> None:
        for key in self._value:
            if key not in _keys(NodeSettings) | _keys(LiveSettings):
                self.add((key,), "unknown key")

    def has_any(self, model: type[Section]) -> bool:
        return any(key in self._value for key in _keys(model))

    def references(self, model: type[Section]) -> dict[Path, str]:
        return {place: text for place, text in self._references.items() if place[0] in _keys(model)}

    def section(self, model: type[S]) -> S | None:
        value = {key: each for key, each in self._value.items() if key in _keys(model)}
        try:
            return model.model_validate(value, context=self._context)
        except ValidationError as error:
            for place, message in refusals(error, value):
                self.add(place, message)
            return None


def _keys(model: type[Section]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def read_file(path: FilePath) -> bytes:
    """The bytes of a configuration file. Raises InvalidConfig when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(SOURCE_BYTES_MAX + 1)
    except OSError as error:
        hint = "; `penstock init` writes a configuration" if isinstance(error, FileNotFoundError) else ""
        message = f"{path} cannot be read: {error.strerror}{hint}"
        problem = ConfigProblem(path=path_text(()), line=None, message=message)
        raise InvalidConfig(problems=(problem,)) from error


def _by_line(problem: ConfigProblem) -> int:
    return problem.line or 0
