"""Both engines have the same statements, and PostgreSQL takes its own: with types that are read, and by its indexes."""

import re
from collections.abc import Iterator, Mapping

import psycopg
import pytest

import engine.metadata.postgres.store as postgres
import engine.metadata.sqlite.store as sqlite
from engine.metadata.postgres.lending import connect_arguments
from engine.metadata.postgres.statements import PostgresStatement, load_postgres_statements
from engine.metadata.statements import load_statements
from tests.support.postgres import shared_server
from tools.schema_reference import read_tables

POSTGRES: Mapping[str, PostgresStatement] = load_postgres_statements(postgres.FOLDER)
SQLITE = load_statements(sqlite.FOLDER)
READABLE_TYPES = {16: "bool", 17: "bytea", 20: "bigint", 23: "integer", 25: "text", 701: "double precision"}
SUPPLIED = {"insert_journal": {"unit_id"}}
"""Parameters that the transaction gives itself."""

HOT = (
    "find_current_version",
    "find_for_write",
    "find_placement",
    "list_current_versions",
    "list_current_versions_from",
    "take_quota",
    "next_retired",
    "is_blob_referenced",
    "delete_blob_locations",
    "list_version_slices",
    "find_access_key",
    "retire_version",
)


@pytest.fixture(scope="module")
def connection() -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    """As a store's own connections are."""
    name = shared_server().create_database()
    with psycopg.connect(**connect_arguments(shared_server().target(name))) as each:
        yield each
    shared_server().drop_database(name)


def test_both_engines_have_the_same_statements_but_for_locks() -> None:
    only_postgres = POSTGRES.keys() - SQLITE.keys()

    assert SQLITE.keys() - POSTGRES.keys() == set()
    assert [name for name in only_postgres if not name.startswith("lock_")] == []


@pytest.mark.parametrize("name", sorted(SQLITE))
def test_both_engines_take_the_same_parameters(name: str) -> None:
    wanted = set(re.findall(r"(?<![:\w]):([a-z_][a-z0-9_]*)", SQLITE[name]))

    assert set(POSTGRES[name].parameters) - SUPPLIED.get(name, set()) == wanted


@pytest.mark.parametrize("name", sorted(POSTGRES))
def test_the_server_takes_a_statement_and_gives_types_that_are_read(
    connection: "psycopg.Connection[tuple[object, ...]]", name: str
) -> None:
    pgconn = connection.pgconn
    pgconn.nonblocking = 0

    prepared = pgconn.prepare(POSTGRES[name].prepared_name, POSTGRES[name].text)

    assert prepared.status == psycopg.pq.ExecStatus.COMMAND_OK, prepared.error_message.decode()
    described = pgconn.describe_prepared(POSTGRES[name].prepared_name)
    types = {described.ftype(index) for index in range(described.nfields)}
    assert types <= READABLE_TYPES.keys()


@pytest.mark.parametrize("name", HOT)
def test_a_hot_statement_is_served_by_indexes(
    connection: "psycopg.Connection[tuple[object, ...]]", name: str
) -> None:
    statement = POSTGRES[name]
    text = statement.text.decode()
    with connection.transaction():
        connection.execute(f"PREPARE explained AS {text}".encode())
        values = ", ".join("NULL" for _ in statement.parameters)
        given = f"({values})" if values else ""
        plan = connection.execute(f"EXPLAIN (FORMAT TEXT) EXECUTE explained{given}".encode()).fetchall()
        connection.execute("DEALLOCATE explained")

    lines = [str(line) for (line,) in plan]
    assert not [line for line in lines if "Seq Scan" in line], "\n".join(lines)
    # Pieces of one blob are put in order: there are a few of them.
    if name != "find_current_version":
        assert not [line for line in lines if "Sort" in line], "\n".join(lines)


ONLY_POSTGRES = {("journal", "transaction_id"), ("journal", "unit_id")}


def inline_comments() -> dict[tuple[str, str], str]:
    """Meanings beside the columns in PostgreSQL's first migration, by table and column."""
    inline: dict[tuple[str, str], str] = {}
    table = ""
    for line in (postgres.FOLDER / "migrations" / "0001_pre_initial.sql").read_text().splitlines():
        if begun := re.match(r"CREATE TABLE (\w+) \(", line):
            table = begun[1]
        elif found := re.match(r"    ([a-z]\w*) [A-Z].*?-- (.*)$", line):
            inline[table, found[1]] = found[2]

    return inline


def test_both_engines_have_the_same_columns_with_the_same_meanings() -> None:
    ours = {key: text for key, text in inline_comments().items() if key not in ONLY_POSTGRES}

    theirs = {
        (table.name, column.name): column.meaning for table in read_tables() for column in table.columns
    }
    assert ours == theirs


def test_every_column_says_what_it_means(
    connection: "psycopg.Connection[tuple[object, ...]]",
) -> None:
    inline = inline_comments()
    rows = connection.execute(
        "SELECT c.relname, a.attname, col_description(c.oid, a.attnum) FROM pg_attribute AS a"
        " JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE n.nspname = 'public' AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped"
        " AND c.relname <> 'schema_migrations'"
    ).fetchall()
    assert {(table, column): comment for table, column, comment in rows} == inline
