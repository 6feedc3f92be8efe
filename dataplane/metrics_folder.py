"""The folder in which all processes of the data plane count: made ready before prometheus_client is imported."""

import shutil
from collections.abc import MutableMapping
from pathlib import Path

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Read by prometheus_client at its import, which decides for good where a process counts."""


def prepare_folder(folder: Path, environ: MutableMapping[str, str]) -> None:
    """An empty folder for the processes to come: counts start anew with the plane."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    environ[FOLDER_VARIABLE] = str(folder)
