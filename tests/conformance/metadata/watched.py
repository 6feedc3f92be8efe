"""A store that watches whether a transaction which writes what images tell of leaves an image."""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeVar

from engine.metadata.images import KINDS, TABLES, Kind
from engine.metadata.sqlite.store import FOLDER
from engine.metadata.statements import load_statements
from engine.metadata.store import WRITE_TIMEOUT_S, Answer, Barrier, Gathered, Params, Row, Store, Tx

T = TypeVar("T")

_WRITES = re.compile(r"\b(?:INSERT (?:OR REPLACE )?INTO|UPDATE|DELETE FROM)\s+([a-z_]+)")

UNTOLD = {
    "delete_version": "the version was told to be gone when it was retired",
    "delete_version_segments": "as its version",
    "unset_all_current": "only a replay runs it",
    "restore_version_blob": "only a replay runs it",
    "note_time": "the time of the newest image is what was seen",
    "note_access_key_uses": "a use is noted again when it is repeated",
    "note_admin_token_uses": "as with access keys",
}
"""Statements on tables of images that leave none, and why."""

STATEMENTS = load_statements(FOLDER)
"""SQLite's; the other engine has the same ones."""


@cache
def tables_written(statement: str) -> frozenset[str]:
    """Tables of images that a statement writes."""
    return frozenset(_WRITES.findall(STATEMENTS[statement])) & TABLES.keys()


class RecordingTx:
    """A transaction that remembers which statements it was given, and of which kinds it left images."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._asked: list[tuple[str, Answer]] = []
        self.kinds: set[Kind | None] = set()

    @property
    def stripe_count(self) -> int:
        return self._tx.stripe_count

    @property
    def is_again(self) -> bool:
        return self._tx.is_again

    def ask(self, statement: str, params: Params) -> Answer:
        answer = self._tx.ask(statement, params)
        self._asked.append((statement, answer))
        if statement == "insert_journal":
            self.kinds.add(KINDS.get(str(params["kind"])))
        return answer

    def names(self) -> list[str]:
        """Statements in the order in which they were given."""
        return [statement for statement, _ in self._asked]

    def changed(self) -> set[str]:
        """Statements that changed rows."""
        return {
            statement for statement, answer in self._asked if tables_written(statement) and answer.count()
        }

    def lock(self, statement: str, params: Params) -> None:
        self._tx.lock(statement, params)

    def try_lock(self, statement: str, params: Params) -> Callable[[], bool]:
        return self._tx.try_lock(statement, params)

    def tell(self) -> None:
        self._tx.tell()

    def row(self, statement: str, params: Params) -> Row:
        return self.ask(statement, params).row()

    def row_or_none(self, statement: str, params: Params) -> Row | None:
        return self.ask(statement, params).row_or_none()

    def rows(self, statement: str, params: Params) -> list[Row]:
        return self.ask(statement, params).rows()

    def run(self, statement: str, params: Params) -> int:
        return self.ask(statement, params).count()

    def ask_many(self, statement: str, params: Sequence[Params]) -> Answer:
        return Gathered([self.ask(statement, each) for each in params])

    def now_us(self) -> int:
        return self._tx.now_us()


class WatchedStore:
    """A store that refuses a unit which wrote a row that images tell of and left none of a kind that tells of it."""

    def __init__(self, store: Store) -> None:
        self.inner = store
        self.seen: set[str] = set()
        self.close, self.read, self.look = store.close, store.read, store.look

    @property
    def waits_for_network(self) -> bool:
        return self.inner.waits_for_network

    def write(
        self,
        unit: Callable[[Tx], T],
        /,
        *,
        after: Sequence[Barrier] = (),
        timeout_s: float = WRITE_TIMEOUT_S,
        holds_locks: bool = False,
    ) -> T:
        def watched(tx: Tx) -> T:
            recording = RecordingTx(tx)
            result = unit(recording)
            changed = recording.changed()
            self.seen |= changed
            untold = [
                statement
                for statement in sorted(changed - UNTOLD.keys())
                if not all(recording.kinds & set(TABLES[table]) for table in tables_written(statement))
            ]
            assert untold == [], f"{untold} left no image of a kind that tells of their tables"
            return result

        return self.inner.write(watched, after=after, timeout_s=timeout_s, holds_locks=holds_locks)
