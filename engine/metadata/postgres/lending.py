"""Connections of one process, lent to one caller at a time, to threads and to callers that are set aside alike.

`psycopg_pool` opens, renews and closes connections. Its own queue blocks a thread for each caller, so one thread of
ours stands in it for all of them, and a connection that comes back goes straight to the caller that has waited longest.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Self

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from engine.errors import DatabaseUnavailable, Overloaded
from engine.metadata.postgres.conversation import Conversation
from engine.metadata.postgres.target import PostgresTarget
from engine.parking import Parked

CONNECT_TIMEOUT_S = 2
OUTAGE_PATIENCE_S = 1.0
"""A caller waits so long for a database that has just gone away, and not at all for one that has been away longer."""

WAITING_COUNT_MAX = 4096
_FEED_TIMEOUT_S = 1.0
_RECONNECT_TIMEOUT_S = 0.5
_RECONNECT_PAUSE_S = 0.1
_IDLE_LOOK_S = 30.0
_OUTAGE_LOOK_S = 0.25
"""How often one who waits looks whether the database went away meanwhile."""

_SERVER_IS_FULL = ("too many clients", "connection slots", "too many connections")
"""What a server says that has no connection left for us. In another language it is taken for one out of reach."""

_SESSION = (
    # A commit is what the reply promises: on stable storage here and on the synchronous standbys.
    ("synchronous_commit", "on"),
    # No statement_timeout: at a commit it would end the wait for the standbys and report success.
    ("statement_timeout", "0"),
    ("lock_timeout", "4s"),
    ("client_connection_check_interval", "2s"),
    # A process that was stopped in the middle of a transaction holds up nobody for longer.
    ("idle_in_transaction_session_timeout", "8s"),
    # Every statement is served by an index and planned once; tables that grew since are no reason for another plan.
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("jit", "off"),
)

_log = logging.getLogger("penstock.metadata")
# It tells of every attempt; an outage is told once, here.
logging.getLogger("psycopg.pool").setLevel(logging.ERROR)


class Lent(psycopg.Connection[TupleRow]):
    """A connection, and what is being said on it: that outlives a rest in the pool."""

    conversation: Conversation | None = None


class _Waiting:
    """A caller in the queue."""

    __slots__ = ("_lock", "_parked", "conversation", "is_over", "problem")

    def __init__(self, parked: Parked | None) -> None:
        self._parked = parked
        self.conversation: Conversation | None = None
        self.problem: str | None = None
        self.is_over = False
        self._lock = threading.Lock()
        self._lock.acquire()

    def end(self) -> None:
        if self._parked is not None:
            self._parked.wake()
        else:
            self._lock.release()

    def wait(self, timeout_s: float) -> None:
        if self._parked is None:
            self._lock.acquire(timeout=timeout_s)
            return
        deadline_s = time.monotonic() + timeout_s
        while not self.is_over and (left_s := deadline_s - time.monotonic()) > 0:
            self._parked.park(left_s)


class Lender:
    """Lends conversations. Safe for any thread; made after a fork."""

    def __init__(self, target: PostgresTarget) -> None:
        self._target = target
        self._guard = threading.Lock()
        self._wanted = threading.Condition(self._guard)
        self._idle: list[Conversation] = []
        self._lent_count = 0
        self._waiting: deque[_Waiting] = deque()
        self._urgent: deque[_Waiting] = deque()
        self._is_closing = False
        self._down_since_s: float | None = None
        self._down_why = ""
        self._moved_s = 0.0
        self._pool = ConnectionPool(
            kwargs=connect_arguments(target),
            connection_class=_reporting(self._connected, self._not_connected),
            min_size=target.min_conns,
            max_size=target.max_conns,
            max_lifetime=target.max_conn_lifetime_s,
            reconnect_timeout=_RECONNECT_TIMEOUT_S,
            num_workers=2,
            open=True,
            name="penstock",
        )
        self._feeder = threading.Thread(target=self._feed, name="lender", daemon=True)
        self._feeder.start()

    @property
    def problem(self) -> str | None:
        """Why no connection can be made; null as far as is known."""
        return self._down_why if self._down_since_s is not None else None

    def take(self, parked: Parked | None, timeout_s: float, *, is_urgent: bool = False) -> Conversation:
        """A conversation of the caller alone until given back; raises DatabaseUnavailable and Overloaded.

        The last one is kept for the urgent: callers that hold up the others, who may have all the rest.
        """
        with self._guard:
            if self._is_closing:
                raise DatabaseUnavailable("the metadata store is closing")
            if self._idle and self._may_lend(is_urgent=is_urgent):
                conversation = self._idle.pop()
                self._lent_count += 1
                conversation.begin(parked)
                return conversation
            down_since_s = self._down_since_s
            if down_since_s is not None:
                left_s = down_since_s + OUTAGE_PATIENCE_S - time.monotonic()
                if left_s <= 0:
                    raise DatabaseUnavailable(self._down_message())
                timeout_s = min(timeout_s, left_s)
            if len(self._waiting) >= WAITING_COUNT_MAX:
                raise Overloaded(what="the queue for database connections")
            waiting = _Waiting(parked)
            queue = self._urgent if is_urgent else self._waiting
            queue.append(waiting)
            self._wanted.notify()
        self._wait(waiting, queue, timeout_s)
        problem = self._down_message() if self._down_since_s is not None else None
        if waiting.conversation is not None:
            waiting.conversation.begin(parked)
            return waiting.conversation
        raise DatabaseUnavailable(waiting.problem or problem or "no connection to the database became free")

    def _wait(self, waiting: _Waiting, queue: deque[_Waiting], timeout_s: float) -> None:
        """Until it was served, or its time is over, or nobody waits for the end of an outage any longer.

        The outage may begin while it waits.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            waiting.wait(max(0.0, min(_OUTAGE_LOOK_S, deadline_s - time.monotonic())))
            with self._guard:
                now_s = time.monotonic()
                is_given_up = (
                    self._down_since_s is not None and now_s >= self._down_since_s + OUTAGE_PATIENCE_S
                )
                if not waiting.is_over and (is_given_up or now_s >= deadline_s):
                    waiting.is_over = True
                    queue.remove(waiting)
                if waiting.is_over:
                    return

    def give_back(self, conversation: Conversation) -> None:
        """The caller is done with it, whatever became of it."""
        with self._guard:
            self._lent_count -= 1
        if not conversation.is_idle:
            self._drop(conversation)
            return
        age_s = time.monotonic() - conversation.opened_s
        if age_s > self._target.max_conn_lifetime_s or conversation.opened_s < self._moved_s:
            conversation.connection.close()
            self._return(conversation)
        else:
            self._lend(conversation)

    def discard(self, conversation: Conversation, *, has_server_moved: bool = False) -> None:
        """It broke, and those that broke with it go too: all of them when another server takes the writes now."""
        with self._guard:
            self._lent_count -= 1
        self._drop(conversation, has_server_moved=has_server_moved)

    def _drop(self, conversation: Conversation, *, has_server_moved: bool = False) -> None:
        with self._guard:
            if has_server_moved:
                self._moved_s = time.monotonic()
            broken = [each for each in self._idle if has_server_moved or each.is_hung_up]
            self._idle = [each for each in self._idle if each not in broken]
            self._wanted.notify()
        for each in [conversation, *broken]:
            each.connection.close()
            self._return(each)

    def close(self) -> None:
        """Close what is idle. Nothing may be lent."""
        with self._guard:
            if self._is_closing:
                return
            self._is_closing = True
            idle, self._idle = self._idle, []
            for waiting in (*self._urgent, *self._waiting):
                self._refuse(waiting, "the metadata store is closing")
            self._urgent.clear()
            self._waiting.clear()
            self._wanted.notify()
        for each in idle:
            self._return(each)
        self._pool.close()
        self._feeder.join()

    def _return(self, conversation: Conversation) -> None:
        assert isinstance(conversation.connection, Lent)
        self._pool.putconn(conversation.connection)

    def _lend(self, conversation: Conversation) -> None:
        """To whoever has waited longest; else it lies idle."""
        with self._guard:
            queue = self._urgent or (self._waiting if self._may_lend(is_urgent=False) else None)
            if queue:
                waiting = queue.popleft()
                waiting.is_over = True
                waiting.conversation = conversation
                self._lent_count += 1
                waiting.end()
                return
            if not self._is_closing:
                self._idle.append(conversation)
                return
        self._return(conversation)

    def _may_lend(self, *, is_urgent: bool) -> bool:
        return is_urgent or self._lent_count < self._target.max_conns - 1

    def _refuse(self, waiting: _Waiting, problem: str) -> None:
        waiting.is_over = True
        waiting.problem = problem
        waiting.end()

    def _feed(self) -> None:
        """Fetch connections while somebody waits for one, and while the database is away."""
        while True:
            with self._guard:
                while not self._is_wanted and not self._is_closing:
                    if not self._wanted.wait(_IDLE_LOOK_S):
                        break
                if self._is_closing:
                    return
                surplus = self._surplus()
                is_wanted = self._is_wanted
            for each in surplus:
                self._return(each)
            if not is_wanted:
                continue
            try:
                connection = self._pool.getconn(_FEED_TIMEOUT_S)
            except PoolTimeout:
                continue
            except PoolClosed:
                return
            assert isinstance(connection, Lent)
            if connection.conversation is None:
                try:
                    connection.conversation = Conversation(connection)
                except psycopg.Error:
                    # It broke while it lay in the pool.
                    connection.close()
                    self._pool.putconn(connection)
                    continue
            self._lend(connection.conversation)

    @property
    def _is_wanted(self) -> bool:
        """Whether another connection would help somebody, or tell that the database is back."""
        is_waited_for = bool(self._urgent) or (bool(self._waiting) and self._may_lend(is_urgent=False))
        return is_waited_for or self._down_since_s is not None

    def _surplus(self) -> list[Conversation]:
        """What nobody needed for a while goes back to the pool, which shrinks and renews what lies in it."""
        if self._waiting or self._urgent:
            return []
        kept = max(1, self._target.min_conns)
        surplus, self._idle = self._idle[:-kept], self._idle[-kept:]
        return surplus

    def _connected(self) -> None:
        with self._guard:
            was_down_s, self._down_since_s = self._down_since_s, None
        if was_down_s is not None:
            _log.info("database.reached", extra={"away_s": round(time.monotonic() - was_down_s, 1)})

    def _not_connected(self, why: str) -> None:
        with self._guard:
            if self._is_closing:
                return
            if (self._lent_count or self._idle) and any(each in why for each in _SERVER_IS_FULL):
                # It serves the connections it gave, so it is there.
                is_new = False
            elif is_new := self._down_since_s is None:
                self._down_since_s = time.monotonic()
                self._wanted.notify()
            self._down_why = why
        if is_new:
            _log.error("database.unreachable", extra={"problem": why})
        time.sleep(_RECONNECT_PAUSE_S)

    def _down_message(self) -> str:
        return f"the metadata database cannot be reached: {self._down_why}"


