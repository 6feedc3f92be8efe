"""One connection in pipeline mode: statements go out without waiting, and answers are read in their order.

A round trip costs ten times a statement, so what a transaction asks before it looks at an answer goes out together
(libpq, chapter "Pipeline Mode"). psycopg's cursors would wait after each; its libpq wrapper does not.
"""

import math
import select
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, cast

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer

from engine.metadata.postgres.errors import ConnectionLost, ServerError
from engine.metadata.postgres.statements import PostgresStatement
from engine.metadata.store import Params, Row, SqlValue
from engine.parking import Parked

REPLY_TIMEOUT_S = 10.0
"""Longest wait for one answer: beyond the server's own limits, so that only a server that hangs meets it."""

_BINARY, _TEXT = 1, 0
_POLL_READ = select.POLLIN
_POLL_BOTH = select.POLLIN | select.POLLOUT


class PostgresAnswer:
    """Implements `engine.metadata.store.Answer`: read from the connection when somebody asks for it."""

    __slots__ = (
        "_conversation",
        "_count",
        "_error",
        "_rows",
        "command",
        "is_settled",
        "statement",
        "warning",
    )

    def __init__(self, conversation: "Conversation", statement: str) -> None:
        self._conversation = conversation
        self.statement = statement
        self.is_settled = False
        self.command = b""
        self.warning: str | None = None
        """What the server warned of while it did this."""
        self._rows: list[Row] = []
        self._count = 0
        self._error: Exception | None = None

    def row(self) -> Row:
        rows = self.rows()
        if len(rows) != 1:
            raise LookupError(f"{self.statement} gave {len(rows)} rows instead of one")
        return rows[0]

    def row_or_none(self) -> Row | None:
        rows = self.rows()
        if len(rows) > 1:
            raise LookupError(f"{self.statement} gave {len(rows)} rows instead of at most one")
        return rows[0] if rows else None

    def rows(self) -> list[Row]:
        self.check()
        return self._rows

    def count(self) -> int:
        self.check()
        return self._count

    def check(self) -> None:
        """Wait for the answer; raises ServerError and ConnectionLost."""
        if not self.is_settled:
            self._conversation.settle(self)
        if self._error is not None:
            raise self._error

    def take(self, rows: list[Row], count: int, command: bytes) -> None:
        self._rows, self._count, self.command = rows, count, command
        self.is_settled = True

    def fail(self, error: Exception) -> None:
        self._error = error
        self.is_settled = True


class _Preparation:
    """Stands where the answer to a Parse is expected."""

    __slots__ = ("statement",)

    def __init__(self, statement: PostgresStatement) -> None:
        self.statement = statement


_SYNC = object()


