"""One request from its whole head to the end of its response, wherever it runs."""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from dataplane.server.bodies import CONTINUE, NoBody, RequestBody
from dataplane.server.contract import Application, Ended, HandOn, Lane
from dataplane.server.errors import BodyError, BodyTooSlow, IncompleteBody
from dataplane.server.heads import RequestHead
from dataplane.server.responses import Response, Sent
from dataplane.server.tls import AnySocket
from engine.streams import WouldBlock

ALL_REGIONS = 1 << 62
RETRY_AFTER_S = "1"

_ON_LOOP = (Lane.INLINE, Lane.PARKING)

_log = logging.getLogger("penstock.server")
_no_body = NoBody()


class Request:
    """Used by the loop and by threads in turn, never at once.

    `may_keep` says whether the server still keeps connections; `template` is what every environ of a listener holds.
    """

    __slots__ = (
        "_application",
        "_environ",
        "_may_keep",
        "_peer",
        "_started_s",
        "_template",
        "body",
        "has_ended",
        "head",
        "lane",
        "response",
    )

    def __init__(
        self,
        application: Application,
        head: RequestHead,
        body: RequestBody | None,
        template: dict[str, Any],
        *,
        peer: str,
        started_s: float,
        lane: Lane,
        may_keep: Callable[[], bool],
    ) -> None:
        self.head = head
        self.body = body or _no_body
        self.lane = lane
        self.has_ended = False
        self.response = self._new_response()
        self._application = application
        self._template = template
        self._peer = peer
        self._started_s = started_s
        self._may_keep = may_keep
        self._environ: dict[str, Any] = {}

    def run(self) -> bool:
        """Call the application in `lane`, so that `send` may follow; false when a thread must `begin` it first.

        Raises HandOn in the lanes of the loop, after which it may be run again in another lane; nothing else.
        """
        response = self.response
        try:
            response.hold(self._application(self._make_environ(), response.start))
        except HandOn as handed_on:
            if self.lane in _ON_LOOP and self.body.received_bytes == 0:
                self._environ = {}
                self.response = self._new_response()
                raise
            self._fail(handed_on)
        except Exception as error:
            self._fail(error)
        return self.begin(nowait=self.lane in _ON_LOOP)

    def begin(self, *, nowait: bool) -> bool:
        """Make the head and the first region: both leave in one call, and an error can still be answered."""
        response = self.response
        try:
            if not response.is_prepared:
                response.prepare(keeps_alive=self._keeps_alive())
            response.take_region(nowait=nowait)
        except WouldBlock:
            return False
        except Exception as error:
            self._fail(error)
        return True

    def refuse(self, code: str, status: int, message: str, *, keeps_alive: bool = False) -> None:
        """Answer this instead of whatever was going to be answered; nothing was sent yet."""
        self._close(self.response)
        try:
            headers, content = self._application.refuse(code, status, message)
        except Exception:
            _log.exception("request.refuse_failed")
            headers, content = [], b""
        if status == HTTPStatus.SERVICE_UNAVAILABLE and "retry-after" not in {
            name.lower() for name, _ in headers
        }:
            headers = [*headers, ("Retry-After", RETRY_AFTER_S)]
        response = self.response = self._new_response()
        response.start(f"{status} {HTTPStatus(status).phrase}", headers)
        response.hold([content])
        response.prepare(keeps_alive=keeps_alive and self._keeps_alive())

    def send(self, sock: AnySocket, *, nowait: bool, region_count_max: int = ALL_REGIONS) -> Sent:
        """Response.send, with what goes wrong told as CUT."""
        try:
            return self.response.send(sock, nowait=nowait, region_count_max=region_count_max)
        except (ConnectionError, TimeoutError) as error:
            _log.debug("response.client_gone reason=%s", error)
        except Exception:
            _log.exception("response.cut")
        return Sent.CUT

    def end(self, *, is_whole: bool) -> None:
        """Close what the application answered and tell it; once, later calls do nothing."""
        if self.has_ended:
            return
        self.has_ended = True
        response = self.response
        self._close(response)
        # Taken out: what is told may hold the environ in turn, and a cycle would wait for the collector.
        ended: Ended | None = self._environ.pop("penstock.ended", None)
        if ended is not None:
            try:
                ended(response.status, self.body.received_bytes, response.sent_body_bytes, is_whole)
            except Exception:
                _log.exception("request.ended_failed")

    def _new_response(self) -> Response:
        head = self.head
        # Nobody reads an empty body, so nobody says that it may come. botocore, which waits for that word with empty
        # bodies as well, takes a final answer in its place for the answer to its next request too.
        is_invited = head.expects_continue and head.content_length == 0
        return Response(
            is_head=head.method == "HEAD",
            is_http_10=head.is_http_10,
            interim=CONTINUE if is_invited else b"",
        )

    def _make_environ(self) -> dict[str, Any]:
        head, body = self.head, self.body
        self._environ = environ = self._template.copy()
        environ["REQUEST_METHOD"] = head.method
        environ["SERVER_PROTOCOL"] = "HTTP/1.0" if head.is_http_10 else "HTTP/1.1"
        environ["REMOTE_ADDR"] = self._peer
        if head.host:
            environ["HTTP_HOST"] = head.host
        if head.content_type is not None:
            environ["CONTENT_TYPE"] = head.content_type
        if head.content_length is not None:
            environ["CONTENT_LENGTH"] = str(head.content_length)
        environ["wsgi.input"] = body
        environ["penstock.target"] = head.target
        environ["penstock.headers"] = head.headers
        environ["penstock.started_s"] = self._started_s
        environ["penstock.lane"] = self.lane
        if isinstance(body, RequestBody):
            body.lane = self.lane
        return environ

    def _keeps_alive(self) -> bool:
        return self.head.keeps_alive and self._may_keep() and self.body.discard()

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, BodyTooSlow):
            self.refuse("RequestTimeout", 400, str(error))
        elif isinstance(error, BodyError):
            code = "IncompleteBody" if isinstance(error, IncompleteBody) else "InvalidRequest"
            self.refuse(code, 400, str(error))
        else:
            _log.error("request.failed method=%s", self.head.method, exc_info=error)
            message = "We encountered an internal error. Please try again."
            self.refuse("InternalError", 500, message, keeps_alive=True)

    def _close(self, response: Response) -> None:
        try:
            response.close()
        except Exception:
            _log.exception("response.close_failed")
