"""s3cmd: MD5 attributes, listings of the first kind, part uploads, sync, copies and moves."""

import filecmp
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.running import run
from tests.support.served import Served

MIB = 1024**2


@pytest.fixture
def s3cmd(
    tmp_path: Path, served: Served, client_environment: dict[str, str], tool: Callable[[str], str]
) -> Callable[..., str]:
    """Runs s3cmd with a configuration of its own; what it printed."""
    program = tool("s3cmd")
    address = served.credentials.endpoint.removeprefix("http://")
    settings = tmp_path / "s3cfg"
    settings.write_text(
        "[default]\n"
        f"access_key = {served.credentials.access_key_id}\n"
        f"secret_key = {served.credentials.secret_access_key}\n"
        f"host_base = {address}\n"
        f"host_bucket = {address}\n"
        f"bucket_location = {served.credentials.region}\n"
        "use_https = False\n"
    )

    def call(*words: str | Path) -> str:
        return run(
            [program, "--config", str(settings), "--no-progress", *map(str, words)], client_environment
        )

    return call


def test_a_file_of_several_parts_comes_back(tmp_path: Path, s3cmd: Callable[..., str]) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    there.write_bytes(os.urandom(17 * MIB))
    s3cmd("mb", "s3://s3cmd-parts")

    s3cmd("put", "--multipart-chunk-size-mb=5", "--acl-private", there, "s3://s3cmd-parts/sub folder/ü+%.bin")
    s3cmd("get", "s3://s3cmd-parts/sub folder/ü+%.bin", back)

    assert filecmp.cmp(there, back, shallow=False)
    told = s3cmd("info", "s3://s3cmd-parts/sub folder/ü+%.bin")
    assert f"File size: {17 * MIB}" in told
    s3cmd("rb", "--recursive", "s3://s3cmd-parts")


def test_a_second_sync_copies_nothing_and_deletes_what_is_gone(
    tmp_path: Path, s3cmd: Callable[..., str]
) -> None:
    source = tmp_path / "source"
    names = [f"d{index % 3}/file {index} ü+%&.bin" for index in range(24)]
    for index, name in enumerate(names):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(os.urandom(index * 997))
    s3cmd("mb", "s3://s3cmd-sync")

    first = s3cmd("sync", f"{source}/", "s3://s3cmd-sync/tree/")
    second = s3cmd("sync", f"{source}/", "s3://s3cmd-sync/tree/")
    s3cmd("sync", "s3://s3cmd-sync/tree/", f"{tmp_path / 'back'}/")
    (source / names[0]).unlink()
    third = s3cmd("sync", "--delete-removed", f"{source}/", "s3://s3cmd-sync/tree/")

    assert first.count("upload: ") == len(names)
    assert "upload: " not in second
    assert third.count("delete: ") == 1
    same, different, lost = filecmp.cmpfiles(source, tmp_path / "back", names[1:], shallow=False)
    assert (len(same), different, lost) == (len(names) - 1, [], [])
    listed = s3cmd("ls", "--recursive", "s3://s3cmd-sync/tree/")
    assert len(listed.splitlines()) == len(names) - 1
    s3cmd("rb", "--recursive", "--force", "s3://s3cmd-sync")


def test_copies_moves_and_deletes_are_seen_in_listings(tmp_path: Path, s3cmd: Callable[..., str]) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"moved about")
    s3cmd("mb", "s3://s3cmd-moves")
    s3cmd("put", source, "s3://s3cmd-moves/a/first")

    s3cmd("cp", "s3://s3cmd-moves/a/first", "s3://s3cmd-moves/b/copied")
    s3cmd("mv", "s3://s3cmd-moves/a/first", "s3://s3cmd-moves/b/moved")
    s3cmd("modify", "--add-header=Cache-Control:no-store", "s3://s3cmd-moves/b/moved")

    listed = [line.split()[-1] for line in s3cmd("ls", "--recursive", "s3://s3cmd-moves").splitlines()]
    assert listed == ["s3://s3cmd-moves/b/copied", "s3://s3cmd-moves/b/moved"]
    assert "DIR" in s3cmd("ls", "s3://s3cmd-moves")
    s3cmd("get", "s3://s3cmd-moves/b/moved", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"moved about"
    s3cmd("del", "--recursive", "--force", "s3://s3cmd-moves/b")
    assert s3cmd("ls", "--recursive", "s3://s3cmd-moves") == ""
    s3cmd("rb", "s3://s3cmd-moves")
