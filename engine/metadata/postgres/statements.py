"""Statements as PostgreSQL takes them: numbered parameters instead of named ones, prepared once a connection."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from engine.metadata.statements import load_statements

# A name after a single colon; two colons are a cast.
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PostgresStatement:
    """One statement. `parameters` are names in the order of `$1`, `$2`, …"""

    name: str
    prepared_name: bytes
    text: bytes
    parameters: tuple[str, ...]


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
