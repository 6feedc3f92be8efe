"""The application that each data-plane process serves: Falcon without routes, behind the server's contract."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import falcon
from falcon import Request, Response

from dataplane.bare_request import BareRequest
from dataplane.endpoint import Endpoint
from dataplane.health import PREFIX, Health
from dataplane.metrics import PATH as METRICS_PATH
from dataplane.metrics import serve_metrics
from dataplane.server.certificates import Certificates
from dataplane.server.contract import HeaderList, Lane, Observer, StartResponse
from dataplane.server.parking import Parking
from dataplane.server.settings import ServerSettings

S3_LISTENER = 0
METRICS_LISTENER = 1
"""The second listening socket is the one for metrics and health."""

TICK_S = 0.5
SETTLE_S = 0.05
"""Short, so that what has gathered never keeps requests waiting for long."""

_NEVER_BODY = frozenset({"GET", "HEAD", "OPTIONS"})

_log = logging.getLogger("penstock.dataplane")


class Plane:
    """Implements `dataplane.server.contract.Application`.

    Until `close`, `tick` is called twice a second and `settle` twenty times. `reads_wait`: for a database behind a
    network, so they are set aside where small writes are. `control_figures` is where the control plane leaves its own.
    """

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        parks: bool,
        health: Health,
        observer: Observer,
        server_settings: ServerSettings,
        parking: Parking,
        certificates: Mapping[int, Certificates],
        reads_wait: bool,
        control_figures: Path,
        tick: Callable[[], None],
        settle: Callable[[], None],
        close: Callable[[], None],
    ) -> None:
        self.observer = observer
        self.server_settings = server_settings
        self.parking = parking
        self.certificates = certificates
        self._reads_wait = reads_wait
        self._control_figures = control_figures
        self.serve_by(endpoint, parks=parks)
        self._health = health
        self._close = close
        self._app = falcon.App(middleware=_Everything(self._serve), request_type=BareRequest)
        # Falcon would add a type to answers that have none.
        self._app.resp_options.default_media_type = None  # type: ignore[assignment]
        self._stopping = threading.Event()
        # Two, so that a disk or database that hangs does not keep the log from being written.
        self._tickers = [
            threading.Thread(target=self._repeat, args=each, name=name, daemon=True)
            for name, each in (("ticker", (tick, TICK_S)), ("settler", (settle, SETTLE_S)))
        ]
        for ticker in self._tickers:
            ticker.start()

    def serve_by(self, endpoint: Endpoint, *, parks: bool) -> None:
        """Requests go to this endpoint from now on; those under way end at the one they began with.

        `parks`: small writes wait for commits alone, and need no threads. Those that wait for a network as well go
        where there are many: one store that is slow to answer must not hold up what has nothing to do with it.
        """
        self._small_write_lane = Lane.PARKING if parks else Lane.STREAMING
        # On the loop no read waits for a network: what it would wait for is read on a thread that streams.
        self._read_lane = Lane.PARKING if self._reads_wait else Lane.INLINE
        self._endpoint = endpoint

    def __call__(self, environ: dict[str, Any], start_response: StartResponse, /) -> Iterable[bytes]:
        return self._app(environ, start_response)

    def classify(
        self, method: str, target: bytes, headers: HeaderList, content_length: int | None, /
    ) -> Lane:
        """Reads run on the loop until they would wait, small writes until they wait for a commit; the rest streams."""
        if method in _NEVER_BODY:
            return Lane.SHORT if target.partition(b"?")[0] == METRICS_PATH else self._read_lane
        if content_length is None:
            if any(name == b"transfer-encoding" for name, _ in headers):
                return Lane.STREAMING
        elif content_length > self.server_settings.small_body_bytes:
            return Lane.STREAMING
        if method == "PUT" and _may_be_copy(target, headers):
            # Most copies are one commit, but the one that is not may move gigabytes.
            return Lane.STREAMING
        return self._small_write_lane

    def refuse(self, code: str, status: int, message: str, /) -> tuple[list[tuple[str, str]], bytes]:
        return self._endpoint.refuse(code, status, message)

    def draining(self) -> None:
        self._health.drain()

    def close(self) -> None:
        """After the last request: write what is to be written, and leave cleanly."""
        self._stopping.set()
        for ticker in self._tickers:
            ticker.join()
        self._close()

    def _serve(self, req: Request, resp: Response) -> None:
        environ = req.env
        target: bytes = environ["penstock.target"]
        is_s3 = environ["penstock.listener"] != METRICS_LISTENER
        if target.startswith(PREFIX) and not (is_s3 and self._endpoint.names_bucket(environ)):
            self._health.serve(req, resp)
        elif is_s3:
            self._endpoint.serve(req, resp)
        elif target.partition(b"?")[0] == METRICS_PATH:
            serve_metrics(req, resp, control_figures=self._control_figures)
        else:
            resp.status = falcon.HTTP_404
            resp.content_type = "text/plain"
            resp.data = b"there is /metrics, /-/live and /-/ready\n"

    def _repeat(self, call: Callable[[], None], pause_s: float) -> None:
        while not self._stopping.wait(pause_s):
            try:
                call()
            except (
                Exception
            ):  # a thread that ended here would take the process' signs of life or its log along
                _log.exception("plane.tick_failed")


class _Everything:
    """Answers each request where others only prepare it: there is no route to be looked for."""

    def __init__(self, serve: Callable[[Request, Response], None]) -> None:
        self._serve = serve

    def process_request(self, req: Request, resp: Response) -> None:
        self._serve(req, resp)
        resp.complete = True


def _may_be_copy(target: bytes, headers: HeaderList) -> bool:
    """Whether it names the source of a copy, in a header or in what a presigned URL carries instead of one."""
    query = target.partition(b"?")[2]
    if query and (b"%" in query or b"copy-source" in query.lower()):
        return True
    return any(name == b"x-amz-copy-source" for name, _ in headers)
