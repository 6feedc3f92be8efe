"""The check of the protos finds what would break clients, wherever it runs, and runs where there is no history yet."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PARTS = ("proto", "third_party", "gen", "tools", "buf.yaml", "buf.gen.yaml")
SERVICE = Path("proto/penstock/admin/v1/system_service.proto")

Check = Callable[[], subprocess.CompletedProcess[str]]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """What the check looks at, in a repository without commits."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / part)
    git(tmp_path, "init", "-q", "-b", "main")
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, timeout=30)


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "-m", "a state")


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["tools/check_proto.sh", str(Path(sys.executable).parent)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def rename_a_field(folder: Path) -> None:
    proto = folder / SERVICE
    text = proto.read_text()
    assert "string database_version = 5;" in text
    proto.write_text(text.replace("string database_version = 5;", "string database_release = 5;"))


def test_without_any_commit_there_is_nothing_to_break(repository: Path) -> None:
    done = check(repository)

    assert done.returncode == 0, done.stderr
    assert "no earlier protos" in done.stderr


def test_a_break_on_a_branch_is_found(repository: Path) -> None:
    commit(repository)
    git(repository, "checkout", "-q", "-b", "feature")
    rename_a_field(repository)

    done = check(repository)

    assert done.returncode != 0
    assert "database_release" in done.stdout


def test_a_break_that_main_just_took_is_found_in_a_clone_without_a_main_of_its_own(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    commit(repository)
    rename_a_field(repository)
    commit(repository)
    clone = tmp_path_factory.mktemp("clone")
    git(clone, "clone", "-q", str(repository), ".")
    git(clone, "checkout", "-q", "--detach")
    git(clone, "branch", "-q", "-D", "main")

    done = check(clone)

    assert done.returncode != 0
    assert "database_release" in done.stdout


def test_stubs_that_lag_behind_are_found(repository: Path) -> None:
    proto = repository / SERVICE
    proto.write_text(
        proto.read_text().replace(
            "  string database_version = 5;", "  string database_version = 5;\n  // More.\n  string more = 6;"
        )
    )

    done = check(repository)

    assert done.returncode != 0
    assert "more" in done.stdout
