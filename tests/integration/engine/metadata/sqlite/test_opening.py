"""Opening the database: what is refused, what was left open, what many processes do at once, and its upkeep."""

import os
import shutil
import signal
import threading
from functools import partial
from pathlib import Path

import apsw
import pytest

from engine.errors import SchemaTooNew, StartRefused
from engine.metadata import journal
from engine.metadata.sqlite.connections import (
    SQLITE_VERSION_MIN,
    check_file_system,
    check_version,
    open_connection,
)
from engine.metadata.sqlite.migrating import migrate
from engine.metadata.sqlite.store import CHECKPOINT_PAGES, FOLDER, SqliteStore
from engine.metadata.statements import load_statements
from engine.metadata.store import Tx
from tests.integration.engine.metadata.sqlite.crowd import wait_until
from tests.integration.engine.metadata.sqlite.processes import drain, start
from tests.integration.engine.metadata.sqlite.writer import open_and_tell, write_until_killed
from tests.support.metadata import DATABASE, journal_of, open_sqlite, run_sql
from tools.schema_reference import read_tables

MIGRATIONS = FOLDER / "migrations"


def schema_of(connection: apsw.Connection) -> list[tuple[str, ...]]:
    """Tables, columns and indexes as SQLite knows them."""
    text = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
    return [tuple(map(str, row)) for row in connection.execute(text)]


def migrated(folder: Path, migrations: Path) -> apsw.Connection:
    connection = open_connection(folder / DATABASE, is_reader=False)
    migrate(connection, migrations, folder / f"{DATABASE}-migration")
    return connection


# --- refusals ---


@pytest.mark.parametrize("version", ["3.51.2", "3.50.4", "3.9.99", "2.8.17"])
def test_a_sqlite_that_can_lose_commits_is_refused(version: str) -> None:
    with pytest.raises(StartRefused, match=version):
        check_version(version)


@pytest.mark.parametrize("version", ["3.51.3", "3.52.0", "3.100.0", "4.0.0"])
def test_newer_releases_are_taken(version: str) -> None:
    check_version(version)


def test_the_sqlite_that_is_installed_is_new_enough() -> None:
    assert tuple(map(int, apsw.sqlitelibversion().split("."))) >= SQLITE_VERSION_MIN


@pytest.mark.parametrize(
    ("kind", "name"),
    [(0x6969, "NFS"), (0x517B, "SMB"), (0xFE534D42, "SMB2"), (0xFF534D42, "CIFS"), (0x01021997, "9P")],
)
def test_a_network_file_system_is_refused_by_name(tmp_path: Path, kind: int, name: str) -> None:
    with pytest.raises(StartRefused, match=f"lies on {name};"):
        check_file_system(tmp_path, kind=kind)


def test_a_local_file_system_is_taken(tmp_path: Path) -> None:
    check_file_system(tmp_path)
    check_file_system(tmp_path, kind=0xEF53)


