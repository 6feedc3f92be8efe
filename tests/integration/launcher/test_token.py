"""`penstock token reset` puts a new token in the place of a lost one, while the deployment serves or rests."""

import hashlib
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.deployment.opening import open_deployment
from tests.integration.adminctl.running import ControlProcess, adminctl
from tests.integration.launcher.test_fsck import run


@pytest.fixture
def config(tmp_path: Path) -> Path:
    assert run("init", "--data", tmp_path, "--yes").returncode == 0
    return tmp_path / "penstock.yaml"


def token_of(config: Path) -> str:
    return str(json.loads((config.parent / "credentials.json").read_text())["admin_token"])


def is_known(config: Path, token: str) -> bool:
    opened = open_deployment(config, {}, plane="controlplane", version="1")
    try:
        return opened.find_admin(hashlib.sha256(token.encode()).digest()) is not None
    finally:
        opened.close()


def test_the_new_token_is_known_and_the_lost_one_is_not(config: Path) -> None:
    lost, before = token_of(config), config.read_text()
    assert is_known(config, lost)

    done = run("token", "reset", "--config", config)

    (fresh,) = done.stdout.splitlines()
    assert done.returncode == 0
    assert not is_known(config, lost)
    assert is_known(config, fresh)
    digests = [hashlib.sha256(each.encode()).hexdigest() for each in (lost, fresh)]
    assert config.read_text() == before.replace(digests[0], digests[1])
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert fresh not in done.stderr
    assert fresh not in config.read_text()


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[ControlProcess]:
    with ControlProcess(tmp_path) as control:
        yield control


def test_a_deployment_that_serves_takes_it_at_once(serving: ControlProcess) -> None:
    assert serving.run("version").returncode == 0

    (fresh,) = run("token", "reset", "--config", serving.config).stdout.splitlines()

    assert serving.run("version").returncode == 5
    environ = {"PENSTOCK_ENDPOINT": serving.address, "PENSTOCK_TOKEN": fresh}
    assert adminctl("version", environ=environ).returncode == 0


def test_other_changes_of_the_file_are_not_put_in_force_along_the_way(config: Path) -> None:
    assert is_known(config, token_of(config))
    changed = config.read_text() + "\nrate_limits: {per_address: 1000}\n"
    config.write_text(changed)

    done = run("token", "reset", "--config", config)

    assert (done.returncode, done.stdout) == (1, "")
    assert "other changes" in done.stderr
    assert config.read_text() == changed


@pytest.mark.parametrize(
    ("tokens", "arguments", "said"),
    [
        ("[]", (), "there are 0 tokens of admins (of all: none)"),
        ("[{name: a, role: viewer, sha256: %s}]", (), "(of all: a)"),
        ("[{name: a, role: admin, sha256: %s}]", ("--name", "b"), "no token 'b'"),
        ('[{name: a, role: admin, sha256: "${file:digest}"}]', (), "as a reference"),
    ],
)
def test_what_cannot_be_reset_is_said_and_nothing_changes(
    config: Path, tokens: str, arguments: tuple[str, ...], said: str
) -> None:
    text = config.read_text()
    begin = text.index("admin_tokens:")
    end = text.index("\n", text.index("sha256", begin))
    digest = "ab" * 32
    (config.parent / "digest").write_text(digest)
    config.write_text(text[:begin] + "admin_tokens: " + tokens.replace("%s", digest) + text[end:])
    before = config.read_bytes()

    done = run("token", "reset", "--config", config, *arguments)

    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert config.read_bytes() == before
