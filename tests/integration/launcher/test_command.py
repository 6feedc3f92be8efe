"""`penstock serve`, `validate` and `version` as a newcomer meets them: one clear line, and a status that says it."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engine.settings.quantities import Address
from launcher.preflight import listen_problem
from launcher.preflight import main as preflight
from tests.support.ports import free_ports

PENSTOCK = [sys.executable, "-P", "-m", "launcher.main"]


def run(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PENSTOCK, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=cwd,
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    s3, control, metrics = map(str, free_ports(3))
    ports = ("--s3-port", s3, "--control-port", control, "--metrics-port", metrics)
    assert run("init", "--data", tmp_path, "--yes", *ports).returncode == 0
    return tmp_path / "penstock.yaml"


def test_validate_names_every_problem_with_file_and_line(config: Path) -> None:
    text = config.read_text()
    line = text.splitlines().index("routing: spread") + 1
    config.write_text(text.replace("routing: spread", "routing: best") + "bogus: 1\n")

    done = run("validate", "--config", config)

    assert done.returncode == 78
    assert done.stdout.splitlines() == [
        f"{config}:{line}: routing: expected pack or spread or weighted or cost",
        f"{config}:{len(text.splitlines()) + 1}: bogus: unknown key",
    ]


def test_validate_says_so_when_all_is_well(config: Path) -> None:
    done = run("validate", "--config", config)

    assert (done.returncode, done.stdout) == (0, f"{config}: valid\n")


def test_serve_refuses_an_invalid_configuration_at_once_with_its_line(config: Path) -> None:
    config.write_text(config.read_text() + "bogus: 1\n")

    done = run("serve", "--config", config)

    assert done.returncode == 78
    assert done.stderr.endswith(": bogus: unknown key\n")
    assert done.stderr.count("\n") == 1


def test_serve_refuses_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    done = run("serve", "--config", tmp_path / "gone.yaml")

    assert done.returncode == 78
    assert "penstock init" in done.stderr


def test_serve_names_a_port_that_is_in_use_and_what_to_do(config: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        lines = config.read_text().splitlines()
        lines = [f'  s3: "127.0.0.1:{port}"' if line.startswith("  s3:") else line for line in lines]
        config.write_text("\n".join(lines) + "\n")

        done = run("serve", "--config", config)

    assert done.returncode == 78
    assert done.stderr.count("\n") == 1
    assert f"listen.s3: port {port} is in use" in done.stderr


@pytest.mark.parametrize("name", ["gunicorn.sock", "admin.sock"])
def test_a_second_serve_over_one_folder_is_refused_whatever_its_ports(config: Path, name: str) -> None:
    with socket.socket(socket.AF_UNIX) as first:
        first.bind(str(config.parent / "state" / name))
        first.listen()

        done = run("serve", "--config", config)

    assert done.returncode == 78
    assert done.stderr.count("\n") == 1
    assert f"node.state_dir: another `penstock serve` runs over {config.parent / 'state'}" in done.stderr


def test_a_socket_that_a_killed_one_left_behind_is_no_obstacle(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(config.parent / "state/gunicorn.sock"))

    assert preflight(["--config", str(config), "dataplane"]) == 0, capsys.readouterr().err


def test_a_port_that_is_freed_in_time_is_no_obstacle() -> None:
    other = socket.socket()
    other.bind(("127.0.0.1", 0))
    other.listen()
    address = Address(host="127.0.0.1", port=other.getsockname()[1])
    assert listen_problem(address, port_wait_s=0) is not None
    freed = threading.Timer(0.2, other.close)
    freed.start()

    assert listen_problem(address, port_wait_s=20) is None

    freed.join()


def test_serve_names_an_address_that_is_not_of_this_machine(config: Path) -> None:
    config.write_text(config.read_text().replace('  s3: "127.0.0.1:', '  s3: "192.0.2.1:'))

    done = run("serve", "--config", config)

    assert done.returncode == 78
    assert "192.0.2.1 is no address of this machine" in done.stderr


def test_only_one_plane_asks_for_the_ports_of_that_one_only(config: Path) -> None:
    with socket.socket() as other:
        text = config.read_text()
        port = (
            next(line for line in text.splitlines() if line.startswith("  control:"))
            .rpartition(":")[2]
            .strip('"')
        )
        other.bind(("127.0.0.1", int(port)))
        other.listen()

        assert preflight(["--config", str(config), "dataplane"]) == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_serve_names_a_folder_it_may_not_write(config: Path) -> None:
    (config.parent / "volumes/v1").chmod(0o500)

    done = run("serve", "--config", config)

    assert done.returncode == 78
    assert "backends[0].path: no permission" in done.stderr


def test_a_file_where_a_folder_belongs_is_named(config: Path) -> None:
    (config.parent / "volumes/v1").rmdir()
    (config.parent / "volumes/v1").touch()

    done = run("serve", "--config", config)

    assert done.returncode == 78
    assert "backends[0].path" in done.stderr


def test_modules_in_the_working_directory_are_not_imported(config: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "engine.py").write_text("raise SystemExit('the wrong engine')")

    done = run("validate", "--config", config, cwd=elsewhere)

    assert done.returncode == 0, done.stderr


def test_the_parent_imports_neither_the_engine_nor_grpc() -> None:
    program = (
        "import sys; import launcher.main, launcher.serve, launcher.supervisor;"
        "print([name for name in sys.modules if name.split('.')[0] in ('engine', 'grpc', 'google', 'pydantic')])"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )

    assert done.stdout.strip() == "[]"


def test_version_is_printed() -> None:
    done = run("version")

    assert done.returncode == 0
    assert done.stdout.startswith("penstock ")


def test_wrong_arguments_are_status_2() -> None:
    assert run("serve").returncode == 2
    assert run("surf").returncode == 2
