"""The page of metrics: what all processes of the data plane wrote into their shared folder, added up."""

from http import HTTPStatus

from falcon import Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

PATH = b"/metrics"


def forget_process(pid: int) -> None:
    """What a dead process had open is no more; what it had counted stays counted."""
    mark_process_dead(pid)  # type: ignore[no-untyped-call]


def serve_metrics(req: Request, resp: Response) -> None:
    """Prometheus' text format; needs no credentials, so it has a port of its own."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    resp.status = HTTPStatus.OK
    resp.content_type = CONTENT_TYPE_LATEST
    resp.data = generate_latest(registry)
