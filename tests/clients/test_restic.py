"""restic keeps a backup: signed chunks over plain HTTP, listings, locks, and a check that reads everything."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.running import run
from tests.support.served import Served


@pytest.mark.timeout(600)
def test_a_backup_is_made_checked_and_restored(
    tmp_path: Path, served: Served, client_environment: dict[str, str], tool: Callable[[str], str]
) -> None:
    restic = tool("restic")
    environment = {
        **client_environment,
        "RESTIC_REPOSITORY": f"s3:{served.credentials.endpoint}/restic-repository",
        "RESTIC_PASSWORD": "correct horse",
    }
    source = tmp_path / "source"
    source.mkdir()
    for index in range(25):
        (source / f"f{index}").write_bytes(os.urandom(index * 40_000))

    run([restic, "init"], environment)
    run([restic, "backup", str(source)], environment)
    run([restic, "check", "--read-data"], environment)
    run([restic, "restore", "latest", "--target", str(tmp_path / "back")], environment)

    restored = tmp_path / "back" / source.relative_to("/")
    assert all((restored / path.name).read_bytes() == path.read_bytes() for path in source.iterdir())
