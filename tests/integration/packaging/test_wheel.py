"""The wheel carries all packages, the generated one under its own name, and all that they read; its commands run."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = ("engine", "dataplane", "controlplane", "adminctl", "launcher", "penstock")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this tree and unpacked where nothing else is."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=50)
    (wheel,) = folder.glob("*.whl")
    target = folder / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def test_every_package_is_imported_from_the_wheel(installed: Path) -> None:
    program = f"import importlib; [print(importlib.import_module(name).__file__) for name in {PACKAGES}]"

    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env={**os.environ, "PYTHONPATH": str(installed)},
        cwd=installed.parent,
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert [Path(line).relative_to(installed).parts[0] for line in done.stdout.splitlines()] == list(PACKAGES)


def test_generated_messages_work_from_the_wheel(installed: Path) -> None:
    program = (
        "from penstock.admin.v1 import worker_pb2 as pb; print(pb.Worker(name='workers/x'), pb.__file__)"
    )

    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env={**os.environ, "PYTHONPATH": str(installed)},
        cwd=installed.parent,
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert "workers/x" in done.stdout
    assert str(installed) in done.stdout


@pytest.mark.parametrize("package", PACKAGES)
def test_every_file_of_a_package_is_in_the_wheel(installed: Path, package: str) -> None:
    def files(root: Path) -> set[str]:
        found = (path for path in (root / package).rglob("*") if path.is_file() and path.suffix != ".pyc")
        return {str(path.relative_to(root)) for path in found}

    assert files(installed) == files(ROOT / "gen" if package == "penstock" else ROOT) != set()


def test_the_statements_of_the_database_are_in_the_wheel(installed: Path) -> None:
    assert list((installed / "engine/metadata/sqlite/migrations").glob("*.sql"))


def run_command(installed: Path, name: str, *arguments: str) -> str:
    """What a command of the wheel prints, run from its own entry point in a folder that holds nothing of ours."""
    program = (
        "import sys; from importlib.metadata import distribution;"
        "(entry,) = distribution('penstock').entry_points.select(group='console_scripts', name=sys.argv[1]);"
        "command = entry.load(); print(sys.modules[entry.module].__file__, file=sys.stderr);"
        "sys.argv = sys.argv[1:]; sys.exit(command())"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, name, *arguments],
        env={**os.environ, "PYTHONPATH": str(installed)},
        cwd=installed.parent,
        check=True,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.stderr.startswith(f"{installed}/")
    return done.stdout


def test_penstock_runs_from_the_wheel(installed: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    assert run_command(installed, "penstock", "version").startswith(f"penstock {version} ")


def test_adminctl_runs_from_the_wheel(installed: Path) -> None:
    assert run_command(installed, "adminctl", "backend", "--help").startswith("Usage: adminctl backend")


def test_a_deployment_is_made_and_opened_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    run_command(installed, "penstock", "init", "--data", str(tmp_path), "--yes")
    program = (
        "import sys; from pathlib import Path; from engine.deployment.opening import open_deployment;"
        "opened = open_deployment(Path(sys.argv[1]), {}, plane='dataplane', version='1');"
        "print(opened.generation); opened.close()"
    )

    done = subprocess.run(
        [sys.executable, "-P", "-c", program, tmp_path / "penstock.yaml"],
        env={**os.environ, "PYTHONPATH": str(installed)},
        cwd=installed.parent,
        check=True,
        capture_output=True,
        text=True,
        timeout=50,
    )

    assert done.stdout == "1\n"


def test_neither_tests_nor_tools_are_in_the_wheel(installed: Path) -> None:
    roots = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}

    assert roots == set(PACKAGES)
