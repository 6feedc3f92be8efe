"""The page of metrics: what all processes of the data plane wrote into their shared folder, added up."""

import os
import shutil
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from falcon import Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Read by prometheus_client when it is imported, so it is set before that."""

PATH = b"/metrics"


def prepare_folder(folder: Path, environ: dict[str, str]) -> None:
    """An empty folder for the processes to come; counts start anew with the plane."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    environ[FOLDER_VARIABLE] = str(folder)


def forget_process(pid: int, environ: Mapping[str, str] = os.environ) -> None:
    """What a dead process had open is no more; what it had counted stays counted."""
    mark_process_dead(pid, environ[FOLDER_VARIABLE])  # type: ignore[no-untyped-call]


def serve_metrics(req: Request, resp: Response) -> None:
    """Prometheus' text format; needs no credentials, so it has a port of its own."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    resp.status = HTTPStatus.OK
    resp.content_type = CONTENT_TYPE_LATEST
    resp.data = generate_latest(registry)
