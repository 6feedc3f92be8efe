"""Where the control plane of an instance leaves figures in Prometheus' text format, for the page of metrics to show."""

import time
from pathlib import Path

FRESH_S = 60.0
"""Figures older than this are those of a control plane that is gone, and are not shown."""

FIGURES_BYTES_MAX = 64 * 1024

_NAME = "control.prom"


def figures_path(state_dir: Path) -> Path:
    """In the folder where the data plane counts: who starts that plane anew empties it."""
    return state_dir / "metrics" / _NAME


def read_figures(path: Path) -> bytes:
    """The figures as they were left last; empty when nobody left any of late."""
    try:
        with path.open("rb") as file:
            figures = file.read(FIGURES_BYTES_MAX)
        left_s = path.stat().st_mtime
    except OSError:
        return b""
    return figures if abs(time.time() - left_s) <= FRESH_S else b""
