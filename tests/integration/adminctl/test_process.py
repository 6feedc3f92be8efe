"""The process of the control plane: how it refuses to start, how it stops, and what it leaves behind."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.adminctl.running import TIMEOUT_S, ControlProcess, adminctl, init
from tests.support.control import wait_until, write_config

CANNOT_RUN = 78


def run_plane(config: Path) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "controlplane", "--config", config],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_it_stops_at_sigterm_and_leaves_a_log_of_json_lines_without_secrets(tmp_path: Path) -> None:
    with ControlProcess(tmp_path) as control:
        control.run("backend", "list")
        control.run("status", environ={"PENSTOCK_TOKEN": "wrong-token-0123456789abcdef"})

        status = control.stop()

        text = control.log.read_text()
    assert status == 0
    assert not (control.state_dir / "admin.sock").exists()
    events = [json.loads(line) for line in text.splitlines()]
    calls = [each for each in events if each["event"] == "call.ended"]
    assert {"control.listening", "control.stopping"} <= {each["event"] for each in events}
    assert {each["process"] for each in events} == {"controlplane"}
    assert any(each["method"].endswith("ListBackends") and each["caller"] == "first" for each in calls)
    assert any(each["code"] == "UNAUTHENTICATED" for each in calls)
    for secret in (control.token, control.access_secret, "wrong-token-0123456789abcdef"):
        assert secret not in text


def test_killed_and_started_again_it_serves_as_before(tmp_path: Path) -> None:
    with ControlProcess(tmp_path) as control:
        before = control.run("backend", "list").stdout
        control.kill()
        down = control.run("backend", "list")
        control.start()

        after = control.run("backend", "list")

    assert (down.returncode, down.stdout) == (6, "")
    assert "penstock serve" in down.stderr
    assert (after.returncode, after.stdout) == (0, before)


def test_a_stop_while_it_starts_is_heeded(tmp_path: Path) -> None:
    config = init(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "controlplane", "--config", config],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    # The first thing it makes, long before it listens.
    wait_until((tmp_path / "data" / "metadata.sqlite").exists, "the database")

    process.send_signal(signal.SIGTERM)

    assert process.wait(TIMEOUT_S) == 0


def test_an_invalid_configuration_is_told_line_by_line(tmp_path: Path) -> None:
    config = write_config(tmp_path, extra="unheard_of: 1")
    line = config.read_text().splitlines().index("unheard_of: 1") + 1

    done = run_plane(config)

    assert done.returncode == CANNOT_RUN
    assert f"{config}:{line}: unheard_of: unknown key" in done.stderr


def test_a_configuration_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = run_plane(tmp_path / "none.yaml")

    assert done.returncode == CANNOT_RUN
    assert "penstock init" in done.stderr


def test_another_master_key_than_the_rings_is_refused(tmp_path: Path) -> None:
    with ControlProcess(tmp_path) as control:
        control.stop()
        key_file = tmp_path / "data" / "master.key"
        key_file.write_bytes(b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=")

        done = run_plane(control.config)

    assert done.returncode == CANNOT_RUN
    assert "key" in done.stderr
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600


def test_a_port_in_use_is_refused_by_number(tmp_path: Path) -> None:
    config = init(tmp_path)
    credentials = json.loads((tmp_path / "data" / "credentials.json").read_text())
    port = int(credentials["control_address"].rpartition(":")[2])

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen(1)
        done = run_plane(config)

    assert done.returncode == CANNOT_RUN
    assert str(port) in done.stderr


def test_a_second_one_over_the_same_state_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    with ControlProcess(tmp_path) as control:
        done = run_plane(control.config)
        still = control.run("backend", "list")
        by_socket = adminctl(
            "backend",
            "list",
            environ={"PENSTOCK_ENDPOINT": f"unix:{control.state_dir}/admin.sock"},
        )

    assert done.returncode == CANNOT_RUN
    assert "another control plane" in done.stderr
    assert (still.returncode, by_socket.returncode) == (0, 0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_it_may_not_write_is_named(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    (tmp_path / "state").mkdir(mode=0o500)

    done = run_plane(config)

    assert done.returncode == CANNOT_RUN
    assert "state" in done.stderr
