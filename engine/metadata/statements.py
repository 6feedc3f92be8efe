"""Statements live in `.sql` files, one each, named after what they do; each engine has a folder of the same names."""

from functools import cache
from pathlib import Path


class Statements(dict[str, str]):
    """Name to SQL text of one engine. An unknown name is a bug of ours and says so."""

    def __missing__(self, name: str) -> str:
        raise LookupError(f"no statement is named {name!r}")


@cache
def load_statements(folder: Path) -> Statements:
    """Read every `.sql` file of a folder, once in a process.

    Raises ValueError for one without a comment or with two statements.
    """
    statements = Statements()
    for path in sorted(folder.glob("*.sql")):
        text = path.read_text(encoding="utf-8")
        if not text.startswith(f"-- {path.stem}:"):
            raise ValueError(f"{path.name} does not begin with `-- {path.stem}: what it does`")
        code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
        if ";" in code:
            raise ValueError(f"{path.name} holds more than one statement, or ends it with a semicolon")
        statements[path.stem] = code.strip()
    return statements
