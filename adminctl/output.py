"""Results on stdout: a table for people, or the message's own JSON for programs."""

import json
import shutil
import sys
import textwrap
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
    """Columns as wide as they need to be, one row a line; on a terminal too narrow for them, one field a line."""
    lines = [headings, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    if rows and sys.stdout.isatty() and sum(widths) + 2 * len(widths) - 2 > terminal_columns():
        _print_blocks(lines)
        return
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
    if not rows:
        click.echo("(none)", err=True)


def _print_blocks(lines: Sequence[Sequence[str]]) -> None:
    for index, row in enumerate(lines[1:]):
        if index:
            click.echo()
        print_fields([(heading.lower(), cell) for heading, cell in zip(lines[0], row, strict=True)])


def terminal_columns() -> int:
    return shutil.get_terminal_size().columns


def printable(text: str) -> str:
    """The text without control characters: what a server says must not steer the terminal."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text
    )


def print_fields(fields: Sequence[tuple[str, str]]) -> None:
    """One thing, a field a line; what is empty is left out. A terminal gets long values in lines that fit."""
    shown = [(name, printable(value)) for name, value in fields if value]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        lines = [value]
        if sys.stdout.isatty():
            lines = textwrap.wrap(value, max(20, terminal_columns() - width - 2), break_on_hyphens=False)
        click.echo(f"{name.ljust(width)}  {lines[0]}")
        for line in lines[1:]:
            click.echo(f"{' ' * width}  {line}")


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