def test_a_schema_of_a_newer_release_is_refused_and_left_alone(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    run_sql(store, "INSERT INTO schema_migrations VALUES (9999, '9999_pre_future', x'00', 1)")
    store.close()

    with pytest.raises(SchemaTooNew, match="9999_pre_future"):
        open_sqlite(tmp_path)

    connection = apsw.Connection(str(tmp_path / DATABASE))
    assert connection.execute("SELECT MAX(number) FROM schema_migrations").fetchall() == [(9999,)]
    connection.close()


def test_a_refused_start_leaves_no_doubt_about_a_database_that_was_closed(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    run_sql(store, "INSERT INTO schema_migrations VALUES (9999, '9999_pre_future', x'00', 1)")
    store.close()
    with pytest.raises(SchemaTooNew):
        open_sqlite(tmp_path)

    connection = apsw.Connection(str(tmp_path / DATABASE))
    connection.execute("DELETE FROM schema_migrations WHERE number = 9999")
    connection.close()
    store = open_sqlite(tmp_path)

    assert not store.was_unclean
    store.close()


def test_a_migration_that_changed_since_it_was_applied_is_refused(tmp_path: Path) -> None:
    changed = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, changed)
    migrated(tmp_path, changed).close()
    first = min(changed.iterdir())
    first.write_text(first.read_text() + "\n-- changed\n")

    with pytest.raises(StartRefused, match=first.name):
        migrated(tmp_path, changed)


def test_names_that_are_no_migrations_or_share_a_number_are_refused(tmp_path: Path) -> None:
    for name in ("1_pre_x.sql", "0003_later_x.sql", "0001_pre_again.sql"):
        folder = tmp_path / name
        shutil.copytree(MIGRATIONS, folder)
        (folder / name).write_text("SELECT 1;")
        with pytest.raises(ValueError, match="no migration, or its number is taken"):
            migrated(tmp_path, folder)


# --- migrations ---


def test_migrating_step_by_step_and_creating_afresh_give_the_same_schema(tmp_path: Path) -> None:
    fresh, old, steps = tmp_path / "fresh", tmp_path / "old", tmp_path / "steps"
    for folder in (fresh, old, steps):
        folder.mkdir()
    created = migrated(fresh, MIGRATIONS)

    for file in sorted(MIGRATIONS.glob("*.sql")):
        shutil.copy(file, steps)
        migrated(old, steps).close()
    stepped = migrated(old, MIGRATIONS)

    assert schema_of(stepped) == schema_of(created)
    assert len(schema_of(created)) > 40
    for connection in (created, stepped):
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        connection.close()


def test_migrating_again_applies_nothing(tmp_path: Path) -> None:
    connection = open_connection(tmp_path / DATABASE, is_reader=False)
    lock = tmp_path / "lock"

    first = migrate(connection, MIGRATIONS, lock)
    again = migrate(connection, MIGRATIONS, lock)
    connection.close()

    assert first == sorted(path.stem for path in MIGRATIONS.glob("*.sql"))
    assert again == []


def test_a_migration_that_fails_midway_leaves_nothing_of_itself(tmp_path: Path) -> None:
    broken = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, broken)
    (broken / "9000_post_broken.sql").write_text(
        "CREATE TABLE half (a INTEGER);\nCREATE TABLE half (a INTEGER);\n"
    )

    with pytest.raises(apsw.SQLError, match="half"):
        migrated(tmp_path, broken)

    connection = migrated(tmp_path, MIGRATIONS)
    assert "half" not in {row[1] for row in schema_of(connection)}
    connection.close()


def test_a_migration_may_hold_statements_that_give_rows(tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder)
    (folder / "9000_post_checks.sql").write_text("SELECT 1;\nSELECT 2;\nCREATE TABLE late (a INTEGER);\n")

    connection = migrated(tmp_path, folder)

    assert "late" in {row[1] for row in schema_of(connection)}
    connection.close()


def test_many_processes_open_a_new_database_at_once(tmp_path: Path) -> None:
    for attempt in range(3):
        folder = tmp_path / str(attempt)
        folder.mkdir()

        started = [start(open_and_tell, folder) for _ in range(6)]

        assert [drain(receives) for _, receives in started] == [[""]] * 6
        for process, _ in started:
            process.join(20)


def test_every_statement_is_understood_and_none_looks_through_the_objects(tmp_path: Path) -> None:
    """Fsck alone may scan; everything a request or a worker runs finds its rows by an index."""
    store = open_sqlite(tmp_path)
    connection = open_connection(store.path, is_reader=False)
    may_scan = {"list_dangling_segments", "list_blobs", "insert_account"}
    tables = ("object_versions", "object_segments", "object_locations", "blobs", "multipart_uploads")
    scans = []
    for name, text in load_statements(FOLDER).items():
        if name in may_scan:
            continue
        plan = connection.execute(f"EXPLAIN QUERY PLAN {text}", _Nothing()).fetchall()
        steps = [str(step[3]) for step in plan]
        scans += [(name, step) for step in steps if step.startswith("SCAN ") and step.split()[1] in tables]
    connection.close()
    store.close()

    assert scans == []


