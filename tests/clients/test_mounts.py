"""Buckets as folders: s3fs-fuse and rclone mount keep what programs write through the kernel."""

import os
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.support.served import Served

MIB = 1024**2
UPLOADED_TIMEOUT_S = 60

Mounting = Callable[[list[str], dict[str, str], Path], AbstractContextManager[Path]]


def use_as_a_folder(folder: Path) -> None:
    """What programs do with folders; all of it is read back through the same mount."""
    big = os.urandom(23 * MIB + 5)
    (folder / "sub folder").mkdir()
    (folder / "sub folder" / "small ü+%").write_bytes(b"small")
    (folder / "sub folder" / "empty").touch()
    (folder / "big").write_bytes(big)

    assert (folder / "sub folder" / "small ü+%").read_bytes() == b"small"
    assert sorted(each.name for each in (folder / "sub folder").iterdir()) == ["empty", "small ü+%"]
    assert (folder / "big").read_bytes() == big
    with (folder / "big").open("rb") as file:
        file.seek(11 * MIB)
        assert file.read(5) == big[11 * MIB : 11 * MIB + 5]

    (folder / "big").rename(folder / "sub folder" / "moved")
    assert (folder / "sub folder" / "moved").stat().st_size == len(big)
    assert not (folder / "big").exists()
    (folder / "sub folder" / "small ü+%").write_bytes(b"written over")
    (folder / "sub folder" / "empty").unlink()
    for index in range(30):
        (folder / f"many{index}").write_text(str(index))
    assert len(list(folder.glob("many*"))) == 30
    (folder / "gone").mkdir()
    (folder / "gone" / "file").write_bytes(b".")
    shutil.rmtree(folder / "gone")


def keys_of(served: Served, bucket: str) -> dict[str, int]:
    """What the server says is there, folders' markers aside."""
    listed = served.client().list_objects_v2(Bucket=bucket)["Contents"]
    return {each["Key"]: each["Size"] for each in listed if not each["Key"].endswith("/")}


EXPECTED = {
    "sub folder/moved": 23 * MIB + 5,
    "sub folder/small ü+%": len("written over"),
    **{f"many{index}": len(str(index)) for index in range(30)},
}


@pytest.mark.timeout(180)
def test_s3fs_fuse_keeps_a_folder(
    tmp_path: Path,
    served: Served,
    client_environment: dict[str, str],
    tool: Callable[[str], str],
    mounting: Mounting,
) -> None:
    program = tool("s3fs")
    served.client().create_bucket(Bucket="s3fs-fuse")
    environment = {
        **client_environment,
        "AWSACCESSKEYID": client_environment["AWS_ACCESS_KEY_ID"],
        "AWSSECRETACCESSKEY": client_environment["AWS_SECRET_ACCESS_KEY"],
    }
    folder = tmp_path / "mounted"
    options = f"url={served.credentials.endpoint},use_path_request_style,use_cache={tmp_path / 'cache'}"

    with mounting([program, "s3fs-fuse", str(folder), "-f", "-o", options], environment, folder):
        use_as_a_folder(folder)

    assert keys_of(served, "s3fs-fuse") == EXPECTED


@pytest.mark.timeout(180)
def test_rclone_mount_keeps_a_folder(
    tmp_path: Path,
    served: Served,
    pen_environment: dict[str, str],
    tool: Callable[[str], str],
    mounting: Mounting,
) -> None:
    program = tool("rclone")
    served.client().create_bucket(Bucket="rclone-mount")
    folder = tmp_path / "mounted"
    command = [program, "mount", "pen:rclone-mount", str(folder), "--vfs-cache-mode", "writes"]

    with mounting(
        [*command, "--vfs-write-back", "0s", "--cache-dir", str(tmp_path / "cache")], pen_environment, folder
    ):
        use_as_a_folder(folder)
        # It uploads behind the programs' backs, and does not wait for that when it is unmounted.
        deadline = time.monotonic() + UPLOADED_TIMEOUT_S
        while keys_of(served, "rclone-mount") != EXPECTED and time.monotonic() < deadline:
            time.sleep(0.1)

    assert keys_of(served, "rclone-mount") == EXPECTED
