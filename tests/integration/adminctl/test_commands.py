"""Every command against a real control plane: tables for people, the message's JSON for programs, and exit statuses."""

import json
import os
import pty
import re
import select
import signal
import subprocess
from pathlib import Path

import pytest

from engine.deployment.opening import OpenDeployment, open_deployment
from engine.metadata import leases
from engine.metadata.workers import WorkerRow, list_workers
from tests.integration.adminctl.running import BIN, ControlProcess
from tests.support.control import put_object, wait_until


def test_status_without_a_data_plane_says_so_and_ends_with_3(control: ControlProcess) -> None:
    done = control.run("status")

    lines = done.stdout.splitlines()
    assert done.returncode == 3
    assert lines[0] == "status: failed"
    assert lines[1].split() == ["CHECK", "STATUS", "TOOK", "MESSAGE"]
    assert any(line.startswith("database") and " ok " in line for line in lines)
    assert "no data plane runs" in done.stdout


def test_status_of_a_deployment_that_serves_is_ok_and_ends_with_0(control: ControlProcess) -> None:
    opened = open_deployment(control.config, {}, plane="dataplane", version="1")
    try:
        done = control.run("status")
        told = control.json("status")
    finally:
        opened.close()

    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "status: ok")
    assert told["status"] == "HEALTH_STATUS_OK"
    assert {"database", "backends/v1", "workers/cleanup", "dataplane"} <= {c["name"] for c in told["checks"]}


def test_backends_are_listed_and_shown(control: ControlProcess) -> None:
    listed = control.run("backend", "list")
    shown = control.run("backend", "get", "v1")
    named_in_full = control.run("backend", "get", "backends/v1")
    told = control.json("backend", "get", "v1")["backend"]

    assert listed.stdout.splitlines()[0].split() == ["NAME", "KIND", "STATE", "USED", "LIMIT", "PROBLEM"]
    assert [line.split()[0] for line in listed.stdout.splitlines()[1:]] == [
        f"backends/v{n}" for n in (1, 2, 3)
    ]
    assert "identity ok" in shown.stdout
    moment = re.compile(r"T\d\d:\d\d:\d\dZ")
    # Between the two another look at it may have been taken.
    assert moment.sub("", shown.stdout) == moment.sub("", named_in_full.stdout)
    assert (told["name"], told["state"], told["kind"]) == ("backends/v1", "BACKEND_STATE_ACTIVE", "volume")
    assert told["capacity"]["used_bytes"] == "0"


def test_workers_are_listed_and_shown(control: ControlProcess) -> None:
    listed = control.run("worker", "list")
    shown = control.run("worker", "get", "cleanup")
    told = control.json("worker", "list")["workers"]

    assert [line.split()[0] for line in listed.stdout.splitlines()[1:]] == [each["name"] for each in told]
    assert "workers/cleanup" in listed.stdout
    assert "Deletes bytes" in shown.stdout
    assert {each["enabled"] for each in told} == {True}


def test_a_triggered_run_is_waited_for(control: ControlProcess) -> None:
    done = control.run("worker", "trigger", "cleanup", "--wait")
    told = control.json("worker", "trigger", "cleanup", "--wait")["operation"]

    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"operations/[0-9a-f]{32}: 0 done, 0 put off\n", done.stdout)
    assert (told["done"], told["state"]) == (True, "OPERATION_STATE_SUCCEEDED")


def test_a_run_that_was_only_asked_for_can_be_looked_at(control: ControlProcess) -> None:
    done = control.run("worker", "trigger", "reaper")
    name = done.stdout.split(":")[0]

    shown = control.run("operation", "get", name)

    assert done.returncode == 0
    assert f"adminctl operation get {name}" in done.stdout
    assert shown.returncode == 0
    assert "workers/reaper" in shown.stdout


def test_the_configuration_is_shown_without_secrets(control: ControlProcess) -> None:
    done = control.run("config", "get")
    told = control.json("config", "get")

    assert json.loads(done.stdout) == told["config"]
    assert "generation 1 by file" in done.stderr
    assert control.access_secret not in done.stdout
    assert '"secret_access_key": "***"' in done.stdout


def test_a_good_configuration_is_valid(control: ControlProcess) -> None:
    from_file = control.run("config", "validate", str(control.config))
    from_stdin = control.run("config", "validate", "-", stdin=control.config.read_text())

    assert (from_file.returncode, from_file.stdout, from_file.stderr) == (0, "", "ok\n")
    assert from_stdin.returncode == 0


