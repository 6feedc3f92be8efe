"""Requests under way: on the loop, set aside there, or on threads, and their responses up to the next request."""

import select
from collections import deque
from collections.abc import Callable
from functools import partial

from dataplane.server.connections import NEVER_S, Connection, Phase
from dataplane.server.contract import HandOn, Lane, Observer
from dataplane.server.open_connections import OpenConnections
from dataplane.server.parking import Parking
from dataplane.server.pools import Pool
from dataplane.server.requests import Request
from dataplane.server.responses import Sent
from dataplane.server.settings import ServerSettings
from dataplane.server.tls import TlsSocket

ROOM_TIMEOUT_MS = 100
"""How long a thread waits for room in the socket before the loop waits instead."""

SEND_CHECKS_PER_TIMEOUT = 4
SHUT_TIMEOUT_S = 1.0
"""How long threads whose connections were cut have to notice."""

_IN = select.EPOLLIN
_OUT = select.EPOLLOUT
_HEAD, _OWNED, _SENDING, _WAITING = Phase.HEAD, Phase.OWNED, Phase.SENDING, Phase.WAITING
_INLINE, _PARKING, _SHORT, _STREAMING = Lane.INLINE, Lane.PARKING, Lane.SHORT, Lane.STREAMING
_DONE, _CUT, _NEEDS_THREAD = Sent.DONE, Sent.CUT, Sent.NEEDS_THREAD

Guard = Callable[[Callable[[Connection], None], Connection], None]


class Course:
    """Runs the requests that `run` is given, each to the end of its response, on the loop's thread and on pools.

    `wake_up` makes the loop call `take_returned` soon. `serve_buffered` is called when a connection has come to its
    next request; `guard` calls with a connection, and cuts it when the call fails.
    """

    def __init__(
        self,
        connections: OpenConnections,
        settings: ServerSettings,
        observer: Observer,
        parking: Parking | None,
        *,
        wake_up: Callable[[], None],
        serve_buffered: Callable[[Connection], None],
        guard: Guard,
    ) -> None:
        self._connections = connections
        self._settings = settings
        self._observer = observer
        self._parking = parking
        self._wake_up = wake_up
        self._serve_buffered = serve_buffered
        self._guard = guard
        self._parked: deque[tuple[Connection, bool | Lane]] = deque()
        self._set_aside: set[Connection] = set()
        self._returned: deque[tuple[Connection, Sent]] = deque()
        self._waiting: deque[Connection] = deque()
        self._short = Pool(
            "short", thread_count=settings.short_thread_count, queue_count=settings.short_queue_count
        )
        self._streaming = Pool(
            "streaming",
            thread_count=settings.streaming_thread_count,
            queue_count=settings.streaming_queue_count,
        )
        self.is_stopping = False
        """No connection is kept for another request."""

    def call_count(self, lane: Lane) -> int:
        """Requests that run or wait in a pool of threads."""
        return (self._short if lane is _SHORT else self._streaming).call_count

    def run(self, connection: Connection, request: Request) -> None:
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
            if self._parking is not None and len(self._parking) < self._parking.count_max:
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

    def take_parked(self) -> None:
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
            self.send(connection)
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
            connection.deadline_s = self._connections.now_s + self._settings.send_timeout_s
            self._connections.arm(connection, 0)
            self._waiting.append(connection)
            return
        request.refuse("SlowDown", 503, "Please reduce your request rate.", keeps_alive=True)
        self.send(connection)

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

    def take_returned(self) -> None:
        """Go on with what threads and commits have done."""
        while self._returned:
            connection, sent = self._returned.popleft()
            self._guard(partial(self._on_returned, sent), connection)
        if self._parking is not None:
            self._parking.resume()
            self.take_parked()
        self.continue_waiting()

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

    def send(self, connection: Connection) -> None:
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
            self._connections.abort(connection)
        elif sent is _NEEDS_THREAD:
            self._to_thread(connection, self._streaming, self._continue_on_thread)
        else:
            request = connection.request
            assert request is not None
            if connection.phase is not _SENDING:
                connection.phase = _SENDING
                connection.progress_s = connection.window_s = now_s = self._connections.now_s
                connection.taken_bytes = connection.window_bytes = (
                    request.response.sent_bytes - connection.unacknowledged_bytes()
                )
                connection.deadline_s = now_s + self._settings.send_timeout_s / SEND_CHECKS_PER_TIMEOUT
            self._connections.arm(connection, _OUT)

    def _finish(self, connection: Connection) -> None:
        request, connection.request = connection.request, None
        assert request is not None
        request.end(is_whole=True)
        connection.phase = _HEAD
        if isinstance(connection.sock, TlsSocket):
            connection.buffer += connection.sock.take_decrypted()
        if not request.response.keeps_alive:
            # A client that asked for the end and sent nothing else reads all of the answer in any case.
            if not request.head.keeps_alive and not connection.buffer and request.body.discard():
                self._connections.close(connection)
            else:
                self._connections.linger(connection)
        elif self.is_stopping and not connection.buffer:
            self._connections.linger(connection)
        else:
            connection.deadline_s = self._connections.now_s + self._settings.idle_timeout_s
            self._connections.arm(connection, _IN)

    def continue_waiting(self) -> None:
        """Give threads that are free to responses that wait for one."""
        while self._waiting and self._continue_waiting(self._waiting[0]):
            self._waiting.popleft()

    def expire(self) -> None:
        """Go on with what was set aside and has waited long enough."""
        if self._parking is not None:
            self._parking.expire()
            self.take_parked()
        self.continue_waiting()

    @property
    def has_due(self) -> bool:
        """Whether something that was set aside could go on now."""
        return self._parking is not None and self._parking.has_due

    def end_turn(self) -> None:
        """Go on with those that were woken, and then with those that let all others run first."""
        assert self._parking is not None
        self._parking.resume()
        self.take_parked()
        self._parking.let_go_on()
        self.take_parked()

    def ready(self, fd: int) -> None:
        """A descriptor that is no connection's is ready: something set aside waits for it."""
        if self._parking is not None:
            self._parking.ready(fd)
            self.take_parked()

    def shut(self) -> bool:
        """End the threads, whose connections were cut, and whatever was set aside; whether all threads have ended."""
        # Both, whatever the first says.
        have_ended = [pool.close(SHUT_TIMEOUT_S) for pool in (self._short, self._streaming)]
        while self._returned:
            self._connections.abort(self._returned.popleft()[0])
        for connection in self._set_aside:
            self._connections.abort(connection)
        return all(have_ended)
