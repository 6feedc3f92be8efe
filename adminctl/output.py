"""Results for people on stdout: tables, fields, and the words for sizes, times and states."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from adminctl.client import Connection

if TYPE_CHECKING:
    from google.protobuf.duration_pb2 import Duration
    from google.protobuf.timestamp_pb2 import Timestamp


class Table:
    """Columns as wide as they need to be, one row a line; on a terminal too narrow for them, one field a line.

    Rows come in pages; what has been shown is not held, so a later page may have wider columns.
    """

    def __init__(self, headings: Sequence[str], *, has_headings: bool = True) -> None:
        self._headings = headings
        self._has_headings = has_headings
        self._widths = [len(heading) if has_headings else 0 for heading in headings]
        self._is_begun = False
        self._is_in_blocks = False

    def add(self, rows: Sequence[Sequence[str]]) -> None:
        """Show some more rows."""
        lines = [[printable(cell) for cell in row] for row in rows]
        self._widths = [
            max([width, *(len(line[column]) for line in lines)]) for column, width in enumerate(self._widths)
        ]
        if not self._is_begun:
            total = sum(self._widths) + 2 * len(self._widths) - 2
            self._is_in_blocks = bool(rows) and sys.stdout.isatty() and total > terminal_columns()
            if self._has_headings and not self._is_in_blocks:
                self._line(self._headings)
        for line in lines:
            if self._is_in_blocks:
                self._block(line)
            else:
                self._line(line)
            self._is_begun = True
        self._is_begun = True

    def _line(self, cells: Sequence[str]) -> None:
        padded = (cell.ljust(width) for cell, width in zip(cells, self._widths, strict=True))
        click.echo("  ".join(padded).rstrip())

    def _block(self, cells: Sequence[str]) -> None:
        if self._is_begun:
            click.echo()
        print_fields([(heading.lower(), cell) for heading, cell in zip(self._headings, cells, strict=True)])


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A whole table; an empty one says so on stderr."""
    Table(headings, has_headings=_has_headings()).add(rows)
    if not rows:
        click.echo("(none)", err=True)


def _has_headings() -> bool:
    context = click.get_current_context(silent=True)
    connection = None if context is None else context.find_object(Connection)
    return connection is None or connection.flags.has_headings


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
    """`90 s`, `5 ms`, `36 h`, `30 days`; empty when zero."""
    seconds = span.ToNanoseconds() / 1e9
    if not seconds:
        return ""
    for unit, unit_s in (("days", 86_400.0), ("h", 3600.0)):
        if seconds >= 2 * unit_s:
            return f"{round(seconds / unit_s, 1):g} {unit}"
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


def word(enum_name: str, prefix: str) -> str:
    """`BACKEND_STATE_READ_ONLY` -> `read-only`."""
    return enum_name.removeprefix(prefix).lower().replace("_", "-")


def yes_no(value: bool) -> str:
    return "yes" if value else "no"
