"""The configuration is changed with `adminctl` alone: looked at, put in force, gone back in, watched."""

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.deployment.opening import OpenDeployment, open_deployment
from tests.integration.adminctl.running import BIN, TIMEOUT_S, ControlProcess


@pytest.fixture
def control(tmp_path: Path) -> Iterator[ControlProcess]:
    with ControlProcess(tmp_path) as running:
        yield running


def edit(control: ControlProcess, old: str, new: str) -> None:
    text = control.config.read_text()
    assert text.count(old) == 1, text
    control.config.write_text(text.replace(old, new))


def test_a_change_is_looked_at_put_in_force_and_gone_back_from(control: ControlProcess) -> None:
    edit(control, "routing: spread", "routing: pack")

    diff = control.run("config", "diff")
    looked = control.run("config", "reload", "--dry-run")
    reloaded = control.run("config", "reload")
    again = control.run("config", "reload")
    history = control.run("config", "history")
    shown = control.run("config", "show", "2")
    back = control.run("config", "rollback", "1", "--yes")

    changed = ["routing", "spread", "pack", "live"]
    for each in (diff, looked, reloaded, shown):
        assert each.returncode == 0
        assert each.stdout.splitlines()[1].split() == changed
    assert "nothing was changed" in looked.stderr
    assert "generation 2 is in force" in reloaded.stderr
    assert reloaded.stdout.splitlines()[-1].split()[-2:] == ["2", "applied"]
    assert "generation 2 says so already" in again.stderr
    assert [line.split()[0] for line in history.stdout.splitlines()] == ["GENERATION", "2", "1"]
    assert "routing: pack -> spread" in back.stderr
    assert (back.returncode, control.json("config", "get")["config"]["routing"]) == (0, "spread")


def test_a_bad_file_is_refused_with_its_lines_and_ends_with_2(control: ControlProcess) -> None:
    edit(control, "routing: spread", "routing: everywhere")
    line = control.config.read_text()[: control.config.read_text().index("routing:")].count("\n") + 1

    done = control.run("config", "reload")

    assert (done.returncode, done.stdout) == (2, "")
    assert f"line {line}: routing: expected pack or spread" in done.stderr
    assert control.json("config", "get")["generation"] == "1"


def test_a_file_of_this_machine_is_compared_and_put_in_force(control: ControlProcess) -> None:
    sent = control.folder / "sent.yaml"
    sent.write_text(control.config.read_text().replace("routing: spread", "routing: pack"))

    diff = control.run("config", "diff", str(sent))
    looked = control.run("config", "apply", str(sent), "--dry-run")
    applied = control.run("config", "apply", str(sent), "--base", "1", "--comment", "fill one first")
    history = control.run("config", "history")
    late = control.run("config", "apply", str(sent), "--base", "1")
    told = control.json("config", "apply", str(sent))
    both = control.run("config", "diff", str(sent), "--to", "1")

    for each in (diff, looked, applied):
        assert each.returncode == 0
        assert each.stdout.splitlines()[1].split() == ["routing", "spread", "pack", "live"]
    assert "nothing was changed" in looked.stderr
    assert "generation 2 is in force" in applied.stderr
    assert "fill one first" in history.stdout
    assert applied.stdout.splitlines()[-1].split()[-2:] == ["2", "applied"]
    assert (late.returncode, both.returncode) == (8, 2)
    assert (told["generation"], told["committed"]) == ("2", False)


def test_a_bad_file_of_this_machine_is_refused_with_its_lines(control: ControlProcess) -> None:
    sent = control.folder / "sent.yaml"
    sent.write_text("backends: []\nrouting: everywhere\n")

    done = control.run("config", "apply", str(sent))

    assert (done.returncode, done.stdout) == (2, "")
    assert "line 2: routing: expected pack or spread" in done.stderr


