"""Both engines have the same statements, and PostgreSQL takes its own: with types that are read, and by its indexes."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

import psycopg
import pytest

import engine.metadata.postgres.store as postgres
import engine.metadata.sqlite.store as sqlite
from engine.metadata.postgres.lending import connect_arguments
from engine.metadata.postgres.statements import (
    ENTRY_COUNT_MAX,
    PostgresStatement,
    load_postgres_statements,
    read_statement,
)
from engine.metadata.statements import load_statements
from tests.support.postgres import shared_server
from tools.schema_reference import POSTGRES_MIGRATIONS, read_tables

POSTGRES: Mapping[str, PostgresStatement] = load_postgres_statements(postgres.FOLDER)
SQLITE = load_statements(sqlite.FOLDER)
READABLE_TYPES = {16: "bool", 17: "bytea", 20: "bigint", 23: "integer", 25: "text", 701: "double precision"}
SUPPLIED = {"insert_journal": {"unit_id"}}
"""Parameters that the transaction gives itself."""

WIDE = (
    "delete_blob",
    "delete_retired",
    "delete_version",
    "insert_blob",
    "insert_journal",
    "insert_location",
    "insert_retired",
    "insert_segment",
    "insert_version",
    "retire_version",
    "unset_current",
    "upsert_cleanup",
)

WIDE_LOOKUPS = ("delete_blob", "delete_retired", "delete_version", "retire_version", "unset_current")

HOT = (
    "find_current_version",
    "find_for_write",
    "find_placement",
    "list_current_versions",
    "list_current_versions_from",
    "take_quota",
    "lock_stripe",
    "give_back_quota",
    "claim_cleanup",
    "next_retired",
    "is_blob_referenced",
    "delete_blob_locations",
    "list_version_slices",
    "find_access_key",
    "retire_version",
)


WALKS = {"next_retired"}
"""The oldest row is at the beginning of the index."""


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


@pytest.mark.parametrize("name", WIDE)
def test_the_server_takes_a_statement_for_many_entries(
    connection: "psycopg.Connection[tuple[object, ...]]", name: str
) -> None:
    for entry_count in (2, ENTRY_COUNT_MAX, 10 * ENTRY_COUNT_MAX):
        statement = POSTGRES[name].widened(entry_count)

        prepared = connection.pgconn.prepare(b"", statement.text)

        assert prepared.status == psycopg.pq.ExecStatus.COMMAND_OK, prepared.error_message.decode()
        assert statement.entry_count == min(entry_count, ENTRY_COUNT_MAX)
        described = connection.pgconn.describe_prepared(b"")
        assert described.nparams == statement.entry_count * len(statement.parameters)
        types = [described.param_type(index) for index in range(described.nparams)]
        assert types == types[: len(statement.parameters)] * statement.entry_count


@pytest.mark.parametrize(
    "text",
    [
        "UPDATE t SET a = :a WHERE b = :b",
        "INSERT INTO t (a) VALUES (:a) ON CONFLICT (a) DO UPDATE SET a = 1",
        "INSERT INTO t (a) VALUES (:a) RETURNING :b::text",
        "INSERT INTO t (a) VALUES (lower(:a)) RETURNING a",
        "DELETE FROM t WHERE a = ANY (ARRAY[:a]::bigint[]) AND b = :b",
    ],
)
def test_what_binds_more_than_its_list_or_may_meet_itself_is_run_for_each(text: str) -> None:
    statement = read_statement("narrow", text)

    assert statement.widened(8) is statement


def plan_of(
    connection: "psycopg.Connection[tuple[object, ...]]", name: str, *, entry_count: int = 1
) -> list[dict[str, Any]]:
    """All nodes of the plan that a connection makes in an empty database, and keeps while it fills."""
    statement = POSTGRES[name].widened(entry_count)
    values = ", ".join("NULL" for _ in range(len(statement.parameters) * entry_count))
    given = f"({values})" if values else ""
    with connection.transaction():
        connection.execute(f"PREPARE explained AS {statement.text.decode()}".encode())
        row = connection.execute(f"EXPLAIN (FORMAT JSON) EXECUTE explained{given}".encode()).fetchone()
        connection.execute("DEALLOCATE explained")
    assert row is not None
    (top,) = cast("list[dict[str, Any]]", row[0])
    return list(_nodes(top["Plan"]))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for each in node.get("Plans", []):
        yield from _nodes(each)


@pytest.mark.parametrize("name", HOT)
def test_a_hot_statement_is_served_by_indexes(
    connection: "psycopg.Connection[tuple[object, ...]]", name: str
) -> None:
    kinds = [str(node["Node Type"]) for node in plan_of(connection, name)]

    assert [kind for kind in kinds if "Seq Scan" in kind] == []
    # Pieces of one blob are put in order: there are a few of them.
    if name != "find_current_version":
        assert [kind for kind in kinds if "Sort" in kind] == []


LOOKS_UP = [(name, 1) for name in [*sorted(set(HOT) - WALKS), "insert_segments_of_parts"]]


@pytest.mark.parametrize(
    ("name", "entry_count"), [*LOOKS_UP, *((name, ENTRY_COUNT_MAX) for name in WIDE_LOOKUPS)]
)
def test_a_hot_statement_looks_rows_up_and_walks_no_index(
    connection: "psycopg.Connection[tuple[object, ...]]", name: str, entry_count: int
) -> None:
    rows = connection.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid, 1, TRUE) FROM pg_index"
    ).fetchall()
    first_columns = {str(index): str(column) for index, column in rows}

    looked_up = [node for node in plan_of(connection, name, entry_count=entry_count) if "Index Name" in node]

    assert looked_up != []
    assert [
        node["Index Name"]
        for node in looked_up
        if not re.search(rf"\b{first_columns[node['Index Name']]}\b", node.get("Index Cond", ""))
    ] == []


def test_a_parent_that_is_deleted_finds_its_children_by_an_index(
    connection: "psycopg.Connection[tuple[object, ...]]",
) -> None:
    """PostgreSQL makes no index for a foreign key; what is never deleted needs none."""
    deleted = {
        found[1]
        for statement in POSTGRES.values()
        for found in re.finditer(r"\bDELETE FROM (\w+)", statement.text.decode())
    }
    rows = connection.execute(
        "SELECT k.confrelid::regclass::text, k.conrelid::regclass::text, a.attname FROM pg_constraint AS k"
        " JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]"
        " WHERE k.contype = 'f' AND NOT EXISTS (SELECT 1 FROM pg_index AS i"
        " WHERE i.indrelid = k.conrelid AND i.indkey[0] = k.conkey[1] AND (i.indpred IS NULL"
        " OR pg_get_expr(i.indpred, i.indrelid) = format('(%I IS NOT NULL)', a.attname)))"
    ).fetchall()

    assert {"buckets", "blobs", "object_versions", "multipart_uploads"} <= deleted
    assert [(parent, child, column) for parent, child, column in rows if parent in deleted] == []


ONLY_POSTGRES = {("journal", "transaction_id"), ("journal", "unit_id")}


def inline_comments() -> dict[tuple[str, str], str]:
    """Meanings beside the columns in PostgreSQL's migrations, by table and column."""
    return {
        (table.name, column.name): column.meaning
        for table in read_tables(POSTGRES_MIGRATIONS)
        for column in table.columns
    }


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
