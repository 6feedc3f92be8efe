"""rclone copies a tree and checks it, and shows versions of files."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.conftest import IS_LONG
from tests.clients.running import run


@pytest.mark.timeout(600)
def test_a_copied_tree_checks(
    tmp_path: Path, pen_environment: dict[str, str], tool: Callable[[str], str]
) -> None:
    rclone = tool("rclone")
    source = tmp_path / "source"
    for index in range(400 if IS_LONG else 40):
        path = source / f"folder {index % 5}" / f"f{index}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(index * 977 % 90_000))
    (source / "big").write_bytes(os.urandom((300 if IS_LONG else 12) * 1024**2))

    run([rclone, "mkdir", "pen:rclone-tree"], pen_environment)
    run([rclone, "copy", str(source), "pen:rclone-tree/t", "--s3-upload-cutoff", "8Mi"], pen_environment)
    run([rclone, "check", str(source), "pen:rclone-tree/t"], pen_environment)
    run([rclone, "check", "--download", str(source), "pen:rclone-tree/t"], pen_environment)
    run([rclone, "copy", "pen:rclone-tree/t", "pen:rclone-tree/server-side"], pen_environment)
    run([rclone, "check", "pen:rclone-tree/t", "pen:rclone-tree/server-side"], pen_environment)
    run([rclone, "purge", "pen:rclone-tree"], pen_environment)


@pytest.mark.timeout(600)
def test_versions_are_listed_and_fetched(
    tmp_path: Path, pen_environment: dict[str, str], tool: Callable[[str], str]
) -> None:
    rclone = tool("rclone")
    (tmp_path / "file").write_bytes(b"first")

    run([rclone, "mkdir", "pen:rclone-versions"], pen_environment)
    run([rclone, "backend", "versioning", "pen:rclone-versions", "Enabled"], pen_environment)
    run([rclone, "copyto", str(tmp_path / "file"), "pen:rclone-versions/file"], pen_environment)
    (tmp_path / "file").write_bytes(b"second, longer")
    run([rclone, "copyto", str(tmp_path / "file"), "pen:rclone-versions/file"], pen_environment)
    run([rclone, "deletefile", "pen:rclone-versions/file"], pen_environment)

    assert run([rclone, "lsf", "pen:rclone-versions"], pen_environment) == ""
    kept = run([rclone, "lsf", "--s3-versions", "pen:rclone-versions"], pen_environment).split()
    contents = [
        run([rclone, "cat", "--s3-versions", f"pen:rclone-versions/{name}"], pen_environment) for name in kept
    ]
    assert sorted(contents) == ["first", "second, longer"]
    run([rclone, "backend", "cleanup-hidden", "pen:rclone-versions"], pen_environment)
    assert run([rclone, "lsf", "--s3-versions", "pen:rclone-versions"], pen_environment) == ""
    run([rclone, "rmdir", "pen:rclone-versions"], pen_environment)
