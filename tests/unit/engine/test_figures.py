"""Figures that the control plane left are shown while they are fresh."""

import os
import time
from pathlib import Path

from engine.telling.figures import FIGURES_BYTES_MAX, FRESH_S, figures_path, read_figures


def test_figures_are_shown_until_they_are_old(tmp_path: Path) -> None:
    path = figures_path(tmp_path)
    path.parent.mkdir()
    assert read_figures(path) == b""

    path.write_bytes(b"penstock_dead_letters 0\n")
    assert read_figures(path) == b"penstock_dead_letters 0\n"

    left_s = time.time() - FRESH_S - 1
    os.utime(path, (left_s, left_s))
    assert read_figures(path) == b""


def test_no_more_is_read_than_figures_take(tmp_path: Path) -> None:
    path = figures_path(tmp_path)
    path.parent.mkdir()
    path.write_bytes(b"x" * (FIGURES_BYTES_MAX + 1))

    assert len(read_figures(path)) == FIGURES_BYTES_MAX
