"""The commands of the tutorial, taken from its page, run as written and end well."""

import sys
from pathlib import Path

import pytest

from tests.integration.docs.pages import ROOT, blocks_of, type_in
from tests.support.served import Served

PAGE = ROOT / "docs/tutorial/first-objects.md"


def commands(section: str) -> str:
    """The commands of a section, one after the other."""
    return "".join(each.text for each in blocks_of(PAGE, section))


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
