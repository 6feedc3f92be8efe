"""What every tool that writes a page of the reference does with it: write it, or with --check compare it."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"


def run(page_file: Path, page: Callable[[], str], *, description: str | None) -> int:
    """0 when the page stands as it should."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if the page is not up to date"
    )
    options = parser.parse_args()
    text = page()
    if not options.check:
        page_file.write_text(text)
        return 0
    if page_file.is_file() and page_file.read_text() == text:
        return 0
    print(f"{page_file} is out of date: run {sys.argv[0]}", file=sys.stderr)
    return 1


def cell(text: str | None) -> str:
    """Text as one cell of a table."""
    return " ".join((text or "").split()).replace("|", "\\|")
