"""The folder in which all processes of the data plane count: made ready before prometheus_client is imported."""

import os
import shutil
from collections.abc import MutableMapping
from pathlib import Path

from engine.errors import StartRefused

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Read by prometheus_client at its import, which decides for good where a process counts."""

FILE_BYTES = 256 * 1024
"""What a process counts in each of its files fits in here some times over."""

_FILES = ("counter", "gauge_livesum", "histogram")
"""How prometheus_client names the files of the kinds of measures that the plane has."""


def prepare_folder(folder: Path, environ: MutableMapping[str, str]) -> None:
    """An empty folder for the processes to come: counts start anew with the plane."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    environ[FOLDER_VARIABLE] = str(folder)


def reserve_room(folder: Path, pid: int) -> None:
    """Give the files in which this process is going to count their blocks now; raises StartRefused without room.

    They are written through memory maps: a block that a full disk does not have would end the process with SIGBUS.
    """
    for name in _FILES:
        path = folder / f"{name}_{pid}.db"
        try:
            with path.open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, FILE_BYTES)
        except OSError as error:
            raise StartRefused(f"no room to count what is served: {path}: {error.strerror}") from error