def connect_arguments(target: PostgresTarget) -> dict[str, Any]:
    """What libpq is told (PostgreSQL manual, "Parameter Key Words")."""
    return {
        "host": target.host,
        "port": target.port,
        "dbname": target.database,
        "user": target.user,
        "password": target.password,
        "sslmode": target.ssl_mode,
        "target_session_attrs": "read-write",
        "connect_timeout": CONNECT_TIMEOUT_S,
        "application_name": "penstock",
        "client_encoding": "UTF8",
        # A server that fell silent is noticed by unanswered bytes and by unanswered probes.
        "tcp_user_timeout": 3000,
        "keepalives_idle": 5,
        "keepalives_interval": 1,
        "keepalives_count": 3,
        "autocommit": True,
        "options": " ".join(f"-c {name}={value}" for name, value in _SESSION),
    }


def _reporting(connected: Callable[[], None], not_connected: Callable[[str], None]) -> type[Lent]:
    """A class of connections that tells how connecting went: the pool itself only writes it to its log."""

    class Reporting(Lent):
        @classmethod
        def connect(cls, *args: Any, **kwargs: Any) -> Self:
            try:
                connection = super().connect(*args, **kwargs)
            except psycopg.Error as error:
                not_connected(str(error).strip().splitlines()[-1])
                raise
            connected()
            return connection

    return Reporting
