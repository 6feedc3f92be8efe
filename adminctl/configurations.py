"""How changes of the configuration, and processes that take them, are shown to people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import click
from penstock.admin.v1 import config_pb2, system_pb2

from adminctl.output import print_table, printable, word

VALUE_CHARS_MAX = 60


def print_changes(changes: Sequence[config_pb2.ConfigChange]) -> None:
    """A change a line: what, from what to what, and when it counts."""
    rows = [
        (
            each.path,
            _value(each, "old_value"),
            _value(each, "new_value"),
            word(config_pb2.ConfigEffect.Name(each.effect), "CONFIG_EFFECT_"),
        )
        for each in changes
    ]
    if rows:
        print_table(("WHAT", "WAS", "IS", "COUNTS"), rows)


def change_lines(changes: Sequence[config_pb2.ConfigChange]) -> list[str]:
    """The same in sentences, for a plan that is to be confirmed."""
    return [f"{each.path}: {_value(each, 'old_value')} -> {_value(each, 'new_value')}" for each in changes]


def print_sources(document: Any, sources: Sequence[config_pb2.ConfigSource]) -> None:
    """A value a line: where it stands, what it is, and who says so, a reference by its text."""
    from google.protobuf.json_format import MessageToDict

    values = dict(_leaves("", MessageToDict(document)))
    rows = [
        (
            each.path,
            _cut(_text(values.get(each.path))),
            each.reference or word(config_pb2.ConfigProvenance.Name(each.provenance), "CONFIG_PROVENANCE_"),
        )
        for each in sources
    ]
    print_table(("WHAT", "IS", "FROM"), rows)


def print_processes(processes: Sequence[config_pb2.ConfigProcess]) -> None:
    rows = [
        (
            each.node,
            word(system_pb2.Plane.Name(each.plane), "PLANE_"),
            str(each.pid),
            str(each.generation),
            word(config_pb2.ConfigProcessState.Name(each.state), "CONFIG_PROCESS_STATE_"),
            each.problem,
        )
        for each in processes
    ]
    print_table(("NODE", "PLANE", "PID", "GENERATION", "STATE", "PROBLEM"), rows)


def all_have_applied(processes: Sequence[config_pb2.ConfigProcess]) -> bool:
    return all(each.state == config_pb2.CONFIG_PROCESS_STATE_APPLIED for each in processes)


def say(text: str) -> None:
    """Talk beside the results."""
    click.echo(printable(text), err=True)


def _value(change: config_pb2.ConfigChange, field: Any) -> str:
    from google.protobuf.json_format import MessageToDict

    if not change.HasField(field):
        return "-"
    return _cut(_text(MessageToDict(getattr(change, field))))


def _text(value: Any) -> str:
    """Text as it stands, anything else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(with_whole_numbers(value), ensure_ascii=False, sort_keys=True)


def with_whole_numbers(value: Any) -> Any:
    """A document as files say it: the messages that carry one know no whole numbers."""
    if isinstance(value, dict):
        return {key: with_whole_numbers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [with_whole_numbers(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What stands where, whole sections and lists included; members of lists go by their names."""
    yield path, value
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _leaves(f"{path}.{key}" if path else key, each)
    elif isinstance(value, list):
        for each in value:
            if isinstance(each, dict) and "name" in each:
                yield from _leaves(f"{path}[{each['name']}]", each)


def _cut(text: str) -> str:
    return text if len(text) <= VALUE_CHARS_MAX else f"{text[: VALUE_CHARS_MAX - 1]}…"
