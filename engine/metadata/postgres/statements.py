"""Statements as PostgreSQL takes them: numbered parameters instead of named ones, prepared once a connection."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from engine.metadata.statements import load_statements

ENTRY_COUNT_MAX = 16
"""Entries of one statement."""

# A name after a single colon; two colons are a cast.
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")
_NUMBER = re.compile(rb"\$(\d+)")
# The row of an INSERT, or the values of which a column is to have one.
_LIST = re.compile(rb"\bVALUES (\([^()]*\))|= ANY \(ARRAY\[([^\[\]]+)\]")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PostgresStatement:
    """One statement, for `entry_count` entries: `parameters` are the names of each in the order of `$1`, `$2`, …"""

    name: str
    prepared_name: bytes
    text: bytes
    parameters: tuple[str, ...]
    entry_count: int = 1

    def widened(self, entry_count: int) -> "PostgresStatement":
        """One that does for so many entries at once what this one does for each; for fewer where that is none."""
        return _widened(self, min(entry_count, ENTRY_COUNT_MAX))


@cache
def _widened(statement: PostgresStatement, entry_count: int) -> PostgresStatement:
    """The list of the statement as often as there are entries, with numbers of their own."""
    text = statement.text
    found = _LIST.search(text)
    if entry_count == 1 or found is None or b"DO UPDATE" in text:
        # Where rows may meet others, two of one statement may not meet the same.
        return statement
    if b"$" in text[: found.start()] + text[found.end() :]:
        return statement

    entry, (start, stop) = found[found.lastindex or 0], found.span(found.lastindex or 0)

    def numbered(index: int) -> bytes:
        ahead = index * len(statement.parameters)
        return _NUMBER.sub(lambda each: b"$%d" % (int(each[1]) + ahead), entry)

    entries = b", ".join(numbered(index) for index in range(entry_count))
    return PostgresStatement(
        name=statement.name,
        prepared_name=b"%s_x%d" % (statement.prepared_name, entry_count),
        text=text[:start] + entries + text[stop:],
        parameters=statement.parameters,
        entry_count=entry_count,
    )


def read_statement(name: str, text: str) -> PostgresStatement:
    """Number the parameters of a statement; one that stands twice keeps its number."""
    numbers: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        return f"${numbers.setdefault(match[1], len(numbers) + 1)}"

    numbered = _PARAMETER.sub(number, text)
    return PostgresStatement(
        name=name, prepared_name=name.encode(), text=numbered.encode(), parameters=tuple(numbers)
    )


class PostgresStatements(dict[str, PostgresStatement]):
    """Name to statement. An unknown name is a bug of ours and says so."""

    def __missing__(self, name: str) -> PostgresStatement:
        raise LookupError(f"no statement is named {name!r}")


@cache
def load_postgres_statements(folder: Path) -> Mapping[str, PostgresStatement]:
    """Every statement of a folder."""
    return PostgresStatements(
        (name, read_statement(name, text)) for name, text in load_statements(folder).items()
    )
