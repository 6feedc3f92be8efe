"""Which PostgreSQL a process talks to, and with how many connections."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresTarget:
    """A database and the bounds of one process' pool. `host` may name several servers, separated by commas."""

    host: str
    port: int
    database: str
    user: str
    password: str | None = field(repr=False)
    ssl_mode: str
    max_conns: int
    min_conns: int
    max_conn_lifetime_s: float
