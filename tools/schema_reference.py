"""Writes docs/reference/schema.md from the migrations' comments, or checks that it is what they say.

Every column carries its meaning beside its definition, so a column that changes takes its page along.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference" / "schema.md"
MIGRATIONS = ROOT / "engine" / "metadata" / "sqlite" / "migrations"
POSTGRES_MIGRATIONS = ROOT / "engine" / "metadata" / "postgres" / "migrations"

INTRODUCTION = """\
# Metadata schema

The tables of the metadata database. This page is written from the comments of the migrations by
`tools/schema_reference.py`; the tables are not an interface, they change with every release.

Times are microseconds since the Unix epoch by the database's clock, sizes are bytes, ids of 16 bytes are UUIDv7. What
an index holds behind `WHERE` is all that it indexes.

Both engines have the same tables, columns and indexes, but for those of PostgreSQL alone, which are told. Rules and
checks are SQLite's; PostgreSQL's say the same in its types. There TEXT is in the order of its bytes (`COLLATE "C"`),
and the meanings are comments on the columns.
"""

_TYPES = "INTEGER|TEXT|BLOB|REAL|BIGINT|BYTEA|BOOLEAN|DOUBLE PRECISION|XID8"
_COLUMN = re.compile(rf"(?P<name>[a-z][a-z0-9_]*) (?P<type>{_TYPES})\b *(?P<rules>.*)")
_TABLE = re.compile(r"CREATE TABLE (?P<name>\w+) \($")
_ALTER = re.compile(r"ALTER TABLE (?P<table>\w+) ADD COLUMN (?P<column>.*?);? *-- (?P<meaning>.*)$")
_INDEX = re.compile(r"CREATE (?P<unique>UNIQUE )?INDEX (?P<name>\w+) ON (?P<table>\w+) (?P<what>.*);$")
_COMMENT = re.compile(r"COMMENT ON COLUMN \w+\.\w+ IS '.*';$")
_DROP_TABLE = re.compile(r"DROP TABLE (?P<name>\w+);$")
_DROP_INDEX = re.compile(r"DROP INDEX (?P<name>\w+);$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column; `meaning` is empty when the migration does not tell it."""

    name: str
    type: str
    rules: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An index beside the ones that keys and UNIQUE bring."""

    name: str
    is_unique: bool
    what: str


@dataclass(slots=True, kw_only=True)
class Table:
    """A table as all migrations together leave it."""

    name: str
    columns: list[Column] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    indexes: dict[str, Index] = field(default_factory=dict)


def read_tables(migrations: Path = MIGRATIONS) -> list[Table]:
    """The tables in the order they were made; raises ValueError for a line that is not understood."""
    tables: dict[str, Table] = {}
    for path in sorted(migrations.glob("*.sql")):
        lines = iter(path.read_text(encoding="utf-8").splitlines())
        for line in lines:
            if not line or line.startswith("--") or _COMMENT.fullmatch(line):
                continue
            if match := _TABLE.fullmatch(line):
                tables[match["name"]] = _read_table(match["name"], lines)
            elif match := _ALTER.fullmatch(line):
                tables[match["table"]].columns.append(_read_column(match["column"], match["meaning"]))
            elif match := _INDEX.fullmatch(line):
                tables[match["table"]].indexes[match["name"]] = Index(
                    name=match["name"], is_unique=match["unique"] is not None, what=match["what"]
                )
            elif match := _DROP_TABLE.fullmatch(line):
                del tables[match["name"]]
            elif match := _DROP_INDEX.fullmatch(line):
                for table in tables.values():
                    table.indexes.pop(match["name"], None)
            else:
                raise ValueError(f"{path.name}: not understood: {line}")
    return list(tables.values())


def _read_table(name: str, lines: Iterator[str]) -> Table:
    table = Table(name=name)
    for line in lines:
        if line.startswith(")"):
            return table
        definition, _, meaning = line.strip().partition("--")
        definition = definition.strip().removesuffix(",")
        if _COLUMN.fullmatch(definition):
            table.columns.append(_read_column(definition, meaning.strip()))
        else:
            table.rules.append(definition)
    raise ValueError(f"table {name} does not end")


def _read_column(definition: str, meaning: str) -> Column:
    match = _COLUMN.fullmatch(definition)
    if match is None:
        raise ValueError(f"not a column: {definition}")
    return Column(name=match["name"], type=match["type"], rules=match["rules"], meaning=meaning)


def page(tables: Sequence[Table] | None = None, postgres_tables: Sequence[Table] | None = None) -> str:
    """The whole page as Markdown; raises ValueError when PostgreSQL lacks a table or a column of SQLite."""
    theirs = read_tables(POSTGRES_MIGRATIONS) if postgres_tables is None else postgres_tables
    tables_of = {table.name: table for table in theirs}
    parts = [INTRODUCTION]
    for table in read_tables() if tables is None else tables:
        twin = tables_of.get(table.name, Table(name=table.name))
        others = {column.name: column for column in twin.columns}
        parts.append(f"## {table.name}\n")
        parts.append("| column | SQLite | PostgreSQL | rules | meaning |\n|---|---|---|---|---|")
        for column in table.columns:
            other = others.pop(column.name, None)
            if other is None:
                raise ValueError(f"PostgreSQL has no {table.name}.{column.name}")
            parts.append(_line(column, sqlite_type=column.type, postgres_type=other.type))
        parts += [_line(each, sqlite_type="", postgres_type=each.type) for each in others.values()]
        parts.append("")
        notes = [f"- `{rule}`" for rule in table.rules]
        notes += [_note(index) for index in table.indexes.values()]
        notes += [
            f"{_note(index)}, on PostgreSQL alone"
            for index in twin.indexes.values()
            if index.name not in table.indexes
        ]
        if notes:
            parts.append("\n".join(notes) + "\n")
    return "\n".join(parts)


def _line(column: Column, *, sqlite_type: str, postgres_type: str) -> str:
    rules = f"`{_cell(column.rules)}`" if column.rules else ""
    return f"| `{column.name}` | {sqlite_type} | {postgres_type} | {rules} | {_cell(column.meaning)} |"


def _note(index: Index) -> str:
    kind = "Unique index" if index.is_unique else "Index"
    return f"- {kind} `{index.name}` on `{index.what}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


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
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == page():
        return 0
    print(f"{PAGE} is out of date: run tools/schema_reference.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
