"""The folder in which all processes of the data plane count: made ready before prometheus_client is imported."""

import os
import shutil
import struct
from collections.abc import MutableMapping
from pathlib import Path

from engine.errors import StartRefused

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Read by prometheus_client at its import, which decides for good where a process counts."""

FILE_BYTES = 256 * 1024
"""What a process counts in each of its files fits in here some times over."""

_USED = struct.Struct("i")
"""How prometheus_client begins its files: the bytes of it that hold anything, these included."""

_EMPTY_BYTES = 8

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


def give_back_room(folder: Path, pid: int) -> None:
    """Cut the files of a dead process to what it counted, and remove those in which it counted nothing.

    Processes that end again and again, or fail before they count, would else fill the disk with reserved blocks.
    """
    for name in _FILES:
        path = folder / f"{name}_{pid}.db"
        try:
            with path.open("rb") as file:
                head = file.read(_USED.size)
            used_bytes = _USED.unpack(head)[0] if len(head) == _USED.size else 0
            if used_bytes <= _EMPTY_BYTES:
                path.unlink()
            elif used_bytes < path.stat().st_size:
                os.truncate(path, used_bytes)
        except OSError:
            # Gone already, or out of reach: what was counted stays as it is.
            continue
