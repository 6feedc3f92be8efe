"""Migrations on PostgreSQL: all or nothing, by any number of starts at once, and never over a newer schema."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import DatabaseUnavailable, SchemaTooNew, StartRefused
from engine.metadata.postgres.migrating import migrate
from engine.metadata.postgres.store import FOLDER
from engine.metadata.postgres.target import PostgresTarget
from tests.support.postgres import shared_server

MIGRATIONS = FOLDER / "migrations"


@pytest.fixture
def target() -> Iterator[PostgresTarget]:
    """An empty database."""
    name = shared_server().create_empty_database()
    yield shared_server().target(name)
    shared_server().drop_database(name)


def schema_of(target: PostgresTarget) -> list[tuple[object, ...]]:
    """Columns with their types, constraints and indexes."""
    with shared_server().connect(target.database) as connection:
        columns = connection.execute(
            "SELECT table_name, column_name, data_type, is_nullable, column_default, collation_name"
            " FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
        ).fetchall()
        constraints = connection.execute(
            "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"
        ).fetchall()
        indexes = connection.execute(
            "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2"
        ).fetchall()
    return [*columns, *constraints, *indexes]


def in_thread(target: PostgresTarget, problems: list[Exception]) -> threading.Thread:
    def run() -> None:
        try:
            migrate(target, MIGRATIONS)
        except Exception as error:
            problems.append(error)

    return threading.Thread(target=run)


def test_any_number_of_starts_at_once_end_with_one_schema(target: PostgresTarget) -> None:
    problems: list[Exception] = []
    threads = [in_thread(target, problems) for _ in range(8)]

    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert problems == []
    with shared_server().connect(target.database) as connection:
        found = connection.execute("SELECT name FROM schema_migrations ORDER BY number").fetchall()
    assert [name for (name,) in found] == sorted(each.stem for each in MIGRATIONS.glob("*.sql"))


def test_creating_afresh_and_migrating_step_by_step_agree(target: PostgresTarget, tmp_path: Path) -> None:
    for path in sorted(MIGRATIONS.glob("*.sql")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
        migrate(target, tmp_path)

    other = shared_server().create_empty_database()
    migrate(shared_server().target(other), MIGRATIONS)
    assert schema_of(target) == schema_of(shared_server().target(other))
    shared_server().drop_database(other)


def test_a_migration_that_fails_leaves_nothing_of_any(target: PostgresTarget, tmp_path: Path) -> None:
    for path in MIGRATIONS.glob("*.sql"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "0099_pre_wrong.sql").write_text(
        "CREATE TABLE half (a BIGINT);\nSELECT nothing FROM nowhere;\n"
    )

    with pytest.raises(StartRefused, match="refuses its schema"):
        migrate(target, tmp_path)

    with shared_server().connect(target.database) as connection:
        assert connection.execute("SELECT COUNT(*) FROM schema_migrations").fetchone() == (0,)
        assert connection.execute("SELECT to_regclass('half'), to_regclass('buckets')").fetchone() == (
            None,
            None,
        )


def test_a_newer_schema_is_refused(target: PostgresTarget, tmp_path: Path) -> None:
    migrate(target, MIGRATIONS)
    with shared_server().connect(target.database) as connection:
        connection.execute("INSERT INTO schema_migrations VALUES (9999, '9999_pre_future', '', 1)")

    with pytest.raises(SchemaTooNew, match="9999_pre_future"):
        migrate(target, MIGRATIONS)


def test_a_changed_migration_is_refused(target: PostgresTarget) -> None:
    migrate(target, MIGRATIONS)
    with shared_server().connect(target.database) as connection:
        connection.execute("UPDATE schema_migrations SET digest = 'other' WHERE number = 1")

    with pytest.raises(StartRefused, match="is not the one that was applied"):
        migrate(target, MIGRATIONS)


def test_a_database_of_another_encoding_is_refused() -> None:
    server = shared_server()
    with server.connect() as connection:
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        with pytest.raises(StartRefused, match="ENCODING 'UTF8'"):
            migrate(server.target("latin"), MIGRATIONS)
    finally:
        server.drop_database("latin")


def test_a_server_that_is_not_there_is_out_of_reach(target: PostgresTarget) -> None:
    with pytest.raises(DatabaseUnavailable, match="cannot be opened"):
        migrate(shared_server().target("no_such_database"), MIGRATIONS)
