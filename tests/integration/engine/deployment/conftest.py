"""A folder with a configuration over two volumes, and ways to change it and to open what it describes."""

import base64
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from engine.clock import SystemClock
from engine.deployment.opening import OpenDeployment, open_deployment
from engine.metadata.sqlite.store import SqliteStore
from tests.integration.engine.deployment.starts import Starter
from tests.support.postgres import USER, shared_server

SECRET = "kept-to-itself-0123456789"
TOKEN_SHA256 = "ab" * 32
CONFIG = f"""\
node: {{name: n1, state_dir: state}}
database: {{path: metadata.sqlite}}
keys: {{provider: file, path: master.key}}
backends:
  - {{name: v1, kind: volume, path: volumes/v1}}
  - {{name: v2, kind: volume, path: volumes/v2}}
identities:
  - {{name: alice, account: main, access_key_id: AKIAALICE, secret_access_key: {SECRET}, role: superuser}}
  - {{name: bob, account: main, access_key_id: AKIABOB, secret_access_key: "${{BOB}}", role: writer, buckets: [abc]}}
admin_tokens:
  - {{name: first, role: admin, sha256: "{TOKEN_SHA256}"}}
buckets:
  - {{name: abc, account: main, quota_bytes: 1MiB}}
workers: {{cleanup: {{interval: 5s}}}}
"""
ENVIRON = {"BOB": "out-of-the-environment-1234"}

Open = Callable[..., OpenDeployment]


class Site:
    """A machine's folder: one configuration, everything beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "penstock.yaml"
        self.database = folder / "metadata.sqlite"
        self.config.write_text(CONFIG)
        self.write_key(bytes(range(32)))

    def write_key(self, material: bytes) -> None:
        file = self.folder / "master.key"
        file.touch(0o600)
        file.write_bytes(base64.b64encode(material) + b"\n")

    def edit(self, old: str, new: str) -> None:
        """Replace text that stands in the configuration once."""
        text = self.config.read_text()
        assert text.count(old) == 1, text
        self.config.write_text(text.replace(old, new))

    def volume(self, name: str) -> Path:
        return self.folder / "volumes" / name

    def store(self) -> SqliteStore:
        """The database without the deployment around it; whoever opens it closes it."""
        return SqliteStore(self.database)

    def database_bytes(self) -> bytes:
        """All files of the database, as they lie on the disk."""
        return b"".join(path.read_bytes() for path in sorted(self.folder.glob("metadata.sqlite*")))


def over_postgres(site: Site, database: str) -> Site:
    """The same over a database of the tests' server."""
    server = shared_server()
    site.edit(
        "database: {path: metadata.sqlite}",
        f"database: {{host: {server.host}, port: {server.port}, database: {database}, user: {USER}, "
        f'password: "{server.password}", ssl_mode: disable, max_conns: 24}}\nprocesses: {{dataplane: 2}}',
    )
    return site


class AheadClock(SystemClock):
    """The machine's clocks, both as far ahead as a test has moved them."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def now_us(self) -> int:
        return super().now_us() + int(self._ahead_s * 1_000_000)

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self._ahead_s

    def move(self, seconds: float) -> None:
        """Forwards, or backwards when negative."""
        self._ahead_s += seconds


@pytest.fixture(scope="session")
def starter() -> Iterator[Starter]:
    made = Starter()
    yield made
    made.close()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture(params=["sqlite", "postgres"])
def any_site(request: pytest.FixtureRequest, site: Site) -> Iterator[Site]:
    """The site on either engine."""
    if request.param == "sqlite":
        yield site
        return
    name = shared_server().create_empty_database()
    yield over_postgres(site, name)
    shared_server().drop_database(name)


@pytest.fixture
def opened(site: Site) -> Iterator[Open]:
    """Opens the site's deployment, as often as a test likes; what is still open at its end is closed."""
    left: list[OpenDeployment] = []

    def open_site(environ: Mapping[str, str] = ENVIRON, **options: object) -> OpenDeployment:
        chosen = {"plane": "dataplane", "version": "1", **options}
        deployment = open_deployment(site.config, environ, **chosen)  # type: ignore[arg-type]
        left.append(deployment)
        return deployment

    yield open_site
    for deployment in left:
        deployment.close()
