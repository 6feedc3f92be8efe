"""Messages for programs, as JSON, JSON lines, YAML, names, CSV or a template; lists page by page, never whole.

A *list* is an answer with `next_page_token`; its items are written one by one as its pages come. Of any other answer
the item is its one field that is a list of messages, else its one message, else the answer itself.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from adminctl.formats import Format
from adminctl.refusals import Refused

PAGE_TOKEN = "next_page_token"
CSV_DEPTH_MAX = 3
FORMULA_STARTS = frozenset("=+-@\t\r\n＝＋－＠")
"""What makes a spreadsheet take a cell for a formula."""

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?\Z")
_PLACE = re.compile(r"\{\{|\}\}|\{([A-Za-z0-9_.]*)\}|\\n|\\t|\\\\")

Fields = dict[str, Any]
AnyDescriptor = Any
AnyField = Any
"""Descriptors of messages and their fields; which implementation's they are, protobuf's stubs do not agree on."""


def write_message(message: Message, format_: Format, *, has_headings: bool) -> None:
    """One whole message on stdout."""
    write_pages(iter([message]), format_, has_headings=has_headings)


def write_pages(pages: Iterator[Message], format_: Format, *, has_headings: bool) -> None:
    """Answers that are the pages of one list, or a single answer, on stdout. Raises Refused for what cannot be said."""
    first = next(pages)
    kind = items_of(first)
    is_list = PAGE_TOKEN in first.DESCRIPTOR.fields_by_name and kind is not None
    items = chain.from_iterable(_items(page, kind) for page in chain([first], pages))
    if format_.name == "json":
        _put(_json_of_list(chain([first], pages), kind) if is_list and kind else [_json(fields_of(first), 2)])
    elif format_.name == "yaml":
        _put(_yaml_of_list(chain([first], pages), kind) if is_list and kind else [_yaml(fields_of(first))])
    elif format_.name == "jsonl":
        _put(_json(fields_of(each)) for each in (items if is_list else [first]))
    elif format_.name == "name":
        _put(_name(fields_of(each)) for each in items)
    elif format_.name == "csv":
        _write_csv(items, first.DESCRIPTOR if kind is None else _message_type(kind), has_headings)
    else:
        _put(_filled(format_.template, fields_of(each)) for each in items)


def write_line(message: Message) -> None:
    """One message of a stream as a line of JSON, at once."""
    _put([_json(fields_of(message))])
    sys.stdout.flush()


def fields_of(message: Message) -> Fields:
    """The message's JSON, field names as in the proto file, defaults included."""
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def items_of(answer: Message) -> AnyField | None:
    """The field that holds what an answer is about; null when that is the answer itself."""
    descriptor = answer.DESCRIPTOR
    of_messages = [each for each in descriptor.fields if _is_message(each)]
    lists = [each for each in of_messages if each.is_repeated]
    if len(lists) == 1 or (lists and PAGE_TOKEN in descriptor.fields_by_name):
        return lists[0]
    singles = [each for each in of_messages if not each.is_repeated]
    return singles[0] if not lists and len(descriptor.fields) == 1 and singles else None


def _is_message(field: AnyField) -> bool:
    kind = field.message_type
    return kind is not None and not kind.full_name.startswith("google.protobuf.") and not _is_map(field)


def _is_map(field: AnyField) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _message_type(field: AnyField) -> AnyDescriptor:
    assert field.message_type is not None
    return field.message_type


def _items(message: Message, kind: AnyField | None) -> Iterable[Message]:
    if kind is None:
        return [message]
    value: Any = getattr(message, kind.name)
    return value if kind.is_repeated else [value]


def _put(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")


# --- JSON and YAML ---


def _json(fields: object, indent: int | None = None) -> str:
    """What a terminal could take for an order is escaped, as any JSON may be."""
    text = json.dumps(fields, indent=indent, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text)


def _json_of_list(pages: Iterable[Message], kind: AnyField) -> Iterator[str]:
    """The lines of one object, as if the pages had been one answer."""
    rest: Fields = {}
    yield "{"
    before = f'  "{kind.name}": ['
    count = 0
    for page in pages:
        for item in _items(page, kind):
            yield before
            before = "    " + _json(fields_of(item), 2).replace("\n", "\n    ") + ","
            count += 1
        rest = _without_items(page, kind)
    yield before.removesuffix(",") + ("]" if not count else "\n  ]") + ","
    yield _json(rest, 2).removeprefix("{\n")


def _yaml_of_list(pages: Iterable[Message], kind: AnyField) -> Iterator[str]:
    rest: Fields = {}
    is_empty = True
    for page in pages:
        for item in _items(page, kind):
            if is_empty:
                yield f"{kind.name}:"
            is_empty = False
            yield _yaml([fields_of(item)])
        rest = _without_items(page, kind)
    if is_empty:
        yield f"{kind.name}: []"
    yield _yaml(rest)


def _without_items(page: Message, kind: AnyField) -> Fields:
    shell = type(page)()
    shell.CopyFrom(page)
    shell.ClearField(kind.name)
    fields = fields_of(shell)
    fields.pop(kind.name, None)
    return fields


def _yaml(value: object) -> str:
    from io import StringIO

    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    text = StringIO()
    yaml.dump(value, text)
    return text.getvalue().removesuffix("\n")


# --- names and templates ---


def _name(fields: Fields) -> str:
    name = fields.get("name")
    if not isinstance(name, str):
        raise Refused("-o name: what this command shows has no names")
    return name


def _filled(template: str, fields: Fields) -> str:
    """`{capacity.used_bytes}` is a field by its path, `{{` a brace, `\\n` and `\\t` what they mean elsewhere."""

    def of(match: re.Match[str]) -> str:
        literal = {"{{": "{", "}}": "}", "\\n": "\n", "\\t": "\t", "\\\\": "\\"}.get(match[0])
        return literal if literal is not None else _cell(_at(fields, match[1]))

    return _PLACE.sub(of, template)


def _at(fields: Fields, path: str) -> object:
    value: Any = fields
    for part in path.split(".") if path else []:
        if isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, Mapping) and value is not fields:
            return ""
        else:
            raise Refused(f"-o template: there is no {path!r} in {_json(fields)[:200]}")
    return value


def _cell(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else _json(value)


# --- CSV ---


def _write_csv(items: Iterable[Message], kind: AnyDescriptor, has_headings: bool) -> None:
    columns = list(_columns(kind))
    # All cells in quotes: this module forgets them around a lone carriage return.
    writer = csv.writer(sys.stdout, lineterminator="\n", quoting=csv.QUOTE_ALL)
    if has_headings:
        writer.writerow(".".join(path) for path in columns)
    for item in items:
        fields = fields_of(item)
        writer.writerow(_harmless(_cell(_under(fields, path))) for path in columns)


def _columns(kind: AnyDescriptor, above: Sequence[str] = ()) -> Iterator[Sequence[str]]:
    """A column for every field; messages within are taken apart, lists stay JSON."""
    for field in kind.fields:
        path = (*above, field.name)
        if _is_message(field) and not field.is_repeated and len(path) <= CSV_DEPTH_MAX:
            yield from _columns(_message_type(field), path)
        else:
            yield path


def _under(fields: Fields, path: Sequence[str]) -> object:
    value: Any = fields
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _harmless(cell: str) -> str:
    """A cell that a spreadsheet would take for a formula gets the apostrophe that makes it text."""
    if cell[:1] in FORMULA_STARTS and cell and not _NUMBER.match(cell):
        return f"'{cell}"
    return cell
