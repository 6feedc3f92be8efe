"""rclone copies a tree and checks it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.conftest import IS_LONG
from tests.clients.running import run
from tests.support.served import Served


@pytest.mark.timeout(600)
def test_a_copied_tree_checks(
    tmp_path: Path, served: Served, client_environment: dict[str, str], tool: Callable[[str], str]
) -> None:
    rclone = tool("rclone")
    environment = {
        **client_environment,
        "RCLONE_CONFIG_PEN_TYPE": "s3",
        "RCLONE_CONFIG_PEN_PROVIDER": "Other",
        "RCLONE_CONFIG_PEN_ENV_AUTH": "true",
        "RCLONE_CONFIG_PEN_ENDPOINT": served.credentials.endpoint,
        "RCLONE_CONFIG_PEN_REGION": served.credentials.region,
    }
    source = tmp_path / "source"
    for index in range(400 if IS_LONG else 40):
        path = source / f"folder {index % 5}" / f"f{index}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(index * 977 % 90_000))
    (source / "big").write_bytes(os.urandom((300 if IS_LONG else 12) * 1024**2))

    run([rclone, "mkdir", "pen:rclone-tree"], environment)
    run([rclone, "copy", str(source), "pen:rclone-tree/t", "--s3-upload-cutoff", "8Mi"], environment)
    run([rclone, "check", str(source), "pen:rclone-tree/t"], environment)
    run([rclone, "check", "--download", str(source), "pen:rclone-tree/t"], environment)
    run([rclone, "copy", "pen:rclone-tree/t", "pen:rclone-tree/server-side"], environment)
    run([rclone, "check", "pen:rclone-tree/t", "pen:rclone-tree/server-side"], environment)
    run([rclone, "purge", "pen:rclone-tree"], environment)
