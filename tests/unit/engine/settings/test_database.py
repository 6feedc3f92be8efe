"""Which database a configuration means is read from its keys, and what does not fit is refused at its line."""

import pytest

from engine.deployment.database import postgres_target
from engine.settings.database import PostgresSettings, SqliteSettings
from tests.unit.engine.settings.conftest import MINIMAL, Load, Refused

SQLITE = "database:\n  path: metadata.sqlite\n"
PASSWORD = "0123456789-a-password"


def over(text: str) -> str:
    """The minimal configuration with another database section."""
    assert SQLITE in MINIMAL
    return MINIMAL.replace(SQLITE, f"database: {{{text}}}\n")


def test_a_host_means_postgres_with_its_defaults(load: Load) -> None:
    database = load(over("host: db.example")).node.database

    assert isinstance(database, PostgresSettings)
    assert (database.port, database.ssl_mode, database.database) == (5432, "require", "penstock")
    assert (database.max_conns, database.min_conns, database.max_conn_lifetime_s) == (50, 5, 300.0)


def test_a_path_means_sqlite(load: Load) -> None:
    assert isinstance(load(MINIMAL).node.database, SqliteSettings)


def test_the_driver_may_be_said(load: Load) -> None:
    assert isinstance(load(over("driver: postgres, host: db")).node.database, PostgresSettings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("host: db, path: here.sqlite", "unknown key for this kind of database"),
        ("driver: sqlite, path: a, max_conns: 5", "unknown key for this kind of database"),
        ("driver: mysql, host: db", "`driver` is sqlite or postgres"),
        ("driver: postgres", "is required"),
        ("host: db, min_conns: 60", "more than the 50 of max_conns"),
        ("host: db, max_conns: 5, min_conns: 0", "are too few: each needs 3"),
        ("host: db, ssl_mode: maybe", "expected one of disable, allow"),
        ("host: '', database: x", "expected text"),
        ("host: db, password: password", "default"),
    ],
)
def test_what_does_not_fit_is_refused_at_its_line(refused: Refused, text: str, message: str) -> None:
    found = refused(over(text))

    assert [each for each in found if message in each[2]], found
    assert all(line is not None for line, _, _ in found)


def test_a_password_does_not_show(load: Load) -> None:
    settings = load(over(f"host: db, password: {PASSWORD}"))

    assert PASSWORD not in repr(settings.node)
    assert isinstance(settings.node.database, PostgresSettings)
    assert PASSWORD not in repr(postgres_target(settings.node.database, process_count=3))


def test_an_instance_shares_its_connections_out_among_its_processes() -> None:
    target = postgres_target(PostgresSettings(host="db"), process_count=4)

    assert (target.max_conns, target.min_conns) == (11, 1)


def test_what_is_served_without_the_database_must_still_be_there(refused: Refused, load: Load) -> None:
    text = over("host: db") + "storage: {read_grace: 5m}\n"

    ((_, path, message),) = refused(text)
    assert path == "storage.read_grace"
    assert "degraded_max_age" in message
    load(text.replace("5m", "5m, degraded_reads: off"))
    load(text.replace("5m", "5m, degraded_max_age: 1m"))
    load(MINIMAL + "storage: {read_grace: 5m}\n")
