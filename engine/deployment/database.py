"""The metadata database that a node's settings name."""

from engine.clock import Clock
from engine.errors import DatabaseUnavailable, StartRefused
from engine.metadata.postgres.store import PostgresStore
from engine.metadata.postgres.target import PostgresTarget
from engine.metadata.sqlite.store import SqliteStore
from engine.parking import Park, nobody
from engine.settings import NodeSettings
from engine.settings.database import PostgresSettings


def open_store(
    node: NodeSettings, *, clock: Clock | None = None, park: Park = nobody
) -> SqliteStore | PostgresStore:
    """Open it, migrated; raises DatabaseUnavailable, StartRefused and SchemaTooNew.

    `clock` stands in for SQLite's, which is this machine's; PostgreSQL has one of its own.
    """
    if isinstance(node.database, PostgresSettings):
        return PostgresStore(postgres_target(node.database, process_count=process_count(node)), park=park)
    return SqliteStore(node.database.path, clock=clock, park=park)


def away_store(database: PostgresSettings, node: NodeSettings, park: Park) -> PostgresStore:
    """A store for a process that starts while the database is away: it refuses everything."""
    target = postgres_target(database, process_count=process_count(node))
    return PostgresStore(target, park=park, is_away=True)


def check_connections(own_count: int, all_count: int, server_count: int) -> None:
    """Refuse a start whose connections the server would refuse later, in the middle of requests.

    Raises StartRefused when the instance alone asks for too many, DatabaseUnavailable when all of them together do:
    one that was killed counts for some seconds more.
    """
    if own_count > server_count:
        raise StartRefused(
            f"database.max_conns is {own_count}, and the PostgreSQL server allows {server_count} connections in all: "
            "lower it, or raise max_connections there"
        )
    if all_count > server_count:
        raise DatabaseUnavailable(
            f"the instances of this deployment ask for {all_count} connections together, and the PostgreSQL server "
            f"allows {server_count}: lower database.max_conns ({own_count} here), or raise max_connections there"
        )


def process_count(node: NodeSettings) -> int:
    """Processes of an instance that share its connections: those of the data plane, and the control plane."""
    return node.processes.dataplane + 1


def postgres_target(database: PostgresSettings, *, process_count: int) -> PostgresTarget:
    """One process' part of an instance's connections."""
    return PostgresTarget(
        host=database.host,
        port=database.port,
        database=database.database,
        user=database.user,
        password=None if database.password is None else database.password.reveal(),
        ssl_mode=database.ssl_mode,
        # One of its part is for listening.
        max_conns=database.max_conns // process_count - 1,
        min_conns=database.min_conns // process_count,
        max_conn_lifetime_s=database.max_conn_lifetime_s,
    )
