"""`penstock init`: a configuration that works at once, secrets for their owner only, nothing ever overwritten."""

import hashlib
import json
import os
import pty
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import InvalidConfig
from engine.settings import Settings, load_settings
from engine.settings.database import SqliteSettings
from engine.settings.node import FileKeys

PENSTOCK = [sys.executable, "-P", "-m", "launcher.main"]
CREDENTIALS = [
    "endpoint",
    "region",
    "access_key_id",
    "secret_access_key",
    "control_address",
    "admin_token",
    "ui_url",
    "metrics_url",
]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PENSTOCK, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def initialised(folder: Path, *arguments: str) -> Settings:
    done = run("init", "--data", folder / "data", "--out", folder / "penstock.yaml", "--yes", *arguments)
    assert done.returncode == 0, done.stderr
    return load_settings(folder / "penstock.yaml", {})


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_it_writes_is_a_valid_configuration_with_the_volumes_asked_for(tmp_path: Path) -> None:
    settings = initialised(tmp_path, "--volumes", "2", "--s3-port", "19000")

    assert [each.folder for each in settings.live.backends] == [
        tmp_path / "data/volumes/v1",
        tmp_path / "data/volumes/v2",
    ]
    assert settings.node.listen.s3.port == 19000
    assert settings.live.storage.default_scheme.count == 1
    assert isinstance(settings.node.database, SqliteSettings)
    assert settings.node.database.path == tmp_path / "data/metadata.sqlite"


def test_the_credentials_are_those_of_the_configuration(tmp_path: Path) -> None:
    settings = initialised(tmp_path)
    credentials = json.loads((tmp_path / "data/credentials.json").read_text())

    (identity,) = settings.live.identities
    (token,) = settings.live.admin_tokens
    assert list(credentials) == CREDENTIALS
    assert (identity.access_key_id, identity.role) == (credentials["access_key_id"], "superuser")
    assert identity.secret_access_key.reveal() == credentials["secret_access_key"]
    assert token.sha256 == hashlib.sha256(credentials["admin_token"].encode()).hexdigest()
    assert credentials["endpoint"] == f"http://{settings.node.listen.s3}"


def test_the_admin_token_stands_in_no_configuration(tmp_path: Path) -> None:
    initialised(tmp_path)
    credentials = json.loads((tmp_path / "data/credentials.json").read_text())

    assert credentials["admin_token"] not in (tmp_path / "penstock.yaml").read_text()


def test_secrets_are_for_their_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        initialised(tmp_path)
    finally:
        os.umask(before)

    for name in ("data/master.key", "data/credentials.json", "penstock.yaml"):
        assert mode(tmp_path / name) == 0o600
    for name in ("data", "data/state", "data/volumes/v1"):
        assert mode(tmp_path / name) == 0o700


def test_two_deployments_share_no_secret_and_no_name(tmp_path: Path) -> None:
    first, second = (tmp_path / "a", tmp_path / "b")
    one, other = initialised(first), initialised(second)

    assert one.node.node.name != other.node.node.name
    assert one.live.identities[0].secret_access_key != other.live.identities[0].secret_access_key
    assert (first / "data/master.key").read_bytes() != (second / "data/master.key").read_bytes()
    assert isinstance(one.node.keys, FileKeys)


def test_it_says_that_losing_the_master_key_loses_the_data(tmp_path: Path) -> None:
    done = run("init", "--data", tmp_path / "data", "--yes")

    assert "losing it loses" in done.stdout
    assert (tmp_path / "data/penstock.yaml").exists()


@pytest.mark.parametrize(
    "kept", ["data/master.key", "data/credentials.json", "data/metadata.sqlite", "penstock.yaml"]
)
def test_nothing_that_exists_is_overwritten(tmp_path: Path, kept: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / kept).write_text("precious")

    done = run("init", "--data", tmp_path / "data", "--out", tmp_path / "penstock.yaml", "--yes")

    assert done.returncode == 1
    assert str(tmp_path / kept) in done.stderr
    assert (tmp_path / kept).read_text() == "precious"
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()] == [Path(kept)]


