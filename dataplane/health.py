"""`/-/live` and `/-/ready`: whether the process runs, and whether requests can be served (`-` is no bucket's name)."""

import json
from collections.abc import Callable
from http import HTTPStatus

from falcon import Request, Response

PREFIX = b"/-/"


class Health:
    """Answers without credentials and without admission. `may_read` and `may_write` say what is in the way, or null.

    `remembers_reads` tells whether reads of what was read before go on whatever is in their way.
    """

    def __init__(
        self,
        *,
        may_read: Callable[[], str | None],
        may_write: Callable[[], str | None],
        remembers_reads: Callable[[], bool] = lambda: False,
    ) -> None:
        self._remembers_reads = remembers_reads
        self._may_read = may_read
        self._may_write = may_write
        self._is_draining = False
        self._is_set_aside = False

    def drain(self) -> None:
        """From now on not ready: whoever balances load looks elsewhere."""
        self._is_draining = True

    def set_aside(self, is_wanted: bool) -> None:
        """Not ready, though it serves on; or ready again."""
        self._is_set_aside = is_wanted

    def serve(self, req: Request, resp: Response) -> None:
        path, _, query = req.env["penstock.target"].partition(b"?")
        if path == b"/-/live":
            _answer(resp, HTTPStatus.OK, "live")
        elif path == b"/-/ready" and query in (b"", b"for=write"):
            self._ready(resp, for_write=bool(query))
        else:
            _answer(
                resp, HTTPStatus.NOT_FOUND, "unknown", "there is /-/live, /-/ready and /-/ready?for=write"
            )

    def _ready(self, resp: Response, *, for_write: bool) -> None:
        is_leaving = self._is_draining or self._is_set_aside
        problem = ("stopping" if self._is_draining else "draining") if is_leaving else self._may_read()
        if problem is not None and not for_write and not is_leaving and self._remembers_reads():
            _answer(resp, HTTPStatus.OK, "degraded", problem)
            return
        if problem is None and for_write:
            problem = self._may_write()
        if problem is None:
            _answer(resp, HTTPStatus.OK, "normal")
        else:
            _answer(resp, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", problem)


def _answer(resp: Response, status: HTTPStatus, mode: str, problem: str | None = None) -> None:
    resp.status = status
    resp.content_type = "application/json"
    resp.data = json.dumps({"mode": mode} if problem is None else {"mode": mode, "problem": problem}).encode()
