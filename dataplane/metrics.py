"""The page of metrics: what all processes of the data plane wrote into their shared folder, added up.

Behind it stands what the control plane beside it left of its own, if it has done so lately.
"""

from http import HTTPStatus
from pathlib import Path

from falcon import Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from dataplane.metrics_folder import give_back_room
from engine.telling.figures import read_figures

PATH = b"/metrics"


def forget_process(folder: Path, pid: int) -> None:
    """What a dead process had open is no more; what it had counted stays counted, in no more room than it takes."""
    mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]
    give_back_room(folder, pid)


def serve_metrics(req: Request, resp: Response, *, control_figures: Path) -> None:
    """Prometheus' text format; needs no credentials, so it has a port of its own."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    resp.status = HTTPStatus.OK
    resp.content_type = CONTENT_TYPE_LATEST
    try:
        counted = generate_latest(registry)
    except FileNotFoundError:
        # A process has just ended that had counted nothing, and the file it reserved went with it.
        counted = generate_latest(registry)
    resp.data = counted + read_figures(control_figures)
