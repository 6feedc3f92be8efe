"""Migrations: numbered files, applied once each, in order, and remembered by their digest."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.errors import SchemaTooNew, StartRefused

_NAME = re.compile(r"(\d{4})_(pre|post)_[a-z0-9_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One file. `digest` is its SHA-256."""

    number: int
    name: str
    text: str
    digest: bytes


def read_migrations(folder: Path) -> list[Migration]:
    """The files of a folder in order; raises ValueError for one that is none, or whose number is taken."""
    found: dict[int, Migration] = {}
    for path in sorted(folder.glob("*.sql")):
        match = _NAME.fullmatch(path.stem)
        if match is None or int(match[1]) in found:
            raise ValueError(f"{path.name} is no migration, or its number is taken")
        raw = path.read_bytes()
        number = int(match[1])
        found[number] = Migration(
            number=number, name=path.stem, text=raw.decode("utf-8"), digest=hashlib.sha256(raw).digest()
        )
    return list(found.values())


def missing_migrations(
    migrations: list[Migration], applied: Mapping[int, tuple[str, bytes]]
) -> list[Migration]:
    """What is still to be applied. `applied` has names and digests by number.

    Raises SchemaTooNew when the database knows a migration that the code does not, StartRefused when an applied file
    has changed since.
    """
    newer = sorted(applied.keys() - {each.number for each in migrations})
    if newer:
        raise SchemaTooNew(
            f"the database has migration {applied[newer[-1]][0]}, which this version does not know: "
            "it was written by a newer Penstock; start that one"
        )
    for each in migrations:
        if each.number in applied and applied[each.number][1] != each.digest:
            raise StartRefused(f"migration {each.name}.sql is not the one that was applied to this database")
    return [each for each in migrations if each.number not in applied]