def test_of_each_value_it_is_told_where_it_comes_from(control: ControlProcess) -> None:
    shown = control.run("config", "get", "--sources")
    refused = control.run("config", "get", "--sources", "--view", "file")

    heading, *rows = [re.split(r"  +", line) for line in shown.stdout.splitlines()]
    told = {row[0]: tuple(row[1:]) for row in rows}
    assert heading == ["WHAT", "IS", "FROM"]
    assert told["region"] == ("us-east-1", "default")
    assert told["node.name"][1] == "file"
    assert told["workers.cleanup.enabled"] == ("true", "default")
    assert told["admin_tokens[first].sha256"] == ("***", "file")
    assert refused.returncode == 2


def test_what_is_shown_is_a_file_but_for_its_secrets(control: ControlProcess) -> None:
    shown = json.loads(control.run("config", "get").stdout)
    for token in shown["admin_tokens"]:
        token["sha256"] = "${file:digest}"
    for identity in shown["identities"]:
        identity["secret_access_key"] = "another-secret-0123456789"
    (control.folder / "digest").write_text("0123456789abcdef" * 4)
    sent = control.folder / "sent.json"
    sent.write_text(json.dumps(shown))

    looked = control.run("config", "apply", str(sent), "--dry-run")

    assert looked.returncode == 0, looked.stderr
    changed = {line.split()[0].rpartition(".")[2] for line in looked.stdout.splitlines()[1:]}
    assert changed <= {"sha256", "secret_access_key"}


@contextmanager
def ticking(opened: OpenDeployment) -> Iterator[None]:
    """A process that does nothing but give signs of life."""
    stopping = threading.Event()

    def tick() -> None:
        while not stopping.wait(0.1):
            opened.tick()

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
        opened.close()


def test_a_process_that_cannot_take_it_makes_it_end_with_3(control: ControlProcess) -> None:
    region = control.folder / "region"
    region.write_text("eu-test-1")
    elsewhere = control.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "penstock.yaml").write_text(control.config.read_text().replace('"./', f'"{control.folder}/'))
    other = open_deployment(elsewhere / "penstock.yaml", {}, plane="dataplane", version="1")
    edit(control, "region: us-east-1", 'region: "${file:region}"')

    with ticking(other):
        done = control.run("config", "reload")
        instances = control.json("instance", "list")["instances"]
        runs = control.json("config", "get", "--view", "runtime")["generation"]

    assert done.returncode == 3
    assert "not every process runs it" in done.stderr
    (line,) = [line for line in done.stdout.splitlines() if "refused" in line]
    assert line.split()[1:5] == ["data", str(os.getpid()), "1", "refused"]
    assert f"{elsewhere}/region cannot be read" in line
    assert runs == "2"
    refusals = {each["refused_generation"] for row in instances for each in row["processes"]}
    assert refusals == {"0", "2"}


def test_going_back_asks_and_without_somebody_to_ask_it_ends_with_2(control: ControlProcess) -> None:
    edit(control, "routing: spread", "routing: pack")
    control.run("config", "reload")

    looked = control.run("config", "rollback", "1", "--dry-run")
    refused = control.run("config", "rollback", "1")
    nowhere = control.run("config", "rollback", "9", "--yes")

    assert (looked.returncode, refused.returncode, nowhere.returncode) == (0, 2, 4)
    assert control.json("config", "get")["config"]["routing"] == "pack"


def test_what_happens_is_watched_a_line_each(control: ControlProcess) -> None:
    with subprocess.Popen(
        [BIN / "adminctl", "-o", "json", "config", "watch"],
        env={"PENSTOCK_ENDPOINT": control.address, "PENSTOCK_TOKEN": control.token},
        stdout=subprocess.PIPE,
        text=True,
    ) as watching:
        # Reading a line waits; a command that is gone ends the wait.
        killer = threading.Timer(TIMEOUT_S, watching.kill)
        killer.start()
        try:
            assert watching.stdout is not None
            assert json.loads(watching.stdout.readline())["generation"] == "1"
            edit(control, "routing: spread", "routing: pack")
            control.run("config", "reload")
            told = json.loads(watching.stdout.readline())
            while [each["generation"] for each in told["processes"]] != ["2"]:
                told = json.loads(watching.stdout.readline())
        finally:
            killer.cancel()
            watching.kill()
