"""The pages about other languages show the programs that are tested, whole."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAMS = {"go": "main.go", "java": "src/main/java/Client.java", "node": "client.ts"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_page_shows_the_program_that_is_tested(name: str) -> None:
    page = (ROOT / "docs" / "reference" / "sdk" / f"{name}.md").read_text()
    program = (ROOT / "tests" / "clients" / "sdk" / name / PROGRAMS[name]).read_text()

    assert program in page
    assert (ROOT / "proto" / f"buf.gen.{name}.yaml").exists()
    assert f"buf.gen.{name}.yaml" in page


def test_every_page_is_linked() -> None:
    folder = ROOT / "docs" / "reference" / "sdk"
    index = (folder / "README.md").read_text()

    assert "(sdk/README.md)" in (folder.parent / "README.md").read_text()
    assert [each.name for each in folder.glob("*.md") if f"({each.name})" not in index] == ["README.md"]
