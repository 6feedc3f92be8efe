"""Work that mostly ends at once and may take long: answered as usual when it was quick, else by a LongAnswer."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from http import HTTPStatus
from typing import TypeVar

from falcon import Response

from dataplane.exchange import Exchange
from dataplane.server.contract import Lane
from dataplane.wire.faults import error_document, refusal_of
from dataplane.wire.long_answer import BLANK_INTERVAL_S, LongAnswer
from dataplane.wire.refusals import WireError
from engine.errors import EngineError

T = TypeVar("T")

PATIENCE_S = 5.0
"""How long an answer is waited for in which an error still has a status of its own."""
WORKER_COUNT = 8

_ROOM_BYTES = 4096
_ESCAPED_CHARS_MAX = 6

_log = logging.getLogger("penstock.long_work")


class LongWork:
    """Runs work beside the thread that answers. Threads that wait for it are those of the server's streaming pool."""

    def __init__(self, *, patience_s: float = PATIENCE_S, interval_s: float = BLANK_INTERVAL_S) -> None:
        self._patience_s = patience_s
        self._interval_s = interval_s
        self._workers = ThreadPoolExecutor(WORKER_COUNT, thread_name_prefix="long-work")

    def run(
        self, exchange: Exchange, resp: Response, work: Callable[[], T], document: Callable[[T], bytes]
    ) -> T | None:
        """What `work` gives, and what it raises while a status can still tell of it; null when it takes long.

        Then `resp` is an answer that ends with the `document` of what it will give. Off the threads that may wait for a
        client, the work is done right here.
        """
        if exchange.environ["penstock.lane"] is not Lane.STREAMING:
            return work()
        asked = self._workers.submit(work)
        wait([asked], self._patience_s)
        if asked.done():
            return asked.result()
        target, request_id = exchange.environ["penstock.target"], exchange.request_id

        def failure(error: BaseException) -> bytes:
            refusal = refusal_of(error)
            if refusal.fault.status is HTTPStatus.INTERNAL_SERVER_ERROR:
                is_known = isinstance(error, WireError | EngineError)
                _log.error(
                    "request.failed",
                    exc_info=None if is_known else error,
                    extra={
                        "request_id": request_id,
                        "operation": exchange.operation.name,
                        "problem": str(error),
                    },
                )
            resource = target.partition(b"?")[0].decode("latin-1")
            return error_document(refusal, resource=resource, request_id=request_id, host_id="")

        resp.status = HTTPStatus.OK
        resp.content_type = "application/xml"
        answer = LongAnswer(
            asked,
            document=document,
            failure=failure,
            # The documents hold the path and the key at most twice, and the host.
            room_bytes=_ROOM_BYTES + 2 * _ESCAPED_CHARS_MAX * (len(target) + len(exchange.key)),
            interval_s=self._interval_s,
        )
        resp.content_length = answer.remaining_bytes
        # The server drives a region source itself; Falcon only hands it through.
        resp.stream = answer  # type: ignore[assignment]
        return None
