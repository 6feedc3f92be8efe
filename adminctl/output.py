"""Results on stdout: a table for people, or the message's own JSON for programs."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import click
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

FORMATS = ("table", "json")


def print_json(message: Message) -> None:
    """Exactly the message's JSON, field names as in the proto file, defaults included."""
    fields = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    click.echo(json.dumps(fields, indent=2, ensure_ascii=False))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as they need to be; plain text, so that a pipe gets what the eye sees."""
    lines = [headings, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
    if not rows:
        click.echo("(none)", err=True)


def print_fields(fields: Sequence[tuple[str, str]]) -> None:
    """One thing, a field a line; what is empty is left out."""
    shown = [(name, value) for name, value in fields if value]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        click.echo(f"{name.ljust(width)}  {value}")


def size(count_bytes: int) -> str:
    """1536 -> `1.5 KiB`."""
    value = float(count_bytes)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(value) < 1024 or unit == "TiB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError("unreachable")


def when(moment: Timestamp) -> str:
    """UTC to the second; empty when unset."""
    if not moment.seconds:
        return ""
    return datetime.fromtimestamp(moment.seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def how_long(span: Duration) -> str:
    """`90 s`, `5 ms`; empty when zero."""
    seconds = span.ToNanoseconds() / 1e9
    if not seconds:
        return ""
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


def word(enum_name: str, prefix: str) -> str:
    """`BACKEND_STATE_READ_ONLY` -> `read-only`."""
    return enum_name.removeprefix(prefix).lower().replace("_", "-")


def yes_no(value: bool) -> str:
    return "yes" if value else "no"
