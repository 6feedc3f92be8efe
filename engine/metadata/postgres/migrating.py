"""Bringing a PostgreSQL database to the schema of the code, all of it in one transaction under a table lock."""

from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from engine.errors import DatabaseUnavailable, StartRefused
from engine.metadata.migrations import missing_migrations, read_migrations
from engine.metadata.postgres.lending import connect_arguments
from engine.metadata.postgres.target import PostgresTarget

VERSION_MIN = 14
_CREATE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number BIGINT PRIMARY KEY,    -- number of the file
    name TEXT NOT NULL,           -- name of the file without its ending
    digest BYTEA NOT NULL,        -- SHA-256 of the file
    applied_at_us BIGINT NOT NULL -- when
)
"""
_FACTS = """
SELECT current_setting('server_version'),
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - COALESCE(current_setting('reserved_connections', TRUE)::int, 0)
"""
_APPLIED = """
INSERT INTO schema_migrations VALUES (%s, %s, %s, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """`version` is for people. `connection_count_max` is what the server lets ordinary roles have in all."""

    version: str
    connection_count_max: int


def migrate(target: PostgresTarget, folder: Path) -> ServerFacts:
    """Apply what is missing; a kill leaves all of it or nothing. What the server says of itself.

    Raises DatabaseUnavailable, StartRefused and SchemaTooNew, see `missing_migrations`.
    """
    try:
        with psycopg.connect(**connect_arguments(target)) as connection:
            facts = _look_at_server(connection)
            _migrate(connection, folder)
            return facts
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(f"the metadata database cannot be opened: {_last_line(error)}") from error
    except psycopg.Error as error:
        raise StartRefused(f"the metadata database refuses its schema: {_last_line(error)}") from error


def _look_at_server(connection: psycopg.Connection) -> ServerFacts:
    if connection.info.server_version < VERSION_MIN * 10_000:
        raise StartRefused(
            f"PostgreSQL {connection.info.server_version // 10_000} is too old, {VERSION_MIN} or newer is needed"
        )
    (encoding,) = connection.execute("SHOW server_encoding").fetchone() or ("",)
    if encoding != "UTF8":
        raise StartRefused(f"the database has encoding {encoding}: create it with ENCODING 'UTF8'")
    row = connection.execute(_FACTS).fetchone()
    assert row is not None
    return ServerFacts(version=f"PostgreSQL {row[0]}", connection_count_max=int(row[1]))


def _migrate(connection: psycopg.Connection, folder: Path) -> None:
    _create_table(connection)
    with connection.transaction():
        connection.execute("LOCK TABLE schema_migrations IN ACCESS EXCLUSIVE MODE")
        rows = connection.execute("SELECT number, name, digest FROM schema_migrations").fetchall()
        known = {int(number): (str(name), bytes(digest)) for number, name, digest in rows}
        missing = missing_migrations(read_migrations(folder), known)
        for each in missing:
            connection.execute(sql.SQL(each.text))
            connection.execute(_APPLIED, (each.number, each.name, each.digest))


def _create_table(connection: psycopg.Connection) -> None:
    try:
        connection.execute(_CREATE)
    except (
        psycopg.errors.UniqueViolation,
        psycopg.errors.DuplicateTable,
        psycopg.errors.DuplicateObject,
    ):
        # Two that look at the same moment both find none; the other one made it.
        pass


def _last_line(error: psycopg.Error) -> str:
    return str(error).strip().splitlines()[-1]
