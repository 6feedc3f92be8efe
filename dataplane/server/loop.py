"""The event loop: owns connections, runs what cannot block, and hands what waits to two pools of threads."""

import logging
import os
import select
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from dataplane.server.bodies import ChunkedScan, RequestBody
from dataplane.server.connections import NEVER_S, Connection, Phase
from dataplane.server.contract import Application, HandOn, Lane, Observer
from dataplane.server.errors import Refused
from dataplane.server.heads import HEAD_BYTES_MAX, RequestHead, check_beginning, parse_head
from dataplane.server.parking import Parking
from dataplane.server.pools import Pool
from dataplane.server.requests import Request
from dataplane.server.responses import Sent
from dataplane.server.settings import ServerSettings

RECEIVE_BYTES = 64 * 1024
EVENT_COUNT_PER_TURN = 32
BUSY_EVENT_COUNT = EVENT_COUNT_PER_TURN - 2
"""A turn with more events than these is a full one."""

ROOM_TIMEOUT_MS = 100
"""How long a thread waits for room in the socket before the loop waits instead."""

SEND_CHECKS_PER_TIMEOUT = 4
SHUT_TIMEOUT_S = 1.0
"""How long threads whose connections were cut have to notice."""

_IN = select.EPOLLIN
_OUT = select.EPOLLOUT
_HEAD, _BODY, _OWNED = Phase.HEAD, Phase.BODY, Phase.OWNED
_SENDING, _WAITING, _LINGERING, _CLOSED = Phase.SENDING, Phase.WAITING, Phase.LINGERING, Phase.CLOSED
_INLINE, _PARKING, _SHORT, _STREAMING = Lane.INLINE, Lane.PARKING, Lane.SHORT, Lane.STREAMING
_DONE, _CUT, _NEEDS_THREAD = Sent.DONE, Sent.CUT, Sent.NEEDS_THREAD

_log = logging.getLogger("penstock.server")


