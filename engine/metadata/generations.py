"""Generations of the configuration: validated states, numbered from 1, never changed."""

from dataclasses import dataclass
from typing import cast

from engine.metadata import journal
from engine.metadata.images import GENERATION
from engine.metadata.store import Row, Tx
from engine.records import Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One state of the configuration. `document` is canonical JSON, secrets as references or sealed.

    `comment` is what its author said of it, null for nothing.
    """

    generation: int
    document: str
    file_digest: bytes | None
    origin: Origin
    author: str
    created_at_us: int
    comment: str | None = None


def current(tx: Tx) -> Generation | None:
    """The newest generation; null before the first start."""
    return _read(tx.row_or_none("find_newest_generation", {}))


def find(tx: Tx, generation: int) -> Generation | None:
    """One generation by its number."""
    return _read(tx.row_or_none("find_generation", {"generation": generation}))


def list_generations(tx: Tx, *, before: int, count_max: int) -> list[Generation]:
    """Generations with a smaller number, the newest first."""
    rows = tx.rows("list_generations", {"before": before, "count_max": count_max})
    return [found for found in map(_read, rows) if found is not None]


def newest_number(tx: Tx) -> int:
    """The number of the newest generation; 0 before the first start."""
    (number,) = tx.row("find_newest_generation_number", {})
    return cast("int | None", number) or 0


def newest_of_file(tx: Tx) -> Generation | None:
    """The newest generation that was made from a configuration file."""
    return _read(tx.row_or_none("find_newest_generation_of_file", {}))


def commit_generation(
    tx: Tx,
    *,
    document: str,
    file_digest: bytes | None,
    origin: Origin,
    author: str,
    comment: str | None = None,
) -> int:
    """Number and keep a new state; its number."""
    newest = current(tx)
    generation = 1 if newest is None else newest.generation + 1
    tx.run(
        "insert_generation",
        {
            "generation": generation,
            "document": document,
            "file_digest": file_digest,
            "origin": origin.value,
            "author": author,
            "now_us": tx.now_us(),
            "comment": comment,
        },
    )
    journal.append_row(tx, GENERATION, {"generation": generation})
    tx.tell()
    return generation


def _read(row: Row | None) -> Generation | None:
    if row is None:
        return None
    generation, document, file_digest, origin, author, created_at_us, comment = row
    return Generation(
        generation=cast(int, generation),
        document=cast(str, document),
        file_digest=cast("bytes | None", file_digest),
        origin=Origin(origin),
        author=cast(str, author),
        created_at_us=cast(int, created_at_us),
        comment=cast("str | None", comment),
    )