def test_a_bad_configuration_is_told_line_by_line_and_ends_with_2(
    control: ControlProcess, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.yaml"
    text = control.config.read_text().replace("routing: spread", "routing: everywhere") + "unheard_of: 1\n"
    bad.write_text(text)
    lines = text.splitlines()

    done = control.run("config", "validate", str(bad))
    told = control.run("--output", "json", "config", "validate", str(bad))

    assert (done.returncode, told.returncode) == (2, 2)
    assert [line.split(": ")[:2] for line in done.stdout.splitlines()] == [
        [f"{bad}:{lines.index('routing: everywhere') + 1}", "routing"],
        [f"{bad}:{len(lines)}", "unheard_of"],
    ]
    assert [each["path"] for each in json.loads(told.stdout)["problems"]] == ["routing", "unheard_of"]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "raw"), (b"region: \xff\n", "UTF-8"), (b"x" * 5_000_000, "RESOURCE_EXHAUSTED")],
)
def test_a_file_that_is_no_configuration_is_refused(
    control: ControlProcess, tmp_path: Path, content: bytes, said: str
) -> None:
    odd = tmp_path / "odd.yaml"
    odd.write_bytes(content)

    done = control.run("config", "validate", str(odd))

    assert done.returncode in (2, 6)
    assert said in done.stderr


def test_objects_are_found_on_their_backends(control: ControlProcess) -> None:
    opened = open_deployment(control.config, {}, plane="dataplane", version="1")
    try:
        put_object(opened, "photos", "a b/ü", bytes(300_000))
    finally:
        opened.close()

    done = control.run("object", "locations", "photos", "a b/ü")
    told = control.json("object", "locations", "photos", "a b/ü")

    heading, row = done.stdout.splitlines()
    assert heading.split() == ["OFFSET", "LENGTH", "COPY", "BACKEND", "STORAGE", "KEY", "STATE", "SEALED"]
    assert "backends/v" in row
    assert " live " in row
    assert "293.0 KiB" in done.stderr
    assert told["size_bytes"] == "300000"
    assert [piece["length_bytes"] for piece in told["pieces"]] == ["300000"]


def test_instances_are_listed_and_shown(control: ControlProcess) -> None:
    listed = control.run("instance", "list")
    told = control.json("instance", "list")["instances"]
    alive = next(each for each in told if each["alive"])
    shown = control.run("instance", "get", alive["name"])

    assert alive["name"] in listed.stdout
    assert [line.split()[1] for line in shown.stdout.splitlines()] == ["PLANE", "control"]


def test_versions_of_both_sides_are_shown(control: ControlProcess) -> None:
    done = control.run("version")

    assert done.returncode == 0
    assert {"adminctl", "server", "database"} <= {line.split()[0] for line in done.stdout.splitlines()}
    assert "SQLite" in done.stdout


@pytest.mark.parametrize("socket", ["admin", "viewer"])
def test_a_socket_needs_no_token(control: ControlProcess, socket: str) -> None:
    environ = {"PENSTOCK_ENDPOINT": f"unix:{control.state_dir}/{socket}.sock", "PENSTOCK_TOKEN": ""}

    looked = control.run("backend", "list", environ=environ)
    acted = control.run("worker", "trigger", "cleanup", environ=environ)

    assert looked.returncode == 0
    assert acted.returncode == (0 if socket == "admin" else 5)


# --- ways to fail ---


@pytest.mark.parametrize(
    "command",
    [
        ("backend", "get", "nowhere"),
        ("worker", "get", "nobody"),
        ("worker", "trigger", "nobody"),
        ("operation", "get", "none"),
        ("instance", "get", "0" * 32),
        ("object", "locations", "nowhere", "k"),
    ],
    ids=" ".join,
)
def test_what_is_not_there_ends_with_4(control: ControlProcess, command: tuple[str, ...]) -> None:
    done = control.run(*command)

    assert (done.returncode, done.stdout) == (4, "")
    assert re.fullmatch(r"error: NOT_FOUND: .+ \(NO_SUCH_\w+\)\n", done.stderr)


@pytest.mark.parametrize(
    "command",
    [
        ("backend", "get", "a/b"),
        ("instance", "get", "xyz"),
        ("object", "locations", "NO", "k"),
        ("backend",),
        ("backend", "explode"),
        ("nonsense",),
        ("backend", "get"),
        ("--output", "xml", "backend", "list"),
        ("--timeout", "soon", "backend", "list"),
        ("--token", "a\nb", "backend", "list"),
        ("--token", "schlüssel", "backend", "list"),
        ("config", "validate", "/nonexistent/file"),
        ("object", "locations", "photos", os.fsdecode(b"\xff")),
    ],
    ids=ascii,
)
def test_what_cannot_be_meant_ends_with_2(control: ControlProcess, command: tuple[str, ...]) -> None:
    done = control.run(*command)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


@pytest.mark.parametrize("token", ["", "wrong-token-0123456789abcdef"])
def test_a_stranger_ends_with_5_and_learns_what_to_do(control: ControlProcess, token: str) -> None:
    done = control.run("backend", "list", environ={"PENSTOCK_TOKEN": token})

    assert (done.returncode, done.stdout) == (5, "")
    assert "UNAUTHENTICATED" in done.stderr
    assert "PENSTOCK_TOKEN" in done.stderr
    assert not token or token not in done.stderr


