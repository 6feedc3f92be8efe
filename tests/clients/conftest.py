"""The deployments that all clients share, and what each of them needs in its environment."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.support.instances import SharedDatabase
from tests.support.postgres import shared_server, with_database
from tests.support.served import Served

IS_LONG = os.environ.get("PENSTOCK_CLIENTS") == "long"
"""`make test-clients`: full sizes, and a client that is missing is a failure instead of a skip."""

ROOT = Path(__file__).parents[2]
ENVIRONMENT_TIMEOUT_S = 300
_TRUSTED = ("AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "RCLONE_CA_CERT", "SSL_CERT_FILE")
"""Where clients look for an authority that their system does not know."""
MOUNT_TIMEOUT_S = 30


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("clients"), volumes=2) as each:
        yield each


@pytest.fixture(scope="session")
def served_on_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    server = shared_server()
    database = SharedDatabase(server=server, name=server.create_empty_database())
    try:
        with Served(
            tmp_path_factory.mktemp("clients-postgres"),
            volumes=2,
            edit_config=lambda text: with_database(text, database.server, database.name),
        ) as each:
            yield each
    finally:
        server.drop_database(database.name)


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def on_each_engine(request: pytest.FixtureRequest) -> Served:
    """The deployment over either engine, for clients that are asked twice."""
    name = "served" if request.param == "sqlite" else "served_on_postgres"
    each = request.getfixturevalue(name)
    assert isinstance(each, Served)
    return each


def environment_for(served: Served, home: Path) -> dict[str, str]:
    """Credentials the way every AWS-like tool reads them, and a home of its own."""
    trust = {} if served.ca is None else dict.fromkeys(_TRUSTED, str(served.ca))
    return {
        **trust,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "AWS_ACCESS_KEY_ID": served.credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": served.credentials.secret_access_key,
        "AWS_DEFAULT_REGION": served.credentials.region,
        "AWS_REGION": served.credentials.region,
        "AWS_ENDPOINT_URL": served.credentials.endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@pytest.fixture
def client_environment(served: Served, tmp_path: Path) -> dict[str, str]:
    """What a client of the shared deployment finds in its environment."""
    return environment_for(served, tmp_path)


def pen_environment_for(served: Served, home: Path) -> dict[str, str]:
    """The same for rclone, as its remote `pen:`."""
    return {
        **environment_for(served, home),
        "RCLONE_CONFIG_PEN_TYPE": "s3",
        "RCLONE_CONFIG_PEN_PROVIDER": "Other",
        "RCLONE_CONFIG_PEN_ENV_AUTH": "true",
        "RCLONE_CONFIG_PEN_ENDPOINT": served.credentials.endpoint,
        "RCLONE_CONFIG_PEN_REGION": served.credentials.region,
    }


@pytest.fixture
def pen_environment(served: Served, tmp_path: Path) -> dict[str, str]:
    """What rclone finds in its environment."""
    return pen_environment_for(served, tmp_path)


def missing(told: str) -> None:
    """Skip by name what this machine does not have; a failure in the long form."""
    if IS_LONG:
        pytest.fail(told)
    pytest.skip(told)


@pytest.fixture
def tool(client_environment: dict[str, str]) -> Callable[[str], str]:
    """The path of a client's program; a missing one is skipped by name, or fails in the long form."""

    def find(name: str) -> str:
        path = shutil.which(name, path=client_environment["PATH"])
        if path is None:
            missing(f"{name} is not installed on this machine")
        assert path is not None
        return path

    return find


def _made(name: str) -> str:
    """Make the environment of a client that has one of its own, unless it stands; what runs in it."""
    done = subprocess.run(
        [ROOT / "tools" / "client_environment.sh", name],
        capture_output=True,
        text=True,
        timeout=ENVIRONMENT_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(f"the environment of {name} cannot be made:\n{done.stderr}")
    return done.stdout.strip()


@pytest.fixture(scope="session")
def s3fs_python() -> str:
    """The Python that has fsspec's s3fs."""
    return _made("s3fs")


@pytest.fixture(scope="session")
def javascript_folder() -> Path:
    """The folder with the AWS SDK for JavaScript in its node_modules."""
    for name in ("node", "npm"):
        if shutil.which(name) is None:
            missing(f"{name} is not installed on this machine")
    return Path(_made("javascript"))


@pytest.fixture
def mounting(
    tool: Callable[[str], str],
) -> Callable[[list[str], dict[str, str], Path], AbstractContextManager[Path]]:
    """Runs a program that mounts a file system in the foreground, for a block; skipped where none can be mounted."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        missing("/dev/fuse cannot be opened on this machine")
    unmount = tool("fusermount3")

    @contextmanager
    def mounted(command: list[str], environment: dict[str, str], folder: Path) -> Iterator[Path]:
        folder.mkdir()
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            try:
                deadline = time.monotonic() + MOUNT_TIMEOUT_S
                while not folder.is_mount():
                    if process.poll() is not None or time.monotonic() > deadline:
                        process.kill()
                        assert process.stdout is not None
                        raise AssertionError(f"{command} mounts nothing:\n{process.stdout.read()}")
                    time.sleep(0.05)
                yield folder
            finally:
                if process.poll() is None:
                    subprocess.run([unmount, "-u", str(folder)], check=True, timeout=MOUNT_TIMEOUT_S)
                    process.wait(MOUNT_TIMEOUT_S)

    return mounted
