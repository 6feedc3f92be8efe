"""`adminctl operation`, and what every command that starts long work does: follow, detach, and end as it ended."""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.adminctl.on_terminal import Terminal
from tests.integration.adminctl.running import BIN, adminctl
from tests.integration.controlplane.operations.works import Counting, CountingWork, Gate, begin
from tests.support.control import RunningPlane, wait_until, write_config

WAIT_S = 20.0


class Rig:
    """A plane that counts, up to a gate at 3, and fails at the number it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gate = Gate(number=3)
        self.config = write_config(folder)
        self.plane = self.make_plane()
        self.fails_at = 0

    def make_plane(self) -> RunningPlane:
        return RunningPlane(self.config, kinds=[Counting(at=self._at).kind])

    def begin(self, to: int = 5, **options: Any) -> str:
        return begin(self.plane.opened.store, to, **options)

    def reach_gate(self) -> None:
        assert self.gate.reached.wait(WAIT_S)

    @property
    def environ(self) -> dict[str, str]:
        return {"PENSTOCK_ENDPOINT": f"unix:{self.plane.state_dir}/admin.sock"}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return adminctl(*arguments, environ=self.environ)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """The command, going on beside the test."""
        return subprocess.Popen(
            [BIN / "adminctl", *arguments],
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **self.environ},
            stdin=subprocess.DEVNULL,
            text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )

    def _at(self, work: CountingWork, number: int) -> None:
        self.gate(work, number)
        if number == self.fails_at:
            raise LookupError("a bug")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    with made.plane:
        yield made
        made.gate.opened.set()
        made.plane.stop()


def test_operations_are_listed_and_shown(rig: Rig) -> None:
    name = rig.begin()
    rig.reach_gate()

    listed = rig.run("operation", "list")
    wide = rig.run("-o", "wide", "operation", "list", "--state", "running")
    none = rig.run("op", "list", "--target", "backends/near")
    shown = rig.run("operation", "get", name.removeprefix("operations/"))

    heading, row = listed.stdout.splitlines()
    assert heading.split() == ["NAME", "ACTION", "TARGET", "STATE", "DONE", "CREATED"]
    assert row.split("  ")[0] == name
    assert "2 of 5 (40 %), 2.0 KiB of 4.9 KiB" in row
    assert "tester" in wide.stdout
    assert (none.stdout.splitlines()[1:], none.returncode) == ([], 0)
    told = dict(re.split(r"  +", line, maxsplit=1) for line in shown.stdout.splitlines() if line[0] != " ")
    assert (told["state"], told["creator"], told["stage"]) == ("running", "tester", "counting")
    assert told["at"] == "number 2"
    assert told["warnings"] == "1"


def test_a_wait_says_nothing_and_ends_as_the_operation_did(rig: Rig) -> None:
    rig.gate.opened.set()
    good = rig.run("operation", "wait", rig.begin())
    rig.fails_at = 2
    bad = rig.run("operation", "wait", rig.begin())

    assert (good.returncode, good.stdout, good.stderr) == (0, "", "")
    assert (bad.returncode, bad.stdout) == (10, "")
    assert bad.stderr.endswith("internal error: LookupError (INTERNAL)\n")


def test_a_wait_that_takes_too_long_ends_with_7_and_the_operation_goes_on(rig: Rig) -> None:
    name = rig.begin()
    rig.reach_gate()

    done = rig.run("--timeout", "1", "operation", "wait", name)

    assert done.returncode == 7
    assert f"{name} goes on" in done.stderr


def test_who_follows_in_a_pipe_gets_lines_and_the_end(rig: Rig) -> None:
    name = rig.begin()
    rig.reach_gate()
    following = rig.start("operation", "watch", name)
    rig.gate.opened.set()

    stdout, stderr = following.communicate(timeout=WAIT_S)

    assert following.returncode == 0
    assert stdout == f"{name}: succeeded, 5 of 5, 4.9 KiB of 4.9 KiB done\n"
    assert stderr.splitlines() == [f"warning: {number} is odd" for number in (1, 3, 5)]


def test_what_it_found_in_the_end_is_shown_field_by_field(rig: Rig) -> None:
    rig.gate.opened.set()
    name = rig.begin()
    rig.run("operation", "wait", name)

    shown = rig.run("operation", "get", name).stdout

    assert re.search(r"^counted to +5$", shown, re.MULTILINE)


def test_programs_get_the_message_of_the_end(rig: Rig) -> None:
    name = rig.begin()
    rig.gate.opened.set()

    done = rig.run("-o", "json", "operation", "watch", name)

    operation = json.loads(done.stdout)["operation"]
    assert (operation["name"], operation["done"], operation["result"]) == (name, True, {"counted_to": 5})


def test_one_that_fails_or_is_cancelled_ends_with_10_or_11(rig: Rig) -> None:
    failing = rig.begin()
    rig.fails_at = 3
    rig.reach_gate()
    following = rig.start("operation", "watch", failing)
    rig.gate.opened.set()
    _, told = following.communicate(timeout=WAIT_S)
    rig.fails_at = 0
    rig.gate.reached.clear()
    rig.gate.opened.clear()
    cancelled = rig.begin(target="numbers/odd")
    rig.reach_gate()
    other = rig.start("operation", "watch", cancelled)
    cancelling = rig.start("operation", "cancel", cancelled)
    wait_until(lambda: "to be cancelled" in rig.run("operation", "list").stdout, "the cancel")
    rig.gate.opened.set()

    said, _ = cancelling.communicate(timeout=WAIT_S)
    other.communicate(timeout=WAIT_S)

    assert following.returncode == 10
    assert f"error: {failing}: internal error: LookupError (INTERNAL)" in told
    assert (cancelling.returncode, said) == (0, f"{cancelled}: cancelled\n")
    assert other.returncode == 11


def test_an_interrupt_leaves_it_alone_and_says_its_name(rig: Rig) -> None:
    name = rig.begin()
    rig.reach_gate()
    with Terminal(["operation", "watch", name], rig.environ) as terminal:
        terminal.wait_for("2 of 5")
        terminal.interrupt()
        status, shown = terminal.end()

    assert status == 130
    assert f"\ndetached: {name} goes on" in shown
    assert "40%" in shown
    assert "running" in rig.run("operation", "get", name).stdout


def test_a_second_interrupt_asks_and_cancels(rig: Rig) -> None:
    name = rig.begin()
    rig.reach_gate()
    with Terminal(["operation", "watch", name], rig.environ) as terminal:
        terminal.wait_for("2 of 5")
        terminal.interrupt()
        terminal.wait_for("Ctrl-C again to cancel it")
        terminal.interrupt()
        terminal.wait_for("[y/N]")
        terminal.type("y\n")
        terminal.wait_for("cancelling after the step at hand")
        rig.gate.opened.set()
        status, shown = terminal.end()

    assert status == 11
    assert f"Cancel {name}?" in shown
    assert f"{name}: cancelled" in shown


def test_a_second_interrupt_that_is_not_confirmed_changes_nothing(rig: Rig) -> None:
    name = rig.begin()
    rig.reach_gate()
    with Terminal(["operation", "watch", name], rig.environ) as terminal:
        terminal.wait_for("2 of 5")
        terminal.interrupt()
        terminal.wait_for("Ctrl-C again to cancel it")
        terminal.interrupt()
        terminal.wait_for("[y/N]")
        terminal.type("\n")
        status, shown = terminal.end()

    assert (status, "it goes on" in shown) == (130, True)
    assert "to be cancelled" not in rig.run("operation", "get", name).stdout


def test_a_second_interrupt_that_comes_to_nothing_says_so(rig: Rig) -> None:
    name = rig.begin()
    rig.reach_gate()
    environ = {"PENSTOCK_ENDPOINT": f"unix:{rig.plane.state_dir}/viewer.sock"}
    with Terminal(["operation", "watch", name], environ) as terminal:
        terminal.wait_for("2 of 5")
        terminal.interrupt()
        terminal.wait_for("Ctrl-C again to cancel it")
        terminal.interrupt()
        terminal.wait_for("[y/N]")
        terminal.type("y\n")
        status, shown = terminal.end()

    assert status == 130
    assert "error: PERMISSION_DENIED" in shown
    assert "to be cancelled" not in rig.run("operation", "get", name).stdout


def test_who_follows_outlasts_a_restart_of_the_control_plane(rig: Rig) -> None:
    name = rig.begin()
    rig.reach_gate()
    following = rig.start("operation", "watch", name)
    time.sleep(1.0)

    stopping = rig.plane.stop_serving()
    rig.gate.opened.set()
    stopping.result(WAIT_S)
    rig.plane.stop()
    rig.plane = rig.make_plane()
    with rig.plane:
        stdout, stderr = following.communicate(timeout=WAIT_S)

    assert following.returncode == 0
    assert "waiting for it to come back" in stderr
    assert stdout.startswith(f"{name}: succeeded, 5 of 5")


def test_only_one_that_has_ended_is_forgotten(rig: Rig) -> None:
    name = rig.begin()
    rig.reach_gate()
    refused = rig.run("operation", "delete", name)
    rig.gate.opened.set()
    rig.run("operation", "wait", name)

    deleted = rig.run("operation", "delete", name)

    assert refused.returncode == 8
    assert "OPERATION_OPEN" in refused.stderr
    assert (deleted.returncode, deleted.stdout) == (0, f"{name}: forgotten\n")
    assert rig.run("operation", "get", name).returncode == 4
