"""A file that somebody is writing is waited for, and one that is cut off is refused."""

from pathlib import Path

import pytest

from engine.errors import InvalidConfig
from engine.settings.reading import LOOK_COUNT_MAX, read_settled


class Writer:
    """Writes the next piece whenever the reader pauses."""

    def __init__(self, file: Path, *pieces: str) -> None:
        self._file = file
        self._pieces = list(pieces)
        self.pause_count = 0

    def __call__(self, seconds: float) -> None:
        self.pause_count += 1
        if self._pieces:
            with self._file.open("a") as file:
                file.write(self._pieces.pop(0))


def test_a_file_is_read_once_nobody_writes_to_it(tmp_path: Path) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text("region: eu\n")
    writer = Writer(file, "backends:\n", "  - {}\n")

    assert read_settled(file, pause=writer) == b"region: eu\nbackends:\n  - {}\n"
    assert writer.pause_count == 3


def test_a_file_that_never_rests_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text("")

    with pytest.raises(InvalidConfig, match="being written to"):
        read_settled(file, pause=Writer(file, *["x\n"] * (LOOK_COUNT_MAX + 1)))


def test_a_last_line_without_its_end_is_refused_by_its_number(tmp_path: Path) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text("region: eu\nsecret: abc")

    with pytest.raises(InvalidConfig) as refused:
        read_settled(file, pause=lambda _: None)

    assert [each.line for each in refused.value.problems] == [2]


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="cannot be read"):
        read_settled(tmp_path / "penstock.yaml", pause=lambda _: None)
