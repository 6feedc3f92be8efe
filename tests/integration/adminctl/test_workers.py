"""`adminctl worker`: rest, settings and runs of background jobs, told to people and programs."""

import re
from collections.abc import Iterator

import pytest

from tests.integration.adminctl.on_terminal import Terminal
from tests.integration.adminctl.running import ControlProcess


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlProcess]:
    with ControlProcess(tmp_path_factory.mktemp("workers")) as running:
        yield running


def told(control: ControlProcess, *arguments: str) -> dict[str, str]:
    """Fields that a command shows."""
    done = control.run("worker", *arguments)
    assert done.returncode == 0, done.stderr
    return dict(re.split(r"  +", line, maxsplit=1) for line in done.stdout.splitlines())


def test_a_pause_is_shown_with_who_and_why_and_ended(control: ControlProcess) -> None:
    told(control, "pause", "cleanup", "--reason", "moving disks", "--until", "2h")

    paused = told(control, "get", "cleanup")
    refused = control.run("worker", "trigger", "cleanup")
    resumed = told(control, "resume", "workers/cleanup")

    assert (paused["enabled"], paused["because"]) == ("no", "moving disks")
    assert paused["paused by"].startswith("first, 20")
    assert paused["until"].startswith("20")
    assert refused.returncode == 8
    assert resumed["enabled"] == "yes"
    assert "paused by" not in resumed


def test_settings_are_shown_with_where_they_come_from(control: ControlProcess) -> None:
    changed = told(control, "update", "compaction", "--interval", "10m", "--rate", "20MiB")
    back = told(control, "update", "compaction", "--reset")

    assert (changed["interval"], changed["rate limit"]) == ("600 s", "20.0 MiB/s")
    assert (changed["set here"], changed["set by"][:7]) == ("interval, rate limit", "first, ")
    assert (back["interval"], back["rate limit"]) == ("300 s", "none")
    assert "set here" not in back


@pytest.mark.parametrize(
    "arguments",
    [
        ("update", "compaction"),
        ("update", "reaper", "--rate", "1MiB"),
        ("update", "compaction", "--interval", "1000d"),
        ("update", "compaction", "--interval", "0.01s"),
        ("pause", "compaction", "--until", "2001-01-01"),
        ("run", "workers/reaper"),
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_ends_with_2(control: ControlProcess, arguments: tuple[str, ...]) -> None:
    done = control.run("worker", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


def test_runs_are_listed_shown_and_followed(control: ControlProcess) -> None:
    control.run("worker", "trigger", "reaper", "--wait")

    listed = control.run("worker", "runs", "reaper")
    every = control.json("worker", "runs")["runs"]
    name = listed.stdout.splitlines()[1].split()[0]
    shown = told(control, "run", name)
    environ = {"PENSTOCK_ENDPOINT": control.address, "PENSTOCK_TOKEN": control.token}
    with Terminal(["worker", "watch-runs"], environ) as terminal:
        terminal.wait_for("succeeded")
        terminal.interrupt()
        status, seen = terminal.end()

    assert listed.stdout.splitlines()[0].split()[:4] == ["NAME", "STATE", "BEGAN", "TOOK"]
    assert "workers/cleanup/runs/" in "".join(run["name"] for run in every)
    assert (shown["name"], shown["state"]) == (name, "succeeded")
    # A narrow terminal shows a block a run.
    assert (status, "STATE" in seen or "state" in seen) == (130, True)