class Loop:
    """Serves connections of listening sockets until it is stopped. `run` is for one thread, `stop` for any.

    It closes the sockets when it is told to stop; those of other processes that share them go on. `on_tick` is called
    about every `tick_s`.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        application: Application,
        settings: ServerSettings,
        observer: Observer,
        *,
        on_tick: Callable[[], None] = lambda: None,
        parking: Parking | None = None,
    ) -> None:
        self._application = application
        self._settings = settings
        self._observer = observer
        self._on_tick = on_tick
        self._parking = parking
        self._parked: deque[tuple[Connection, bool | Lane]] = deque()
        self._set_aside: set[Connection] = set()
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        # Reentrant for the sake of signal handlers: who stops must not write to a descriptor that is just being closed.
        self._wake_lock = threading.RLock()
        self._is_woken = False
        self._returned: deque[tuple[Connection, Sent]] = deque()
        self._ready: dict[Connection, None] = {}
        self._waiting: deque[Connection] = deque()
        self._listeners = {each.fileno(): (index, each) for index, each in enumerate(listeners)}
        self._templates = [_template(index, each) for index, each in enumerate(listeners)]
        self._is_accepting = False
        self._connections: dict[int, Connection] = {}
        self._told_count = 0
        self._short = Pool(
            "short", thread_count=settings.short_thread_count, queue_count=settings.short_queue_count
        )
        self._streaming = Pool(
            "streaming",
            thread_count=settings.streaming_thread_count,
            queue_count=settings.streaming_queue_count,
        )
        self._now_s = time.monotonic()
        self._stop_timeout_s: float | None = None
        self._stop_at_s = NEVER_S
        self._is_stopping = False

    def stop(self, timeout_s: float) -> None:
        """Accept no more, finish what runs, cut what is left after `timeout_s`. Safe in a signal handler."""
        with self._wake_lock:
            before_s = self._stop_timeout_s
            self._stop_timeout_s = timeout_s if before_s is None else min(before_s, timeout_s)
            if self._wake >= 0:
                os.eventfd_write(self._wake, 1)

    def call_count(self, lane: Lane) -> int:
        """Requests that run or wait in a pool of threads."""
        return (self._short if lane is _SHORT else self._streaming).call_count

    def run(self) -> None:
        """Returns when stopped."""
        for _, listener in self._listeners.values():
            listener.setblocking(False)
            if listener.family in (socket.AF_INET, socket.AF_INET6):
                # Accepted sockets inherit it. Else a crowd that reads nothing would have megabytes read, opened and
                # kept for each of it (tcp_wmem), and everybody else would wait meanwhile.
                listener.setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, self._settings.unsent_bytes_max
                )
        self._epoll.register(self._wake, _IN)
        self._resume_accepting()
        if self._parking is not None:
            self._parking.open(self._wake_up, self._epoll)
        try:
            self._turn_until_stopped()
        finally:
            self._shut()

    def _turn_until_stopped(self) -> None:
        settings, connections = self._settings, self._connections
        poll, monotonic, on_event = self._epoll.poll, time.monotonic, self._on_event
        next_tick_s = self._now_s
        while True:
            timeout_s = 0.0 if self._ready else max(0.0, next_tick_s - monotonic())
            events = poll(timeout_s, EVENT_COUNT_PER_TURN)
            started_s = self._now_s = monotonic()
            for fd, _ in events:
                connection = connections.get(fd)
                if connection is not None:
                    try:
                        on_event(connection)
                    except Exception:
                        self._fail(connection)
                elif fd == self._wake:
                    self._take_returned()
                elif fd in self._listeners:
                    # One by one while there is little to do: processes that share a socket get like shares of a crowd.
                    # A full turn takes long, and whoever waits to come in should not wait for many of them.
                    is_busy = len(events) > BUSY_EVENT_COUNT
                    self._accept(
                        *self._listeners[fd], count_max=settings.accept_count_per_turn if is_busy else 1
                    )
                elif self._parking is not None:
                    self._parking.ready(fd)
                    self._take_parked()
            if self._ready:
                ready, self._ready = self._ready, {}
                for connection in ready:
                    self._guard(self._serve_buffered, connection)
            if started_s >= next_tick_s:
                self._tick(started_s)
                next_tick_s = started_s + settings.tick_s
            if self._stop_timeout_s is not None and self._is_stopped(self._stop_timeout_s):
                return
            took_s = monotonic() - started_s
            if took_s > settings.stall_s:
                self._observer.stalled(took_s)

    def _is_stopped(self, timeout_s: float) -> bool:
        if not self._is_stopping:
            self._begin_stopping()
        # A later call of `stop` may bring the end nearer, never move it away.
        self._stop_at_s = min(self._stop_at_s, self._now_s + timeout_s)
        return not self._connections or self._now_s >= self._stop_at_s

    def _guard(self, call: Callable[[Connection], None], connection: Connection) -> None:
        try:
            call(connection)
        except Exception:
            self._fail(connection)

    def _fail(self, connection: Connection) -> None:
        _log.exception("connection.failed")
        self._abort(connection)

    # Connections come and go.

    def _accept(self, index: int, listener: socket.socket, *, count_max: int) -> None:
        settings = self._settings
        for _ in range(count_max):
            if len(self._connections) >= settings.connection_count_max:
                self._pause_accepting()
                return
            try:
                sock, address = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                # Out of descriptors or memory: the next tick tries again.
                _log.warning("connection.not_accepted reason=%s", error)
                self._pause_accepting()
                return
            sock.setblocking(False)
            is_inet = sock.family in (socket.AF_INET, socket.AF_INET6)
            if is_inet:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(
                sock,
                peer=address[0] if is_inet else "",
                listener=index,
                deadline_s=self._now_s + settings.idle_timeout_s,
            )
            self._connections[connection.fd] = connection
            self._arm(connection, _IN)

    def _pause_accepting(self) -> None:
        if self._is_accepting:
            self._is_accepting = False
            for fd in self._listeners:
                self._epoll.unregister(fd)

    def _resume_accepting(self) -> None:
        if not self._is_accepting and not self._is_stopping:
            self._is_accepting = True
            for fd in self._listeners:
                self._epoll.register(fd, _IN)

    def _arm(self, connection: Connection, mask: int) -> None:
        armed = connection.armed
        if armed == mask:
            return
        connection.armed = mask
        if not armed:
            self._epoll.register(connection.fd, mask)
        elif mask:
            self._epoll.modify(connection.fd, mask)
        else:
            self._epoll.unregister(connection.fd)

    def _close(self, connection: Connection) -> None:
        if connection.phase is _CLOSED:
            return
        connection.phase = _CLOSED
        del self._connections[connection.fd]
        connection.sock.close()
        request, connection.request = connection.request, None
        if request is not None:
            request.end(is_whole=False)
        if not self._is_accepting and len(self._connections) < self._settings.connection_count_max:
            self._resume_accepting()

    def _abort(self, connection: Connection) -> None:
        """Close so that the client sees a reset, never an end that looks clean."""
        if connection.phase is not _CLOSED:
            try:
                connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            except OSError:
                pass
            self._close(connection)

    def _linger(self, connection: Connection) -> None:
        """Say that no more comes, and give the client a moment to read it before what it still sends is refused."""
        try:
            connection.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(connection)
            return
        connection.phase = _LINGERING
        connection.drained_bytes = 0
        connection.buffer.clear()
        connection.deadline_s = self._now_s + self._settings.drain_timeout_s
        self._arm(connection, _IN)

    # What an event means depends on the phase.

    def _on_event(self, connection: Connection) -> None:
        phase = connection.phase
        if phase is _HEAD:
            self._on_head_bytes(connection)
        elif phase is _SENDING:
            self._send(connection)
            self._serve_buffered(connection)
        elif phase is _BODY:
            self._on_body_bytes(connection)
            self._serve_buffered(connection)
        elif phase is _LINGERING:
            self._drain(connection)
        elif phase is not _CLOSED:
            # Whoever owns the connection will find out.
            self._arm(connection, 0)

    def _receive(self, connection: Connection) -> bytes | None:
        """What arrived, empty at the client's end; None when there is nothing, or the connection is closed."""
        try:
            return connection.sock.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            self._close(connection)
            return None

    def _on_head_bytes(self, connection: Connection) -> None:
        if len(connection.buffer) > HEAD_BYTES_MAX:
            # Whole requests wait here, so the next bytes may wait with the kernel.
            self._serve_buffered(connection)
            return
        data = self._receive(connection)
        if data is None:
            return
        if not data:
            self._close(connection)
            return
        buffer = connection.buffer
        if not buffer:
            end = data.find(b"\r\n\r\n")
            if end >= 0:
                if len(data) > end + 4:
                    buffer += data[end + 4 :]
                self._on_head(connection, data[:end])
                if buffer and connection.phase is _HEAD:
                    self._serve_buffered(connection)
                return
        buffer += data
        self._serve_buffered(connection)

    def _serve_buffered(self, connection: Connection) -> None:
        """Serve whole heads that lie in the buffer, in order, some of them at a time."""
        count = 0
        while connection.phase is _HEAD and connection.buffer:
            if count == self._settings.pipelined_count_per_turn:
                self._ready[connection] = None
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
            self._refuse(connection, refused)
            return False
        connection.scanned_bytes = len(buffer)
        if not connection.is_head_begun:
            connection.is_head_begun = True
            connection.deadline_s = self._now_s + self._settings.head_timeout_s
        self._arm(connection, _IN)
        return False

    def _on_head(self, connection: Connection, raw: bytes) -> None:
        connection.scanned_bytes = 0
        connection.is_head_begun = False
        try:
            head = parse_head(raw)
        except Refused as refused:
            self._refuse(connection, refused, is_head=raw.startswith(b"HEAD "))
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
            connection.deadline_s = self._now_s + settings.rate_window_s
            self._arm(connection, _IN)

    def _on_body_bytes(self, connection: Connection) -> None:
        data = self._receive(connection)
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

    def _may_keep(self) -> bool:
        return self._stop_timeout_s is None

    # Requests run here or on threads.

    def _run(self, connection: Connection, request: Request) -> None:
        connection.request = request
        if request.lane is _INLINE:
            try:
                can_send = request.run()
            except HandOn as handed_on:
                request.lane = handed_on.lane
            else:
                self._after_run(connection, can_send)
                return
        if request.lane is _PARKING and not request.body.needs_streaming:
            if self._parking is not None and len(self._parking) < self._settings.parked_count_max:
                self._park(connection, request)
                return
            request.lane = _SHORT
        if request.lane is _SHORT and not request.body.needs_streaming:
            pool = self._short
        else:
            request.lane, pool = _STREAMING, self._streaming
        self._to_thread(connection, pool, self._run_on_thread)

    def _park(self, connection: Connection, request: Request) -> None:
        """Run in a greenlet; what is set aside ends in `_take_parked`."""
        assert self._parking is not None
        connection.phase = _OWNED
        connection.deadline_s = NEVER_S

        def call() -> None:
            try:
                self._parked.append((connection, request.run()))
            except HandOn as handed_on:
                self._parked.append((connection, handed_on.lane))

        if self._parking.run(call):
            self._after_park(*self._parked.pop())
        else:
            self._set_aside.add(connection)

    def _take_parked(self) -> None:
        """Answer those that were set aside and have ended."""
        while self._parked:
            connection, outcome = self._parked.popleft()
            self._set_aside.discard(connection)
            self._guard(partial(self._on_parked, outcome), connection)

    def _on_parked(self, outcome: bool | Lane, connection: Connection) -> None:
        self._after_park(connection, outcome)
        self._serve_buffered(connection)

    def _after_park(self, connection: Connection, outcome: bool | Lane) -> None:
        """`outcome` says whether the answer can be sent, or which lane is to run the request again."""
        if not isinstance(outcome, Lane):
            self._after_run(connection, outcome)
            return
        request = connection.request
        assert request is not None
        request.lane = outcome
        self._to_thread(connection, self._streaming, self._run_on_thread)

    def _after_run(self, connection: Connection, can_send: bool) -> None:
        if can_send:
            self._send(connection)
        else:
            self._to_thread(connection, self._streaming, self._continue_on_thread)

    def _to_thread(self, connection: Connection, pool: Pool, call: Callable[[Connection], Sent]) -> None:
        request = connection.request
        assert request is not None
        connection.phase = _OWNED
        connection.deadline_s = NEVER_S
        if pool.submit(partial(self._on_thread, call, connection)):
            return
        self._observer.pool_full(pool.name)
        if request.response.is_begun:
            connection.phase = _WAITING
            connection.deadline_s = self._now_s + self._settings.send_timeout_s
            self._arm(connection, 0)
            self._waiting.append(connection)
            return
        request.refuse("SlowDown", 503, "Please reduce your request rate.", keeps_alive=True)
        self._send(connection)

    def _on_thread(self, call: Callable[[Connection], Sent], connection: Connection) -> None:
        sent = _CUT
        try:
            sent = call(connection)
        finally:
            request = connection.request
            if request is not None and (sent is _DONE or sent is _CUT):
                request.end(is_whole=sent is _DONE)
            self._returned.append((connection, sent))
            self._wake_up()

    def _wake_up(self) -> None:
        """Make the loop look at what was returned or woken; for any thread, also after the loop has ended."""
        if not self._is_woken:
            with self._wake_lock:
                if self._wake >= 0:
                    self._is_woken = True
                    os.eventfd_write(self._wake, 1)

    def _run_on_thread(self, connection: Connection) -> Sent:
        request = connection.request
        assert request is not None
        request.run()
        return self._send_on_thread(connection, request)

    def _continue_on_thread(self, connection: Connection) -> Sent:
        request = connection.request
        assert request is not None
        if not request.response.is_begun:
            request.begin(nowait=False)
        return self._send_on_thread(connection, request)

    def _send_on_thread(self, connection: Connection, request: Request) -> Sent:
        """Send until done, or until the client takes nothing: that is waited for on the loop."""
        while True:
            sent = request.send(connection.sock, nowait=False)
            if sent is not Sent.SOCKET_FULL or request.response.sends_files:
                return sent
            poll = select.poll()
            poll.register(connection.fd, select.POLLOUT)
            if not poll.poll(ROOM_TIMEOUT_MS):
                return sent

    def _take_returned(self) -> None:
        os.eventfd_read(self._wake)
        # Cleared first: who returns a connection from here on wakes the loop again.
        self._is_woken = False
        while self._returned:
            connection, sent = self._returned.popleft()
            self._guard(partial(self._on_returned, sent), connection)
        if self._parking is not None:
            self._parking.resume()
            self._take_parked()
        while self._waiting and self._continue_waiting(self._waiting[0]):
            self._waiting.popleft()

    def _on_returned(self, sent: Sent, connection: Connection) -> None:
        self._after(connection, sent)
        self._serve_buffered(connection)

    def _continue_waiting(self, connection: Connection) -> bool:
        """Whether it waits no longer."""
        if connection.phase is not _WAITING:
            return True
        if not self._streaming.submit(partial(self._on_thread, self._continue_on_thread, connection)):
            return False
        connection.phase = _OWNED
        connection.deadline_s = NEVER_S
        return True

    def _send(self, connection: Connection) -> None:
        request = connection.request
        assert request is not None
        self._after(
            connection,
            request.send(connection.sock, nowait=True, region_count_max=self._settings.region_count_per_turn),
        )

    def _after(self, connection: Connection, sent: Sent) -> None:
        """Do what follows from how far the response got."""
        if sent is _DONE:
            self._finish(connection)
        elif sent is _CUT:
            self._abort(connection)
        elif sent is _NEEDS_THREAD:
            self._to_thread(connection, self._streaming, self._continue_on_thread)
        else:
            request = connection.request
            assert request is not None
            if connection.phase is not _SENDING:
                connection.phase = _SENDING
                connection.progress_s = connection.window_s = now_s = self._now_s
                connection.taken_bytes = connection.window_bytes = (
                    request.response.sent_bytes - connection.unacknowledged_bytes()
                )
                connection.deadline_s = now_s + self._settings.send_timeout_s / SEND_CHECKS_PER_TIMEOUT
            self._arm(connection, _OUT)

    def _finish(self, connection: Connection) -> None:
        request, connection.request = connection.request, None
        assert request is not None
        request.end(is_whole=True)
        connection.phase = _HEAD
        if not request.response.keeps_alive:
            # A client that asked for the end and sent nothing else reads all of the answer in any case.
            if not request.head.keeps_alive and not connection.buffer and request.body.discard():
                self._close(connection)
            else:
                self._linger(connection)
        elif self._is_stopping and not connection.buffer:
            self._linger(connection)
        else:
            connection.deadline_s = self._now_s + self._settings.idle_timeout_s
            self._arm(connection, _IN)

    def _refuse(self, connection: Connection, refused: Refused, *, is_head: bool = False) -> None:
        """Answer what is no request, and close."""
        head = RequestHead("HEAD" if is_head else "GET", b"/", False, [])
        request = connection.request = self._make_request(connection, head, None, _INLINE)
        request.refuse(refused.code, refused.status, refused.message)
        self._send(connection)

    def _drain(self, connection: Connection) -> None:
        data = self._receive(connection)
        if data is None:
            return
        connection.drained_bytes += len(data)
        if not data or connection.drained_bytes > self._settings.drain_bytes_max:
            self._close(connection)

    # Deadlines, and the end.

    def _tick(self, now_s: float) -> None:
        self._on_tick()
        expired = [each for each in self._connections.values() if each.deadline_s <= now_s]
        for connection in expired:
            self._guard(self._on_deadline, connection)
        if self._parking is not None:
            self._parking.expire()
            self._take_parked()
        while self._waiting and self._continue_waiting(self._waiting[0]):
            self._waiting.popleft()
        if len(self._connections) < self._settings.connection_count_max:
            self._resume_accepting()
        count = len(self._connections)
        if count != self._told_count:
            self._told_count = count
            self._observer.connections(count)

    def _on_deadline(self, connection: Connection) -> None:
        settings, now_s, phase = self._settings, self._now_s, connection.phase
        if phase is _BODY:
            if connection.window_bytes >= settings.rate_window_s * settings.rate_bytes_min:
                connection.window_bytes = 0
                connection.deadline_s = now_s + settings.rate_window_s
            else:
                self._refuse(connection, Refused(400, "RequestTimeout", "the body comes too slowly"))
        elif phase is _SENDING:
            if self._is_read(connection):
                connection.deadline_s = now_s + settings.send_timeout_s / SEND_CHECKS_PER_TIMEOUT
            else:
                self._abort(connection)
        elif phase is _WAITING:
            self._abort(connection)
        else:
            self._close(connection)

    def _is_read(self, connection: Connection) -> bool:
        """Whether the client takes enough of the response."""
        settings, now_s, request = self._settings, self._now_s, connection.request
        assert request is not None
        taken_bytes = request.response.sent_bytes - connection.unacknowledged_bytes()
        if taken_bytes > connection.taken_bytes:
            connection.progress_s = now_s
            connection.taken_bytes = taken_bytes
        elif now_s - connection.progress_s >= settings.send_timeout_s:
            return False
        window_s = now_s - connection.window_s
        if window_s >= settings.rate_window_s:
            if taken_bytes - connection.window_bytes < window_s * settings.rate_bytes_min:
                return False
            connection.window_s = now_s
            connection.window_bytes = taken_bytes
        return True

    def _begin_stopping(self) -> None:
        self._application.draining()
        self._pause_accepting()
        self._is_stopping = True
        # Nobody shall wait in a queue that only this process could serve.
        for _, listener in self._listeners.values():
            listener.close()
        for connection in list(self._connections.values()):
            if connection.phase is _HEAD and not connection.buffer:
                # A request that is here already is served; an idle connection is closed.
                self._guard(self._on_head_bytes, connection)
                if connection.phase is _HEAD and not connection.buffer:
                    self._close(connection)

    def _shut(self) -> None:
        self._pause_accepting()
        for connection in list(self._connections.values()):
            if connection.phase is _OWNED:
                # Its thread finds out now, and hands it back to be closed.
                try:
                    connection.sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            else:
                self._abort(connection)
        # Both, whatever the first says.
        have_ended = [pool.close(SHUT_TIMEOUT_S) for pool in (self._short, self._streaming)]
        while self._returned:
            self._abort(self._returned.popleft()[0])
        for connection in self._set_aside:
            self._abort(connection)
        self._epoll.close()
        if all(have_ended):
            with self._wake_lock:
                wake, self._wake = self._wake, -1
                os.close(wake)


def _template(index: int, listener: socket.socket) -> dict[str, Any]:
    address = listener.getsockname()
    is_inet = listener.family in (socket.AF_INET, socket.AF_INET6)
    return {
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": str(address[0]) if is_inet else "localhost",
        "SERVER_PORT": str(address[1]) if is_inet else "0",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        "penstock.listener": index,
    }