def test_errors_are_json_where_json_was_asked_for(control: ControlProcess) -> None:
    done = control.run("--output", "json", "backend", "get", "nowhere")

    told = json.loads(done.stderr)
    assert (done.returncode, told["code"]) == (4, 5)
    assert told["details"][0]["reason"] == "NO_SUCH_RESOURCE"


def test_a_deadline_that_passes_ends_with_7(control: ControlProcess) -> None:
    opened = open_deployment(control.config, {}, plane="controlplane", version="1")
    try:
        # Somebody else leads this worker, so the run does not begin.
        lead(opened, "multipart")
        done = control.run("--timeout", "0.3", "worker", "trigger", "multipart", "--wait")
    finally:
        opened.close()

    assert (done.returncode, done.stdout) == (7, "")
    assert "DEADLINE_EXCEEDED" in done.stderr
    assert "--timeout" in done.stderr


def test_an_interrupt_ends_with_130_and_leaves_the_run_asked_for(control: ControlProcess) -> None:
    opened = open_deployment(control.config, {}, plane="controlplane", version="1")
    try:
        lead(opened, "intents")
        waiting = subprocess.Popen(
            [BIN / "adminctl", "worker", "trigger", "intents", "--wait"],
            env={
                "PATH": os.environ["PATH"],
                "PENSTOCK_ENDPOINT": control.address,
                "PENSTOCK_TOKEN": control.token,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_until(lambda: worker_row(opened, "intents").triggered_at_us is not None, "the trigger")

        waiting.send_signal(signal.SIGINT)
        told, said = waiting.communicate(timeout=30)
    finally:
        opened.close()

    assert (waiting.returncode, told) == (130, "")
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "address", ["127.0.0.1:1", "unix:/nonexistent/admin.sock", f"unix:/{'x' * 120}/a.sock"]
)
def test_nobody_there_ends_with_6_and_says_where_it_looked(control: ControlProcess, address: str) -> None:
    done = control.run("status", environ={"PENSTOCK_ENDPOINT": address})

    assert (done.returncode, done.stdout) == (6, "")
    assert "UNAVAILABLE" in done.stderr
    assert address in done.stderr
    assert "penstock serve" in done.stderr


def test_verbose_tells_the_address_and_no_token(control: ControlProcess) -> None:
    done = control.run("--verbose", "backend", "get", "nowhere")

    assert control.address in done.stderr
    assert control.token not in done.stderr


# --- how it looks ---


def test_in_a_pipe_every_row_is_a_line_without_colours(control: ControlProcess) -> None:
    done = control.run("instance", "list", environ={"COLUMNS": "40"})

    rows = done.stdout.splitlines()[1:]
    assert all(row.startswith("instances/") for row in rows)
    assert "\x1b" not in done.stdout


COMMANDS = [
    ("status",),
    ("backend", "list"),
    ("backend", "get", "v1"),
    ("worker", "list"),
    ("worker", "get", "cleanup"),
    ("instance", "list"),
    ("version",),
    ("--help",),
    ("worker", "trigger", "--help"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_terminal_of_80_columns_shows_whole_lines(
    control: ControlProcess, command: tuple[str, ...]
) -> None:
    shown = on_terminal(control, command, columns=80)

    assert shown
    assert max(map(len, shown)) <= 80
    assert not any("\x1b" in line for line in shown)


def test_a_table_too_wide_for_the_terminal_is_shown_a_field_a_line(control: ControlProcess) -> None:
    narrow = on_terminal(control, ("instance", "list"), columns=80)
    wide = on_terminal(control, ("instance", "list"), columns=200)

    assert narrow[0].split()[0] == "name"
    assert "last seen" in {line[:9] for line in narrow}
    assert wide[0].split()[0] == "NAME"


def on_terminal(control: ControlProcess, command: tuple[str, ...], *, columns: int) -> list[str]:
    """The lines a command shows on a terminal of that width."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [BIN / "adminctl", *command],
        env={
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "COLUMNS": str(columns),
            "PENSTOCK_ENDPOINT": control.address,
            "PENSTOCK_TOKEN": control.token,
        },
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    data = b""
    while True:
        select.select([ours], [], [], 30)
        try:
            part = os.read(ours, 65536)
        except OSError:
            # Linux answers EIO once the last writer is gone.
            break
        if not part:
            break
        data += part
    os.close(ours)
    process.wait(30)
    return data.decode().replace("\r\n", "\n").splitlines()


def lead(opened: OpenDeployment, worker: str) -> None:
    """Take the lease of a worker for ten minutes."""
    wait_until(
        lambda: (
            opened.store.write(
                lambda tx: leases.acquire(tx, worker=worker, holder=opened.process_id, ttl_s=600)
            )
            is not None
        ),
        "the lease",
    )


def worker_row(opened: OpenDeployment, worker: str) -> WorkerRow:
    (row,) = opened.store.read(lambda tx: list_workers(tx, worker))
    return row
