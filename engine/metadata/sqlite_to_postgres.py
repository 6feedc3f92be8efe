"""Moving a deployment's metadata from SQLite to PostgreSQL: copied at rest, compared row by row, committed whole."""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from engine.errors import DatabaseUnavailable, StartRefused
from engine.metadata import quota
from engine.metadata.postgres.lending import connect_arguments
from engine.metadata.postgres.migrating import migrate as migrate_postgres
from engine.metadata.postgres.store import FOLDER as POSTGRES_FOLDER
from engine.metadata.postgres.store import PostgresStore
from engine.metadata.postgres.target import PostgresTarget
from engine.metadata.sqlite.connections import open_connection
from engine.metadata.sqlite.doubt import Doubt
from engine.metadata.sqlite.migrating import migrate as migrate_sqlite
from engine.metadata.sqlite.store import FOLDER as SQLITE_FOLDER
from engine.metadata.store import SqlValue

BATCH_COUNT = 1000
MOVED_SUFFIX = "-moved"
"""What the name of a database ends with once its rows are served from elsewhere."""

_ACCOUNTS = "backend_quotas"
_OWN_TABLES = frozenset({"schema_migrations", "sqlite_sequence"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Rows copied and compared, by table, and where the old database lies now."""

    row_counts: dict[str, int]
    left_at: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """A table of both databases, its columns in one order, its primary key."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    flags: frozenset[int]
    """Indexes of columns that are integers in SQLite and booleans in PostgreSQL."""


def move(source: Path, target: PostgresTarget, tell: Callable[[str], None]) -> Moved:
    """Copy every row, compare both sides, commit, and put the old database out of reach under another name.

    Nothing may use either database meanwhile. A move that was interrupted is begun again: PostgreSQL holds all rows or
    none. Raises StartRefused when the source is in use, in doubt or missing, when the target holds a deployment
    already, or when the two differ after the copy; DatabaseUnavailable when one of them cannot be reached.
    """
    if not source.exists():
        raise StartRefused(f"there is no database {source}")
    if Doubt(source).is_there:
        raise StartRefused(
            f"{source} was not stopped cleanly: start and stop its Penstock once, then move it"
        )
    migrate_postgres(target, POSTGRES_FOLDER / "migrations")
    with _at_rest(source), closing(open_connection(source, is_reader=False)) as origin:
        migrate_sqlite(origin, SQLITE_FOLDER / "migrations", source.with_name(source.name + "-migration"))
        try:
            with psycopg.connect(**{**connect_arguments(target), "autocommit": False}) as connection:
                counts = _copy(origin, connection, tell)
        except psycopg.OperationalError as error:
            raise DatabaseUnavailable(f"PostgreSQL went away, nothing was moved: {error}") from error
        except psycopg.Error as error:
            raise StartRefused(f"PostgreSQL refused the rows, nothing was moved: {error}") from error
        # Emptied into the file itself, so that the one file is all of it.
        origin.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        _share_out(target)
        # Still under the mark: a process that started in between would write what is put away with the file.
        return Moved(row_counts=counts, left_at=_put_away(source))


@contextmanager
def _at_rest(source: Path) -> Iterator[None]:
    """Hold the mark that every process which uses the database shares."""
    live_fd = os.open(source.with_name(source.name + "-live"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(live_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartRefused(f"{source} is in use: stop `penstock serve` first") from None
        if os.fstat(live_fd).st_size:
            raise StartRefused(
                f"{source} was not stopped cleanly: start and stop its Penstock once, then move it"
            )
        yield
    finally:
        os.close(live_fd)


def _copy(
    origin: apsw.Connection, connection: psycopg.Connection[TupleRow], tell: Callable[[str], None]
) -> dict[str, int]:
    tables = _tables(origin, connection)
    # Also keeps every process out until the commit.
    names = sql.SQL(", ").join(sql.Identifier(each.name) for each in tables)
    connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(names))
    is_again = _is_moved(origin, connection)
    counts: dict[str, int] = {}
    for each in tables:
        if is_again:
            tell(f"{each.name}: copied before")
        else:
            _refuse_rows(connection, each)
            tell(f"{each.name}: {_copy_table(origin, connection, each)} rows copied")
    for each in tables:
        # Shared out among stripes since the copy.
        if not (is_again and each.name == _ACCOUNTS):
            counts[each.name] = _compare(origin, connection, each)
    _set_sequences(origin, connection)
    tell("every row was compared")
    return counts


def _is_moved(origin: apsw.Connection, connection: psycopg.Connection[TupleRow]) -> bool:
    """Whether a move of this deployment was committed before, and interrupted on its way to the end."""
    here = [bytes(row[0]) for row in origin.execute("SELECT deployment_id FROM deployment")]
    there = [bytes(row[0]) for row in connection.execute("SELECT deployment_id FROM deployment")]
    if not here:
        raise StartRefused("there is no deployment to move: start with PostgreSQL at once")
    return here == there


def _refuse_rows(connection: psycopg.Connection[TupleRow], table: _Table) -> None:
    found = connection.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(sql.Identifier(table.name)))
    if found.fetchone() is not None:
        raise StartRefused(
            f"the PostgreSQL database is not empty: table {table.name} has rows. Move into a new one"
        )


def _tables(origin: apsw.Connection, connection: psycopg.Connection[TupleRow]) -> list[_Table]:
    """All tables, those that others refer to first."""
    names = {
        str(row[0]) for row in origin.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    } - _OWN_TABLES
    made: dict[str, _Table] = {}
    left = set(names)
    while left:
        free = [name for name in sorted(left) if not (_referred(origin, name) & left - {name})]
        if not free:
            raise AssertionError(f"tables refer to each other in a circle: {sorted(left)}")
        for name in free:
            made[name] = _table(origin, connection, name)
            left.discard(name)
    return list(made.values())


def _referred(origin: apsw.Connection, table: str) -> set[str]:
    return {str(row[0]) for row in origin.execute('SELECT "table" FROM pragma_foreign_key_list(?)', (table,))}


def _table(origin: apsw.Connection, connection: psycopg.Connection[TupleRow], name: str) -> _Table:
    info = list(origin.execute("SELECT name, pk FROM pragma_table_info(?) ORDER BY cid", (name,)))
    columns = tuple(str(column) for column, _ in info)
    key = tuple(str(column) for column, place in sorted(info, key=lambda row: row[1]) if place)
    types: dict[str, str] = dict(
        connection.execute(
            "SELECT column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = current_schema() AND table_name = %s",
            (name,),
        ).fetchall()
    )
    missing = [column for column in columns if column not in types]
    if missing:
        raise AssertionError(f"PostgreSQL's {name} has no columns {missing}")
    flags = frozenset(index for index, column in enumerate(columns) if types[column] == "boolean")
    return _Table(name=name, columns=columns, key=key, flags=flags)


def _rows(origin: apsw.Connection, table: _Table) -> Iterator[tuple[SqlValue, ...]]:
    """In the order of the primary key."""
    chosen = ", ".join(f'"{column}"' for column in table.columns)
    order = ", ".join(f'"{column}"' for column in table.key)
    for row in origin.execute(f'SELECT {chosen} FROM "{table.name}" ORDER BY {order}'):
        if table.flags:
            yield tuple(bool(value) if index in table.flags else value for index, value in enumerate(row))
        else:
            yield tuple(row)


def _copy_table(origin: apsw.Connection, connection: psycopg.Connection[TupleRow], table: _Table) -> int:
    command = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, table.columns))
    )
    count = 0
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        for row in _rows(origin, table):
            copy.write_row(row)
            count += 1
    return count