def test_the_schema_reference_knows_every_table_column_and_index(tmp_path: Path) -> None:
    connection = migrated(tmp_path, MIGRATIONS)
    there = {
        str(name): [str(row[1]) for row in connection.execute(f"PRAGMA table_info({name})")]
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        if not str(name).startswith("sqlite_") and name != "schema_migrations"
    }
    indexes = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    connection.close()

    told = read_tables()

    assert {table.name: [column.name for column in table.columns] for table in told} == there
    assert {name for table in told for name in table.indexes} == {str(name) for (name,) in indexes}


class _Nothing(dict[str, None]):
    """A null for every parameter."""

    def __missing__(self, name: str) -> None:
        return None


# --- the mark of a clean stop ---


def test_a_database_that_was_closed_is_not_in_doubt(tmp_path: Path) -> None:
    for _ in range(3):
        store = open_sqlite(tmp_path)
        assert not store.was_unclean
        store.close()


def test_a_database_left_by_a_killed_process_is_in_doubt_once(tmp_path: Path) -> None:
    process, receives = start(write_until_killed, tmp_path, 0)
    assert receives.poll(20)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(20)
    receives.close()

    stores = [open_sqlite(tmp_path), open_sqlite(tmp_path)]

    assert [each.was_unclean for each in stores] == [True, False]
    for store in stores:
        store.close()
    store = open_sqlite(tmp_path)
    assert not store.was_unclean
    store.close()


def test_the_last_of_many_processes_to_close_marks_the_clean_stop(tmp_path: Path) -> None:
    first, second = open_sqlite(tmp_path), open_sqlite(tmp_path)
    first.close()
    third = open_sqlite(tmp_path)
    assert not third.was_unclean
    second.close()
    third.close()

    store = open_sqlite(tmp_path)

    assert not store.was_unclean
    store.close()


# --- promises of every connection ---


def test_every_connection_syncs_fully_and_holds_foreign_keys(tmp_path: Path) -> None:
    for is_reader in (False, True):
        connection = open_connection(tmp_path / DATABASE, is_reader=is_reader)
        read = {
            name: connection.execute(f"PRAGMA {name}").fetchall()[0][0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "wal_autocheckpoint", "query_only")
        }
        connection.close()

        assert read == {
            "journal_mode": "wal",
            "synchronous": 2,
            "foreign_keys": 1,
            "wal_autocheckpoint": 0,
            "query_only": int(is_reader),
        }


# --- checkpoints ---


def grow(tx: Tx, pages: int) -> None:
    for _ in range(pages):
        journal.append(tx, "big", {"padding": "x" * 4000})


def test_the_log_is_copied_back_beside_the_writes(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    before = store.path.stat().st_size

    store.write(partial(grow, pages=2 * CHECKPOINT_PAGES))

    wait_until(lambda: store.path.stat().st_size > before + CHECKPOINT_PAGES * 4096)
    store.close()


def test_a_reader_that_stays_long_stops_no_write(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    is_reading, may_end = threading.Event(), threading.Event()

    def reads(tx: Tx) -> int:
        tx.rows("list_keys", {})
        is_reading.set()
        assert may_end.wait(20)
        return len(tx.rows("list_keys", {}))

    reader = threading.Thread(target=store.read, args=(reads,))
    reader.start()
    assert is_reading.wait(20)
    for _ in range(3):
        store.write(partial(grow, pages=CHECKPOINT_PAGES))
    may_end.set()
    reader.join(20)

    assert len(journal_of(store)) == 3 * CHECKPOINT_PAGES
    store.close()


def test_a_clean_stop_leaves_no_log(tmp_path: Path) -> None:
    store: SqliteStore = open_sqlite(tmp_path)
    store.write(partial(grow, pages=10))

    store.close()

    assert not (tmp_path / f"{DATABASE}-wal").exists()
