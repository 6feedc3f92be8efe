"""Writes docs/reference/configuration.md from the settings themselves, or checks that it is what they say.

The fields' docstrings are its text, so a field that changes takes its page along.
"""

import argparse
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import annotated_types
from pydantic import BeforeValidator
from pydantic.fields import FieldInfo

from engine.settings import LiveSettings, NodeSettings
from engine.settings import quantities as q
from engine.settings.secret import Secret
from engine.settings.section import Section
from engine.units import GIB, HOUR_S, KIB, MIB, MINUTE_S
from tools.field_docstrings import field_docstrings

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "configuration.md"

INTRODUCTION = """\
# Configuration

One YAML file. This page is written from the settings' own descriptions by `tools/configuration_reference.py`.

- `penstock validate --config FILE` names every problem with its line; `penstock serve` refuses to start with any.
- Unknown and duplicate keys, YAML tags, anchors and merge keys are refused. What is known but not built yet is refused
  by name.
- Any scalar value may hold references: `${env:NAME}` or short `${NAME}` for the environment, `${file:PATH}` for the
  text of a file without its last line end. They are replaced once; what comes out is not looked into again. `$${`
  stands for `${`. Inside `{…}` and `[…]` such a value stands in quotes. A secret is literal text or one reference, not
  both.
- Sizes are bytes or text such as `256KiB`, `64MiB`, `1GiB`; durations are seconds or text such as `500ms`, `10s`, `5m`,
  `1h`, `2d`. Relative paths start at the folder of the file.
- Secrets have at least 16 bytes; well-known ones are refused. The key file is refused unless its mode is 0600.

**Node settings** (`node`, `listen`, `database`, `processes`, `keys`) come from the file, always. Everything else is a
*generation* in the database, and applies while everything runs: `adminctl config reload` makes the file the next one
([Change the configuration](../howto/change-the-configuration.md)).
"""


def _validator_of(annotated: Any) -> Any:
    return annotated.__metadata__[0].func


_KINDS: dict[Any, str] = {
    q.read_size: "size",
    q.read_duration: "duration",
    _validator_of(q.Moment): "date and time",
    _validator_of(q.Count): "integer",
    _validator_of(q.Flag): "true or false",
    _validator_of(q.Fraction): "number",
    _validator_of(q.PathOnDisk): "path",
    _validator_of(q.AddressText): "host:port",
    _validator_of(q.SchemeText): "copies(n)",
    _validator_of(q.SealingText): "none, all",
}
_ABSENT = _validator_of(q.Absent)
_UNITS_BYTES = ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB"))
_UNITS_S = ((HOUR_S, "h"), (MINUTE_S, "m"))


def page() -> str:
    """The whole page as Markdown."""
    parts = [INTRODUCTION]
    for title, model, applies in (
        ("Node settings", NodeSettings, "A change needs a restart; `adminctl config diff` says of what."),
        ("Generation", LiveSettings, "A change makes a new generation, which applies live."),
    ):
        parts.append(f"# {title}\n\n{applies}\n")
        parts += _sections(model, "")
    return "\n".join(parts)


def _sections(model: type[Section], prefix: str) -> Iterator[str]:
    """The plain fields of a model as one table, then each of its sections."""
    plain: list[tuple[str, FieldInfo, str]] = []
    inner: list[tuple[str, list[type[Section]], FieldInfo, str]] = []
    absent: list[str] = []
    said = field_docstrings(model)
    for name, field in model.model_fields.items():
        key = field.alias or name
        models = list(_models(field.annotation))
        if _validator(field.metadata) is _ABSENT:
            absent.append(f"`{prefix}{key}`")
        elif models:
            inner.append((key, models, field, said[name]))
        else:
            plain.append((key, field, said[name]))
    if plain:
        yield "| key | form | default | meaning |\n|---|---|---|---|"
        for key, field, meaning in plain:
            yield f"| `{prefix}{key}` | {_form(field)} | {_default(field)} | {_one_line(meaning)} |"
        yield ""
    if absent:
        yield f"Not built yet: {', '.join(absent)}.\n"
    for key, models, field, meaning in inner:
        is_list = typing.get_origin(field.annotation) is tuple
        path = f"{prefix}{key}{'[]' if is_list else ''}"
        yield f"## {path}\n\n{_one_line(meaning)}\n"
        for each in models:
            if len(models) > 1:
                yield f"{_one_line(each.__doc__)}\n"
            yield from _sections(each, f"{path}.")


def _models(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
        return
    for argument in typing.get_args(annotation):
        yield from _models(argument)


def _validator(metadata: Any) -> Any:
    return next((each.func for each in metadata if isinstance(each, BeforeValidator)), None)


def _form(field: FieldInfo) -> str:
    return _form_of(field.annotation, tuple(field.metadata))


def _form_of(annotation: Any, metadata: tuple[Any, ...]) -> str:
    if typing.get_origin(annotation) is typing.Annotated:
        return _form_of(annotation.__origin__, (*annotation.__metadata__, *metadata))
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = [each for each in typing.get_args(annotation) if each is not type(None)]
        return _form_of(members[0], metadata)
    if typing.get_origin(annotation) is typing.Literal:
        return ", ".join(f"`{each}`" for each in typing.get_args(annotation))
    if typing.get_origin(annotation) is tuple:
        return f"list of {_form_of(typing.get_args(annotation)[0], ())}"
    if isinstance(annotation, type) and issubclass(annotation, Secret):
        return "secret"
    validators = [each.func for each in metadata if isinstance(each, BeforeValidator)]
    kind = next((_KINDS[each] for each in validators if each in _KINDS), "text")
    return kind + _range(metadata, kind)


def _range(metadata: tuple[Any, ...], kind: str) -> str:
    flat: list[Any] = []
    for each in metadata:
        flat += each.metadata if isinstance(each, FieldInfo) else [each]
    words = []
    for each in flat:
        if isinstance(each, annotated_types.Ge):
            words.append(f"from {_quantity(each.ge, kind)}")
        elif isinstance(each, annotated_types.Gt):
            words.append(f"above {_quantity(each.gt, kind)}")
        elif isinstance(each, annotated_types.Le):
            words.append(f"to {_quantity(each.le, kind)}")
    return f" {' '.join(words)}" if words else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.default
    if field.default_factory is not None or value in (None, (), ""):
        return "–"
    return f"`{_quantity(value, _form(field).split()[0])}`"


def _quantity(value: Any, kind: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    units = _UNITS_BYTES if kind == "size" else _UNITS_S if kind == "duration" else ()
    for unit, name in units:
        if value and value % unit == 0:
            return f"{int(value // unit)}{name}"
    if kind == "duration":
        return f"{value:g}s"
    return str(getattr(value, "value", value))


def _one_line(text: str | None) -> str:
    assert text, "every field has a docstring"
    return " ".join(text.split()).replace("|", "\\|")


def main() -> int:
    """Write the page, or with --check compare it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if the page is not up to date"
    )
    options = parser.parse_args()
    if not options.check:
        PAGE.write_text(page())
        return 0
    if PAGE.read_text() == page():
        return 0
    print(f"{PAGE} is out of date: run tools/configuration_reference.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