def _compare(origin: apsw.Connection, connection: psycopg.Connection[TupleRow], table: _Table) -> int:
    """The count of rows, which are the same on both sides; raises StartRefused."""
    count = 0
    query = sql.SQL("SELECT {} FROM {} ORDER BY {}").format(
        sql.SQL(", ").join(map(sql.Identifier, table.columns)),
        sql.Identifier(table.name),
        sql.SQL(", ").join(map(sql.Identifier, table.key)),
    )
    with connection.cursor(name="compared") as cursor:
        cursor.itersize = BATCH_COUNT
        cursor.execute(query)
        ours = _rows(origin, table)
        for row in cursor:
            expected = next(ours, None)
            if expected is None or tuple(row) != expected:
                raise StartRefused(
                    f"table {table.name} differs in PostgreSQL; the SQLite database stays where it is"
                )
            count += 1
        if next(ours, None) is not None:
            raise StartRefused(
                f"table {table.name} lacks rows in PostgreSQL; the SQLite database stays where it is"
            )
    return count


def _set_sequences(origin: apsw.Connection, connection: psycopg.Connection[TupleRow]) -> None:
    """No number is given twice: sequences go on where SQLite's stood, also behind rows that are gone."""
    for table, last in origin.execute("SELECT name, seq FROM sqlite_sequence"):
        columns: Sequence[tuple[Any, ...]] = connection.execute(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_schema = current_schema() AND table_name = %s AND is_identity = 'YES'",
            (table,),
        ).fetchall()
        for (column,) in columns:
            if last:
                connection.execute("SELECT setval(pg_get_serial_sequence(%s, %s), %s)", (table, column, last))


def _share_out(target: PostgresTarget) -> None:
    """Accounts have one stripe on SQLite; here they have several, so that writers need not wait for each other."""
    store = PostgresStore(target)
    try:
        for subject, limit_bytes in store.read(quota.list_limits):
            store.write(partial(quota.restripe, subject=subject, limit_bytes=limit_bytes))
    finally:
        store.close()


def _put_away(source: Path) -> Path:
    left_at = source.with_name(source.name + MOVED_SUFFIX)
    os.rename(source, left_at)
    folder_fd = os.open(source.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder_fd)
    finally:
        os.close(folder_fd)
    return left_at
