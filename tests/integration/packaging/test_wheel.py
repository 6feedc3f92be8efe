"""The wheel carries all packages, the generated one under its own name, and the statements of the database."""

import os
import subprocess
import sys
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


def test_files_that_are_no_modules_are_in_the_wheel_too(installed: Path) -> None:
    def others(root: Path) -> set[str]:
        found = (
            path
            for path in (root / "engine").rglob("*")
            if path.is_file() and path.suffix not in (".py", ".pyc")
        )
        return {str(path.relative_to(root)) for path in found}

    assert others(installed) == others(ROOT) != set()


def test_neither_tests_nor_tools_are_in_the_wheel(installed: Path) -> None:
    roots = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}

    assert roots == set(PACKAGES)
