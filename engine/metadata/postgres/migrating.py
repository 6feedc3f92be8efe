"""Bringing a PostgreSQL database to the schema of the code, all of it in one transaction under a table lock."""

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
_APPLIED = """
INSERT INTO schema_migrations VALUES (%s, %s, %s, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
"""


def migrate(target: PostgresTarget, folder: Path) -> list[str]:
    """Apply what is missing and return its names; a kill leaves all of it or nothing.

    Raises DatabaseUnavailable, StartRefused and SchemaTooNew, see `missing_migrations`.
    """
    try:
        with psycopg.connect(**connect_arguments(target)) as connection:
            _check_server(connection)
            return _migrate(connection, folder)
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(f"the metadata database cannot be opened: {_last_line(error)}") from error
    except psycopg.Error as error:
        raise StartRefused(f"the metadata database refuses its schema: {_last_line(error)}") from error


def _check_server(connection: psycopg.Connection) -> None:
    if connection.info.server_version < VERSION_MIN * 10_000:
        raise StartRefused(
            f"PostgreSQL {connection.info.server_version // 10_000} is too old, {VERSION_MIN} or newer is needed"
        )
    (encoding,) = connection.execute("SHOW server_encoding").fetchone() or ("",)
    if encoding != "UTF8":
        raise StartRefused(f"the database has encoding {encoding}: create it with ENCODING 'UTF8'")


def _migrate(connection: psycopg.Connection, folder: Path) -> list[str]:
    _create_table(connection)
    with connection.transaction():
        connection.execute("LOCK TABLE schema_migrations IN ACCESS EXCLUSIVE MODE")
        rows = connection.execute("SELECT number, name, digest FROM schema_migrations").fetchall()
        known = {int(number): (str(name), bytes(digest)) for number, name, digest in rows}
        missing = missing_migrations(read_migrations(folder), known)
        for each in missing:
            connection.execute(sql.SQL(each.text))
            connection.execute(_APPLIED, (each.number, each.name, each.digest))
    return [each.name for each in missing]


def _create_table(connection: psycopg.Connection) -> None:
    try:
        connection.execute(_CREATE)
    except (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateTable):
        # Two that look at the same moment both find none; the other one made it.
        pass


def _last_line(error: psycopg.Error) -> str:
    return str(error).strip().splitlines()[-1]
