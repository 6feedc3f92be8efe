"""Requests on their way in: heads and the beginnings of bodies, as they arrive on connections of the loop."""

import select
import time
from collections.abc import Callable, Sequence
from typing import Any

from dataplane.server.bodies import ChunkedScan, RequestBody
from dataplane.server.connections import Connection, Phase
from dataplane.server.contract import Application, Lane
from dataplane.server.errors import Refused
from dataplane.server.heads import HEAD_BYTES_MAX, RequestHead, check_beginning, parse_head
from dataplane.server.open_connections import OpenConnections
from dataplane.server.requests import Request
from dataplane.server.settings import ServerSettings

_IN = select.EPOLLIN
_HEAD, _BODY, _INLINE = Phase.HEAD, Phase.BODY, Lane.INLINE


class Reception:
    """Receives requests and gives each to `run` when enough of it is here, or answers with `send` what is none.

    `may_keep` says whether the server still keeps connections; `templates` is what every environ of a listener holds.
    """

    def __init__(
        self,
        application: Application,
        connections: OpenConnections,
        settings: ServerSettings,
        templates: Sequence[dict[str, Any]],
        *,
        run: Callable[[Connection, Request], None],
        send: Callable[[Connection], None],
        may_keep: Callable[[], bool],
    ) -> None:
        self._application = application
        self._connections = connections
        self._settings = settings
        self._templates = templates
        self._run = run
        self._send = send
        self._may_keep = may_keep
        self.ready: dict[Connection, None] = {}
        """Connections whose buffer holds requests that wait for the next turn."""

    def on_head_bytes(self, connection: Connection) -> None:
        if len(connection.buffer) > HEAD_BYTES_MAX:
            # Whole requests wait here, so the next bytes may wait with the kernel.
            self.serve_buffered(connection)
            return
        data = self._connections.receive(connection)
        if data is None:
            return
        if not data:
            self._connections.close(connection)
            return
        buffer = connection.buffer
        if not buffer:
            end = data.find(b"\r\n\r\n")
            if end >= 0:
                if len(data) > end + 4:
                    buffer += data[end + 4 :]
                self._on_head(connection, data[:end])
                if buffer and connection.phase is _HEAD:
                    self.serve_buffered(connection)
                return
        buffer += data
        self.serve_buffered(connection)

    def serve_buffered(self, connection: Connection) -> None:
        """Serve whole heads that lie in the buffer, in order, some of them at a time."""
        count = 0
        while connection.phase is _HEAD and connection.buffer:
            if count == self._settings.pipelined_count_per_turn:
                self.ready[connection] = None
                return
            if not self._take_head(connection):
                return
            count += 1

    def _take_head(self, connection: Connection) -> bool:
        buffer, scanned = connection.buffer, connection.scanned_bytes
        end = buffer.find(b"\r\n\r\n", max(0, scanned - 3))
        if 0 <= end <= HEAD_BYTES_MAX:
            raw = bytes(buffer[:end])
            del buffer[: end + 4]
            self._on_head(connection, raw)
            return True
        try:
            if len(buffer) > HEAD_BYTES_MAX:
                raise Refused(431, "RequestHeaderSectionTooLarge", "the head of the request is too large")
            check_beginning(buffer)
            at = buffer.find(b"\n", scanned)
            while at >= 0:
                if buffer[at - 1] != 0x0D:
                    raise Refused(400, "BadRequest", "a line ends without CR")
                at = buffer.find(b"\n", at + 1)
        except Refused as refused:
            self.refuse(connection, refused)
            return False
        connection.scanned_bytes = len(buffer)
        if not connection.is_head_begun:
            connection.is_head_begun = True
            connection.deadline_s = self._connections.now_s + self._settings.head_timeout_s
        self._connections.arm(connection, _IN)
        return False

    def _on_head(self, connection: Connection, raw: bytes) -> None:
        connection.scanned_bytes = 0
        connection.is_head_begun = False
        try:
            head = parse_head(raw)
        except Refused as refused:
            self.refuse(connection, refused, is_head=raw.startswith(b"HEAD "))
            return
        connection.started_s = time.monotonic()
        lane = self._application.classify(head.method, head.target, head.headers, head.content_length)
        if head.content_length is None and not head.is_chunked:
            self._run(connection, self._make_request(connection, head, None, lane))
            return
        settings = self._settings
        connection.head, connection.lane = head, lane
        connection.wanted_bytes = settings.small_body_bytes
        connection.scan = None
        if head.is_chunked:
            connection.scan = ChunkedScan()
        elif head.content_length is not None:
            connection.wanted_bytes = min(head.content_length, settings.small_body_bytes)
        if not self._try_body(connection):
            connection.phase = _BODY
            connection.window_bytes = 0
            connection.deadline_s = self._connections.now_s + settings.rate_window_s
            self._connections.arm(connection, _IN)

    def on_body_bytes(self, connection: Connection) -> None:
        data = self._connections.receive(connection)
        if data is None:
            return
        connection.buffer += data
        connection.window_bytes += len(data)
        self._try_body(connection, is_at_end=not data)

    def _try_body(self, connection: Connection, *, is_at_end: bool = False) -> bool:
        """Run the request if enough of its body is here; whoever expects `100 Continue` is not waited for."""
        head, buffer, scan = connection.head, connection.buffer, connection.scan
        assert head is not None
        is_whole = len(buffer) >= (head.content_length or 0) if scan is None else scan.is_whole(buffer)
        if not (is_whole or is_at_end or head.expects_continue or len(buffer) >= connection.wanted_bytes):
            return False
        connection.head = connection.scan = None
        body = RequestBody(connection.sock, head, buffer, self._settings, is_whole=is_whole)
        self._run(connection, self._make_request(connection, head, body, connection.lane))
        return True

    def _make_request(
        self, connection: Connection, head: RequestHead, body: RequestBody | None, lane: Lane
    ) -> Request:
        return Request(
            self._application,
            head,
            body,
            self._templates[connection.listener],
            peer=connection.peer,
            started_s=connection.started_s,
            lane=lane,
            may_keep=self._may_keep,
        )

    def refuse(self, connection: Connection, refused: Refused, *, is_head: bool = False) -> None:
        """Answer what is no request, and close."""
        head = RequestHead("HEAD" if is_head else "GET", b"/", False, [])
        request = connection.request = self._make_request(connection, head, None, _INLINE)
        request.refuse(refused.code, refused.status, refused.message)
        self._send(connection)