def test_a_link_to_nowhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "penstock.yaml").symlink_to(tmp_path / "elsewhere")

    done = run("init", "--data", tmp_path / "data", "--out", tmp_path / "penstock.yaml", "--yes")

    assert done.returncode == 1
    assert not (tmp_path / "elsewhere").exists()


def test_a_volume_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data/volumes/v2").mkdir(parents=True)
    (tmp_path / "data/volumes/v2/something").touch()

    assert run("init", "--data", tmp_path / "data", "--yes").returncode == 1
    assert not (tmp_path / "data/master.key").exists()


def test_more_copies_name_a_failure_domain_each_and_warn_of_the_shared_disk(tmp_path: Path) -> None:
    done = run("init", "--data", tmp_path / "data", "--copies", "2", "--yes")
    settings = load_settings(tmp_path / "data/penstock.yaml", {})

    assert "share a disk" in done.stdout
    assert [each.failure_domain for each in settings.live.backends] == ["v1", "v2", "v3"]
    assert settings.live.storage.default_scheme.count == 2


@pytest.mark.parametrize(
    "arguments",
    [["--copies", "4"], ["--copies", "0"], ["--volumes", "0"], ["--volumes", "65"], ["--s3-port", "9001"]],
)
def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path: Path, arguments: list[str]) -> None:
    assert run("init", "--data", tmp_path / "data", "--yes", *arguments).returncode == 1
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", ""])
def test_a_port_that_is_none_is_told_what_one_is(tmp_path: Path, port: str) -> None:
    done = run("init", "--data", tmp_path / "data", "--yes", f"--s3-port={port}")

    assert done.returncode == 2
    assert f"--s3-port: a port is a number from 1 to 65535, not {port!r}" in done.stderr


def test_a_folder_that_was_moved_with_its_configuration_works_where_it_is(tmp_path: Path) -> None:
    assert run("init", "--data", tmp_path / "there", "--yes").returncode == 0
    (tmp_path / "there").rename(tmp_path / "here")

    settings = load_settings(tmp_path / "here/penstock.yaml", {})

    assert isinstance(settings.node.database, SqliteSettings)
    assert settings.node.database.path == tmp_path / "here/metadata.sqlite"
    assert [each.folder.parent for each in settings.live.backends] == [tmp_path / "here/volumes"] * 3


@pytest.mark.parametrize(
    "name",
    ["~", "~root", "with space", "with'quote\"s", "${HOME}", "ünïcödé 🗄", "# hash: colon", "back\\slash"],
)
def test_odd_names_of_folders_come_through(tmp_path: Path, name: str) -> None:
    settings = initialised(tmp_path / name)

    assert isinstance(settings.node.database, SqliteSettings)
    assert settings.node.database.path == tmp_path / name / "data/metadata.sqlite"


@pytest.mark.parametrize(("answer", "is_written"), [(b"y\n", True), (b"\n", False), (b"no\n", False)])
def test_a_person_is_asked_first(tmp_path: Path, answer: bytes, is_written: bool) -> None:
    user, terminal = pty.openpty()
    try:
        with subprocess.Popen(
            [*PENSTOCK, "init", "--data", tmp_path / "data"],
            stdin=terminal,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            os.write(user, answer)
            _, said = process.communicate(timeout=30)
    finally:
        os.close(user)
        os.close(terminal)

    assert b"Go on?" in said
    assert (process.returncode == 0) is is_written
    assert (tmp_path / "data/master.key").exists() is is_written


def test_a_disk_that_fills_up_leaves_nothing_that_would_stop_the_next_try(tmp_path: Path) -> None:
    limit = "ulimit -f 0; exec "
    command = shlex.join([*PENSTOCK, "init", "--data", str(tmp_path / "data"), "--yes"])

    done = subprocess.run(
        ["bash", "-c", limit + command], capture_output=True, text=True, timeout=30, check=False
    )

    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert run("init", "--data", tmp_path / "data", "--yes").returncode == 0


def test_a_folder_without_permission_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    done = run("init", "--data", tmp_path / "file" / "data", "--yes")

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_the_key_file_is_checked_like_any_other(tmp_path: Path) -> None:
    initialised(tmp_path)
    (tmp_path / "data/master.key").chmod(0o640)

    with pytest.raises(InvalidConfig, match="0640"):
        load_settings(tmp_path / "penstock.yaml", {})
