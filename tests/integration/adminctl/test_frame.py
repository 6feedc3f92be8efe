"""What every command has in common: formats, options behind the verb, contexts, watching, confirmation, completion."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.adminctl.on_terminal import Terminal
from tests.integration.adminctl.running import BIN, ControlProcess, adminctl
from tests.support.control import wait_until

CONFIRMING = """
import sys
from adminctl.confirm import confirm
import click
try:
    confirm("near", ["backend near holds 3 pieces"], yes="--yes" in sys.argv)
except click.exceptions.Exit as end:
    sys.exit(end.exit_code)
print("done")
"""


# --- formats and options ---


def test_global_options_may_stand_anywhere(control: ControlProcess) -> None:
    before = control.run("-o", "json", "backend", "list").stdout
    between = control.run("backend", "-o", "json", "list").stdout
    behind = control.run("backend", "list", "-o", "json").stdout
    twice = control.run("-o", "yaml", "backend", "list", "--output", "json").stdout

    assert json.loads(before)["backends"]
    assert before == between == behind == twice


@pytest.mark.parametrize("format_", ["json", "jsonl", "yaml", "name", "csv", "template={name}"])
def test_every_format_names_every_backend(control: ControlProcess, format_: str) -> None:
    done = control.run("backend", "list", "-o", format_)

    assert (done.returncode, done.stderr) == (0, "")
    assert all(f"backends/v{number}" in done.stdout for number in (1, 2, 3))


def test_wide_has_more_columns_and_headings_may_be_left_out(control: ControlProcess) -> None:
    plain = control.run("backend", "list").stdout.splitlines()
    wide = control.run("backend", "list", "-o", "wide").stdout.splitlines()
    bare = control.run("backend", "list", "--no-headers").stdout.splitlines()

    assert len(wide[0].split()) > len(plain[0].split())
    assert [line.split()[0] for line in bare] == [line.split()[0] for line in plain[1:]]


def test_csv_is_read_by_others(control: ControlProcess) -> None:
    done = control.run("worker", "list", "-o", "csv")

    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert {"workers/cleanup", "workers/reaper"} <= {row["name"] for row in rows}


@pytest.mark.parametrize(
    "command",
    [
        ("version", "-o", "name"),
        ("backend", "list", "-o", "template={colour}"),
        ("backend", "list", "-o", "jsom"),
        ("--cert", "c.pem", "backend", "list"),
        ("--ca", "/nonexistent", "backend", "list"),
        ("--context", "nowhere", "backend", "list"),
        ("api", "call", "BackendService/Explode"),
        ("api", "call", "BackendService/GetBackend", "{"),
        ("api", "call", "BackendService/GetBackend", '{"colour": 1}'),
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_ends_with_2_and_one_line(
    control: ControlProcess, command: tuple[str, ...]
) -> None:
    done = control.run(*command)

    assert (done.returncode, done.stdout) == (2, "")
    assert "rror: " in done.stderr


def piped(control: ControlProcess, rest: str) -> subprocess.CompletedProcess[str]:
    """What comes of `adminctl REST`, run by a shell."""
    return subprocess.run(
        ["bash", "-c", f"{BIN}/adminctl {rest}"],
        env={
            "PATH": os.environ["PATH"],
            "PENSTOCK_ENDPOINT": control.address,
            "PENSTOCK_TOKEN": control.token,
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    "rest", ["api list -o jsonl | head -1", "worker list -o csv | head -1", "--help | true"]
)
def test_a_reader_that_has_enough_ends_it_quietly(control: ControlProcess, rest: str) -> None:
    done = piped(control, rest)

    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_is_told(control: ControlProcess) -> None:
    done = piped(control, "worker list -o json > /dev/full")

    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"FORCE_COLOR": "1"}])
def test_a_table_has_no_colours(control: ControlProcess, environ: dict[str, str]) -> None:
    done = control.run("backend", "list", environ=environ)

    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("doctor",),
        ("version",),
        ("whoami",),
        ("top", "--once"),
        ("system", "get-stats"),
        *((noun, "list") for noun in ("backend", "worker", "operation", "bucket", "token", "audit")),
    ],
    ids=" ".join,
)
def test_with_the_server_down_every_command_says_where_it_looked(command: tuple[str, ...]) -> None:
    done = adminctl("--address", "127.0.0.1:1", *command)

    assert (done.returncode, done.stdout) == (6, "")
    assert done.stderr.startswith("error: UNAVAILABLE: no connection: Connection refused\n")
    assert "127.0.0.1:1 (--address)" in done.stderr


def test_on_a_terminal_hints_fit_its_width() -> None:
    with Terminal(["status"], {"PENSTOCK_ENDPOINT": "127.0.0.1:1"}) as terminal:
        status, shown = terminal.end()

    assert status == 6
    assert max(map(len, shown.splitlines())) <= 80


# --- any method ---


def test_any_method_is_called_by_its_name(control: ControlProcess) -> None:
    short = control.run("api", "call", "BackendService/GetBackend", '{"name": "backends/v1"}')
    full = control.run(
        "api", "call", "penstock.admin.v1.BackendService/GetBackend", "-", stdin='{"name": "backends/v1"}'
    )
    names = control.run("api", "list", "-o", "name").stdout.split()

    for told in (short, full):
        assert json.loads(told.stdout)["backend"]["name"] == "backends/v1"
    assert {"BackendService/GetBackend", "SystemService/GetHealth"} <= set(names)


# --- contexts ---


def test_a_context_stands_for_address_and_token(control: ControlProcess, tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    token = tmp_path / "token"
    token.write_text(control.token)
    token.chmod(0o600)

    made = adminctl(
        "context", "set", "here", "--endpoint", control.address, "--token-file", str(token), environ=home
    )
    listed = adminctl("context", "list", environ=home)
    tested = adminctl("context", "test", environ=home)
    used = adminctl("backend", "list", environ=home)
    adminctl("context", "set", "other", "--endpoint", "127.0.0.1:1", "--use", environ=home)
    other = adminctl("backend", "list", environ=home)
    by_flag = adminctl("--context", "here", "backend", "list", environ=home)
    adminctl("context", "use", "here", environ=home)
    deleted = adminctl("context", "delete", "other", environ=home)
    names = adminctl("context", "list", "-o", "name", environ=home)

    assert (made.returncode, used.returncode, other.returncode, by_flag.returncode) == (0, 0, 6, 0)
    assert [line.split()[:3] for line in listed.stdout.splitlines()[1:]] == [["*", "here", control.address]]
    assert control.token not in listed.stdout
    assert "context here" in tested.stdout
    assert (deleted.returncode, names.stdout) == (0, "here\n")


def test_a_file_of_contexts_that_others_may_read_is_refused(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    adminctl("context", "set", "here", "--endpoint", "127.0.0.1:1", environ=home)
    (tmp_path / ".config" / "penstock" / "config.yaml").chmod(0o644)

    done = adminctl("backend", "list", environ=home)

    assert done.returncode == 2
    assert "chmod 600" in done.stderr


def test_a_token_that_would_go_in_the_clear_is_warned_of() -> None:
    done = adminctl(
        "--timeout",
        "0.2",
        "backend",
        "list",
        environ={"PENSTOCK_ENDPOINT": "192.0.2.1:1", "PENSTOCK_TOKEN": "t"},
    )

    assert "in the clear to 192.0.2.1:1" in done.stderr


# --- watching ---


def test_what_changes_is_shown_while_watching(control: ControlProcess) -> None:
    environ = {"PENSTOCK_ENDPOINT": control.address, "PENSTOCK_TOKEN": control.token}
    with Terminal(["worker", "get", "reaper", "-w"], environ) as terminal:
        first = terminal.wait_for("last success")
        terminal.wait_for("\x1b[H")
        terminal.interrupt()
        status, _ = terminal.end()

    assert "workers/reaper" in first
    assert status == 130


def test_in_a_pipe_only_new_lines_are_shown(control: ControlProcess, tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    with shown.open("w") as out:
        watching = subprocess.Popen(
            [
                BIN / "adminctl",
                "worker",
                "list",
                "-w",
                "-o",
                "template={name} {triggered} {last_success_time}",
            ],
            env={
                "PATH": os.environ["PATH"],
                "PENSTOCK_ENDPOINT": control.address,
                "PENSTOCK_TOKEN": control.token,
            },
            stdin=subprocess.DEVNULL,
            stdout=out,
        )
    try:
        wait_until(lambda: "workers/cleanup" in shown.read_text(), "the first look")
        control.run("worker", "trigger", "multipart", "--wait")
        wait_until(lambda: shown.read_text().count("workers/multipart") > 1, "the change")
    finally:
        watching.terminate()
        watching.wait(30)

    assert shown.read_text().count("workers/compaction") == 1


def test_watching_goes_on_while_nobody_answers() -> None:
    with Terminal(["status", "-w"], {"PENSTOCK_ENDPOINT": "127.0.0.1:1"}) as terminal:
        terminal.wait_for("UNAVAILABLE")
        terminal.wait_for("is this its")

        assert terminal.process.poll() is None


# --- confirmation ---


def confirming(*arguments: str) -> list[str]:
    return ["-P", "-c", CONFIRMING, *arguments]


@pytest.mark.parametrize(("answer", "ends"), [("near\n", 0), ("far\n", 11), ("\n", 11), ("\x04", 11)])
def test_what_destroys_is_done_once_its_name_was_typed(answer: str, ends: int) -> None:
    with Terminal(confirming(), {}, program="python") as terminal:
        terminal.wait_for("Type near")
        terminal.type(answer)
        status, shown = terminal.end()

    assert "backend near holds 3 pieces" in shown
    assert (status, "\ndone\n" in shown) == (ends, ends == 0)


def test_where_nobody_can_be_asked_yes_has_to_be_said() -> None:
    silent = subprocess.run([sys.executable, *confirming()], input="near\n", capture_output=True, text=True)
    said = subprocess.run([sys.executable, *confirming("--yes")], capture_output=True, text=True)

    assert (silent.returncode, silent.stdout) == (2, "")
    assert "--yes" in silent.stderr
    assert (said.returncode, said.stdout) == (0, "done\n")


# --- completion ---


def completed(line: str, environ: dict[str, str]) -> list[str]:
    asked = {
        "_ADMINCTL_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }
    done = adminctl(environ={**environ, **asked})
    return [each.partition(",")[2] for each in done.stdout.split()]


def test_nouns_verbs_options_and_names_are_completed(control: ControlProcess, tmp_path: Path) -> None:
    environ = {
        "PENSTOCK_ENDPOINT": control.address,
        "PENSTOCK_TOKEN": control.token,
        "XDG_CACHE_HOME": str(tmp_path),
    }

    assert "backend" in completed("adminctl ba", environ)
    assert set(completed("adminctl backend ", environ)) >= {"list", "get"}
    assert "--wait" in completed("adminctl worker trigger --w", environ)
    assert "jsonl" in completed("adminctl -o js", environ)
    assert completed("adminctl backend get v", environ) == ["v1", "v2", "v3"]
    # Asked once, they are known for a moment.
    assert completed("adminctl backend get v", {**environ, "PENSTOCK_TOKEN": control.token}) == [
        "v1",
        "v2",
        "v3",
    ]
    assert all(control.token not in each.read_text() for each in tmp_path.rglob("*.json"))


def test_names_are_left_out_where_nobody_answers(tmp_path: Path) -> None:
    environ = {"PENSTOCK_ENDPOINT": "127.0.0.1:1", "XDG_CACHE_HOME": str(tmp_path)}

    assert completed("adminctl backend get v", environ) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str) -> None:
    done = adminctl("completion", shell)

    assert done.returncode == 0
    assert "_ADMINCTL_COMPLETE" in done.stdout
