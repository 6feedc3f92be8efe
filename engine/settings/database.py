"""Settings of the metadata database: SQLite in a file of this machine, or PostgreSQL for many."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from engine.settings.quantities import Count, PathOnDisk, Seconds, refuse
from engine.settings.secret import Secret
from engine.settings.section import Section
from engine.units import DAY_S, MINUTE_S

CONNS_PER_PROCESS_MIN = 3
"""One listens; and one that waits for its commit must not keep out the one that finds out what became of another."""

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def _text(value: Any) -> Any:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        refuse("expected text")
    return str(value)


_Text = Annotated[str, BeforeValidator(_text)]


def _ssl_mode(value: Any) -> Any:
    if value not in SSL_MODES:
        refuse("expected one of " + ", ".join(SSL_MODES))
    return str(value)


class SqliteSettings(Section):
    """SQLite: nothing else to install, for one machine."""

    driver: Literal["sqlite"] = "sqlite"
    """`sqlite`; not needed, `path` says it."""

    path: PathOnDisk
    """File of the SQLite database, on a local disk; made when it is not there."""


class PostgresSettings(Section):
    """PostgreSQL 14 or newer: for several instances over one truth."""

    driver: Literal["postgres"] = "postgres"
    """`postgres`; not needed, `host` says it."""

    host: _Text
    """Host or address of the server, or the folder of its unix socket; several, separated by commas, are tried in turn
    for the one that takes writes."""

    port: Annotated[Count, Field(ge=1, le=65535)] = 5432
    """Port of the servers."""

    database: _Text = "penstock"
    """Name of the database, with encoding UTF8; its tables are made by the first start."""

    user: _Text = "penstock"
    """Role that owns the tables."""

    password: Secret | None = None
    """Its password, best as `${env:NAME}` or `${file:PATH}`. Default: none, where the server asks for none."""

    ssl_mode: Annotated[str, BeforeValidator(_ssl_mode)] = "require"
    """How TLS is asked for, as libpq names it: `disable`, `allow`, `prefer`, `require`, `verify-ca`, `verify-full`."""

    max_conns: Annotated[Count, Field(ge=3, le=10_000)] = 50
    """Most connections of an instance, shared out among its processes."""

    min_conns: Annotated[Count, Field(ge=0, le=10_000)] = 5
    """Connections an instance keeps open, shared out likewise."""

    max_conn_lifetime_s: Seconds = Field(
        default=float(5 * MINUTE_S), alias="max_conn_lifetime", ge=1.0, le=float(DAY_S)
    )
    """Age at which a connection is closed and made anew."""


def _driver_of(value: Any) -> str:
    """What `driver` says, or else what the keys mean."""
    if isinstance(value, PostgresSettings):
        return "postgres"
    if not isinstance(value, Mapping):
        return "sqlite"
    driver = value.get("driver")
    if driver is not None:
        return str(driver)
    return "postgres" if "host" in value else "sqlite"


DatabaseSettings = Annotated[
    Annotated[SqliteSettings, Tag("sqlite")] | Annotated[PostgresSettings, Tag("postgres")],
    Discriminator(_driver_of),
]
"""Whichever the keys describe."""