class Conversation:
    """For one caller at a time, who says with `begin` how it waits.

    `is_left`: nobody uses it. `is_lost`: nothing can be said on it any more. `has_server_moved`: because another server
    takes the writes now.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self.opened_s = time.monotonic()
        self._pgconn = connection.pgconn
        self._fd = self._pgconn.socket
        self._pgconn.nonblocking = 1
        self._pgconn.enter_pipeline_mode()
        self._transformer = Transformer(connection)
        self._expected: deque[PostgresAnswer | _Preparation | object] = deque()
        self._is_synced = True
        self._failure: ServerError | None = None
        self._prepared: set[bytes] = set()
        self._parked: Parked | None = None
        self._poll = select.poll()
        self.is_lost = False
        self.is_left = True
        self.has_server_moved = False
        self._answer_by_s = math.inf
        connection.add_notice_handler(self._take_notice)

    def hurry(self, deadline_s: float) -> None:
        """Wait for no answer beyond a time of the monotonic clock, until the next `begin`."""
        self._answer_by_s = deadline_s

    def allow(self, timeout_s: float) -> None:
        """Wait no longer than that for all answers from now on together, until the next `begin`."""
        self.hurry(time.monotonic() + timeout_s)

    def begin(self, parked: Parked | None) -> None:
        """Another caller; nothing of the one before is left."""
        assert not self._expected
        self.is_left = False
        self._parked = parked
        self._failure = None
        self._answer_by_s = math.inf

    @property
    def is_idle(self) -> bool:
        """Whether it can be lent to somebody else: alive, and outside of any transaction."""
        return (
            not self.is_lost
            and not self._expected
            and self._pgconn.status == pq.ConnStatus.OK
            and self._pgconn.transaction_status == pq.TransactionStatus.IDLE
        )

    @property
    def is_hung_up(self) -> bool:
        """Whether the server has said something unasked, which it does when it ends the connection. For idle ones."""
        self._poll.register(self._fd, _POLL_READ)
        return bool(self._poll.poll(0))

    def ask(self, statement: PostgresStatement, params: Params) -> PostgresAnswer:
        """Send a statement; raises ConnectionLost. What the server thinks of it shows when the answer is read."""
        return self.ask_rows(statement, (params,))

    def ask_rows(self, statement: PostgresStatement, entries: Sequence[Params]) -> PostgresAnswer:
        """As `ask`, of a statement for as many entries."""
        values: list[bytes | None] = []
        formats: list[int] = []
        for params in entries:
            for name in statement.parameters:
                value = params[name]
                values.append(_written(value))
                formats.append(_TEXT if isinstance(value, int | float) else _BINARY)
        pgconn, name = self._pgconn, statement.name
        answer = PostgresAnswer(self, name)
        try:
            if statement.prepared_name not in self._prepared:
                pgconn.send_prepare(statement.prepared_name, statement.text)
                self._expected.append(_Preparation(statement))
                self._prepared.add(statement.prepared_name)
            pgconn.send_query_prepared(statement.prepared_name, values, formats, _BINARY)
        except psycopg.Error as error:
            raise self._lost(str(error)) from error
        self._expected.append(answer)
        self._is_synced = False
        return answer

    def settle(self, answer: PostgresAnswer) -> None:
        """Wait until an answer is there; those before it are as well then."""
        if not self._is_synced:
            self._sync()
        while not answer.is_settled:
            self._take_result()

    def drain(self) -> None:
        """Wait for all that was asked; raises ConnectionLost, and keeps what the server refused to its answers."""
        if not self._is_synced:
            self._sync()
        while self._expected:
            self._take_result()

    @property
    def failure(self) -> ServerError | None:
        """The first statement the server refused since `begin`, as far as answers were read."""
        return self._failure

    def _sync(self) -> None:
        """End a batch: the server answers all of it, and takes up again behind a statement that failed."""
        try:
            self._pgconn.pipeline_sync()
            self._expected.append(_SYNC)
            self._is_synced = True
            while self._pgconn.flush():
                self._wait(for_write=True)
                # The server may wait for us to read before it reads on.
                self._pgconn.consume_input()
        except psycopg.Error as error:
            raise self._lost(str(error)) from error

    def _take_result(self) -> None:
        pgconn = self._pgconn
        try:
            while pgconn.is_busy():
                self._wait(for_write=False)
                pgconn.consume_input()
            result = pgconn.get_result()
        except psycopg.Error as error:
            raise self._lost(str(error)) from error
        if result is None:
            # Between the answers of two statements, or all there is from a connection that died.
            if pgconn.status != pq.ConnStatus.OK:
                raise self._lost(_message_of(pgconn))
            return
        head = self._expected.popleft()
        status = result.status
        if status == pq.ExecStatus.PIPELINE_SYNC:
            assert head is _SYNC
        elif status == pq.ExecStatus.TUPLES_OK:
            assert isinstance(head, PostgresAnswer)
            self._transformer.set_pgresult(result)
            rows = cast(list[Row], self._transformer.load_rows(0, result.ntuples, tuple))
            head.take(rows, result.command_tuples or 0, b"")
        elif status == pq.ExecStatus.COMMAND_OK:
            if isinstance(head, PostgresAnswer):
                head.take([], result.command_tuples or 0, result.command_status or b"")
        else:
            self._take_failure(head, result)

    def _take_failure(self, head: object, result: Any) -> None:
        if result.status != pq.ExecStatus.PIPELINE_ABORTED or self._failure is None:
            if self._pgconn.status != pq.ConnStatus.OK and not result.error_field(
                pq.DiagnosticField.SQLSTATE
            ):
                raise self._lost(_message_of(self._pgconn))
            self._failure = _read_error(head, result)
            if self._failure.is_connection_lost:
                self.has_server_moved = self._failure.is_read_only
                raise self._lost(str(self._failure), refused=self._failure.statement) from self._failure
        if isinstance(head, _Preparation):
            self._prepared.discard(head.statement.prepared_name)
        elif isinstance(head, PostgresAnswer):
            head.fail(self._failure)

    def _wait(self, *, for_write: bool) -> None:
        """Until the socket is ready; raises ConnectionLost when the server takes too long."""
        timeout_s = max(0.0, min(REPLY_TIMEOUT_S, self._answer_by_s - time.monotonic()))
        if self._parked is not None:
            is_ready = self._parked.park_on(self._fd, for_write=for_write, timeout_s=timeout_s)
        else:
            self._poll.register(self._fd, _POLL_BOTH if for_write else _POLL_READ)
            is_ready = bool(self._poll.poll(timeout_s * 1000))
        if not is_ready:
            raise self._lost(f"the database server gave no answer within {timeout_s:.1f} s")

    def _lost(self, why: str, *, refused: str | None = None) -> ConnectionLost:
        self.is_lost = True
        return ConnectionLost(why, refused=refused)

    def _take_notice(self, notice: psycopg.errors.Diagnostic) -> None:
        head = self._expected[0] if self._expected else None
        if notice.severity_nonlocalized == "WARNING" and isinstance(head, PostgresAnswer):
            head.warning = notice.message_primary


def _written(value: SqlValue) -> bytes | None:
    """Integers and floats travel as text, whose type the server infers; bytes and text as they are."""
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8")
    if isinstance(value, int):
        return b"%d" % value
    return repr(value).encode("ascii")


def _read_error(head: object, result: Any) -> ServerError:
    def field(which: pq.DiagnosticField) -> str | None:
        raw = result.error_field(which)
        return None if raw is None else raw.decode("utf-8", "replace")

    name = head.statement.name if isinstance(head, _Preparation) else getattr(head, "statement", "sync")
    return ServerError(
        statement=name,
        state=field(pq.DiagnosticField.SQLSTATE) or "XX000",
        message=field(pq.DiagnosticField.MESSAGE_PRIMARY) or "the server says nothing more",
        constraint=field(pq.DiagnosticField.CONSTRAINT_NAME),
    )


def _message_of(pgconn: Any) -> str:
    text: str = pgconn.error_message.decode("utf-8", "replace").strip()
    return text.splitlines()[-1] if text else "the connection to the database server was lost"
