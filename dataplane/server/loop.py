"""The event loop: takes turns over what happens on connections, and ends with them."""

import logging
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from dataplane.server.certificates import Certificates
from dataplane.server.connections import NEVER_S, Connection, Phase
from dataplane.server.contract import Application, Lane, Observer
from dataplane.server.course import Course
from dataplane.server.deadlines import Deadlines
from dataplane.server.door import Door
from dataplane.server.handshakes import Handshakes
from dataplane.server.open_connections import OpenConnections
from dataplane.server.parking import Parking
from dataplane.server.reception import Reception
from dataplane.server.settings import ServerSettings

EVENT_COUNT_PER_TURN = 32
BUSY_EVENT_COUNT = EVENT_COUNT_PER_TURN - 2
"""A turn with more events than these is a full one."""

_IN = select.EPOLLIN
_HANDSHAKE, _HEAD, _BODY, _OWNED = Phase.HANDSHAKE, Phase.HEAD, Phase.BODY, Phase.OWNED
_SENDING, _LINGERING, _CLOSED = Phase.SENDING, Phase.LINGERING, Phase.CLOSED

_log = logging.getLogger("penstock.server")


class Loop:
    """Serves connections of listening sockets until it is stopped. `run` is for one thread, `stop` for any.

    It closes the sockets when it is told to stop; those of other processes that share them go on. `on_tick` is called
    about every `tick_s`. Sockets that `certificates` names by their index speak TLS.
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
        certificates: Mapping[int, Certificates] | None = None,
    ) -> None:
        self._application = application
        self._settings = settings
        self._observer = observer
        self._on_tick = on_tick
        self._parking = parking
        self._certificates = certificates or {}
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        # Reentrant for the sake of signal handlers: who stops must not write to a descriptor that is just being closed.
        self._wake_lock = threading.RLock()
        self._is_woken = False
        self._turning_thread = 0
        self._connections = OpenConnections(self._epoll, settings)
        self._door = Door(
            listeners, self._epoll, self._connections, settings, tls_listeners=self._certificates
        )
        self._course = Course(
            self._connections,
            settings,
            observer,
            parking,
            wake_up=self._wake_up,
            serve_buffered=lambda connection: self._reception.serve_buffered(connection),
            guard=self._guard,
        )
        self._reception = Reception(
            application,
            self._connections,
            settings,
            self._door.templates,
            run=self._course.run,
            send=self._course.send,
            may_keep=lambda: self._stop_timeout_s is None,
        )
        self._deadlines = Deadlines(self._connections, self._reception, settings)
        self._handshakes = Handshakes(self._certificates, self._connections, self._reception, settings)
        self._told_count = 0
        self._stop_timeout_s: float | None = None
        self._stop_at_s = NEVER_S

    def stop(self, timeout_s: float) -> None:
        """Accept no more, finish what runs, cut what is left after `timeout_s`. Safe in a signal handler."""
        with self._wake_lock:
            before_s = self._stop_timeout_s
            self._stop_timeout_s = timeout_s if before_s is None else min(before_s, timeout_s)
            if self._wake >= 0:
                os.eventfd_write(self._wake, 1)

    def call_count(self, lane: Lane) -> int:
        """Requests that run or wait in a pool of threads."""
        return self._course.call_count(lane)

    def run(self) -> None:
        """Returns when stopped."""
        self._epoll.register(self._wake, _IN)
        self._door.open()
        if self._parking is not None:
            self._parking.open(self._wake_up, self._epoll)
        self._turning_thread = threading.get_ident()
        try:
            self._turn_until_stopped()
        finally:
            self._shut()

    def _turn_until_stopped(self) -> None:
        settings, connections, door, reception, course = (
            self._settings,
            self._connections,
            self._door,
            self._reception,
            self._course,
        )
        by_fd = connections.by_fd
        poll, monotonic, on_event = self._epoll.poll, time.monotonic, self._on_event
        next_tick_s = monotonic()
        while True:
            is_due = bool(reception.ready) or course.has_due
            timeout_s = 0.0 if is_due else max(0.0, next_tick_s - monotonic())
            events = poll(timeout_s, EVENT_COUNT_PER_TURN)
            started_s = connections.now_s = monotonic()
            for fd, _ in events:
                connection = by_fd.get(fd)
                if connection is not None:
                    try:
                        on_event(connection)
                    except Exception:
                        self._fail(connection)
                elif fd == self._wake:
                    os.eventfd_read(self._wake)
                    # Cleared first: who returns a connection from here on wakes the loop again.
                    self._is_woken = False
                    course.take_returned()
                elif fd in door:
                    # One by one while there is little to do: processes that share a socket get like shares of a crowd.
                    # A full turn takes long, and whoever waits to come in should not wait for many of them.
                    is_busy = len(events) > BUSY_EVENT_COUNT
                    door.accept(fd, count_max=settings.accept_count_per_turn if is_busy else 1)
                else:
                    course.ready(fd)
            if reception.ready:
                ready, reception.ready = reception.ready, {}
                for connection in ready:
                    self._guard(reception.serve_buffered, connection)
            if started_s >= next_tick_s:
                self._tick()
                next_tick_s = started_s + settings.tick_s
            if course.has_due:
                course.end_turn()
            if self._stop_timeout_s is not None and self._is_stopped(self._stop_timeout_s):
                return
            if door.is_full and len(connections) < settings.connection_count_max:
                door.make_room()
            took_s = monotonic() - started_s
            if took_s > settings.stall_s:
                self._observer.stalled(took_s)

    def _on_event(self, connection: Connection) -> None:
        """What an event means depends on the phase."""
        phase = connection.phase
        if phase is _HEAD:
            self._reception.on_head_bytes(connection)
        elif phase is _SENDING:
            self._course.send(connection)
            self._reception.serve_buffered(connection)
        elif phase is _BODY:
            self._reception.on_body_bytes(connection)
            self._reception.serve_buffered(connection)
        elif phase is _LINGERING:
            self._connections.drain(connection)
        elif phase is _HANDSHAKE:
            self._handshakes.go_on(connection)
        elif phase is not _CLOSED:
            # Whoever owns the connection will find out.
            self._connections.arm(connection, 0)

    def _guard(self, call: Callable[[Connection], None], connection: Connection) -> None:
        try:
            call(connection)
        except Exception:
            self._fail(connection)

    def _fail(self, connection: Connection) -> None:
        _log.exception("connection.failed")
        self._connections.abort(connection)

    def _wake_up(self) -> None:
        """Make the loop look at what was returned or woken; for any thread, also after the loop has ended."""
        # In the middle of a turn its end looks anyway.
        if not self._is_woken and threading.get_ident() != self._turning_thread:
            with self._wake_lock:
                if self._wake >= 0:
                    self._is_woken = True
                    os.eventfd_write(self._wake, 1)

    def _tick(self) -> None:
        self._on_tick()
        for each in self._certificates.values():
            each.refresh()
        for connection in self._deadlines.expired():
            self._guard(self._deadlines.apply, connection)
        self._course.expire()
        # Descriptors or memory may be there again.
        self._door.make_room()
        count = len(self._connections)
        if count != self._told_count:
            self._told_count = count
            self._observer.connections(count)

    def _is_stopped(self, timeout_s: float) -> bool:
        if not self._course.is_stopping:
            self._begin_stopping()
        # A later call of `stop` may bring the end nearer, never move it away.
        now_s = self._connections.now_s
        self._stop_at_s = min(self._stop_at_s, now_s + timeout_s)
        return not self._connections or now_s >= self._stop_at_s

    def _begin_stopping(self) -> None:
        self._application.draining()
        self._course.is_stopping = True
        self._door.shut()
        for connection in list(self._connections.by_fd.values()):
            if connection.phase is _HANDSHAKE:
                self._connections.close(connection)
            elif connection.phase is _HEAD and not connection.buffer:
                # A request that is here already is served; an idle connection is closed.
                self._guard(self._reception.on_head_bytes, connection)
                if connection.phase is _HEAD and not connection.buffer:
                    self._connections.close(connection)

    def _shut(self) -> None:
        self._door.pause()
        for connection in list(self._connections.by_fd.values()):
            if connection.phase is _OWNED:
                # Its thread finds out now, and hands it back to be closed.
                try:
                    connection.sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            else:
                self._connections.abort(connection)
        have_ended = self._course.shut()
        self._epoll.close()
        if have_ended:
            with self._wake_lock:
                wake, self._wake = self._wake, -1
                os.close(wake)
