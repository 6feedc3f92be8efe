"""The commands of the tutorial, taken from its page, run as written and end well."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.served import Served

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/tutorial/first-objects.md"


def commands(section: str) -> str:
    """The commands of a section, one after the other."""
    text = PAGE.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert blocks, f"no commands under {section!r}"
    return "".join(blocks)


def type_in(folder: Path, lines: str) -> str:
    """Run them in a shell there that stops at the first failure; what they print."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PENSTOCK_"))
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", lines],
        cwd=folder,
        env={**environ, "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.timeout(180)
def test_the_tutorial_runs_as_written(tmp_path: Path) -> None:
    for name in ("README.md", "docs", "tools"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parents[1])
    with Served(tmp_path) as served:
        # Where `penstock init` puts it by default; a test cannot use the default ports.
        (served.data / "penstock.yaml").write_text(served.config.read_text().replace("./data/", "./"))
        (served.data / "penstock.yaml").chmod(0o600)

        stored = type_in(tmp_path, commands("2. Store and fetch"))
        seen = type_in(tmp_path, "".join([env_line(), commands("3. Look inside")]))
        served.kill_tree()
        served.start()
        pulled = type_in(tmp_path, "".join([env_line(), commands("4. Pull the plug").splitlines()[-1]]))

    readme = (ROOT / "README.md").read_text()
    assert readme in stored
    # Every file once: the second sync copies nothing.
    assert stored.count("upload: docs/") == sum(path.is_file() for path in (ROOT / "docs").rglob("*"))
    assert "status: ok" in seen
    assert "backends/v" in seen
    assert "\nclean: " in seen
    assert pulled == readme


def env_line() -> str:
    """A new terminal needs the credentials again."""
    return commands("2. Store and fetch").splitlines(keepends=True)[0]
