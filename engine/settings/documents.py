"""The live part as the JSON document of a generation: literal secrets sealed, references kept as references."""

from collections.abc import Callable, Mapping
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from engine.errors import ConfigProblem, InvalidConfig
from engine.settings.live import LiveSettings
from engine.settings.references import Surroundings, escaped, resolve
from engine.settings.refusals import refusals
from engine.settings.source import Path, path_text

Seal = Callable[[bytes], bytes]
"""Seals or opens a few bytes with the key ring."""


def live_to_document(live: LiveSettings, seal: Seal) -> dict[str, Any]:
    """A mapping of plain JSON values that `live_from_document` reads back as equal settings.

    Its keys are those of the configuration file, defaults included; sizes are bytes and durations seconds.
    """
    dumped = live.model_dump(mode="json", by_alias=True, exclude_none=True, context={"seal": seal})
    document: dict[str, Any] = _with_escapes(dumped)
    for place, text in live.references.items():
        _put_back(document, place, text)
    return document


def live_from_document(
    document: Mapping[str, Any],
    open_sealed: Seal,
    *,
    environ: Mapping[str, str],
    folder: FilePath,
) -> LiveSettings:
    """The settings a document holds; `environ` and `folder` are what its references mean on this node.

    Raises InvalidConfig (without lines) for a reference that has no value here, and for what this version refuses;
    what `open_sealed` raises passes through.
    """
    resolution = resolve(document, Surroundings(environ=environ, folder=folder))
    if resolution.unresolved:
        raise _invalid(resolution.unresolved.items())
    try:
        live = LiveSettings.model_validate(resolution.value, context={"folder": folder, "open": open_sealed})
    except ValidationError as error:
        raise _invalid(refusals(error, resolution.value)) from error
    return live.referring(resolution.references)


def _with_escapes(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_escapes(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_escapes(each) for each in value]
    return escaped(value) if isinstance(value, str) else value


def _put_back(document: Any, place: Path, text: str) -> None:
    holder = document
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = text


def _invalid(found: Any) -> InvalidConfig:
    return InvalidConfig(
        problems=tuple(ConfigProblem(path=path_text(place), line=None, message=why) for place, why in found)
    )
