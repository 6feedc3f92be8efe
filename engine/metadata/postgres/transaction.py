"""A transaction on PostgreSQL; implements `engine.metadata.store.Tx`."""

from collections.abc import Callable, Mapping, Sequence

from engine.clock import Clock
from engine.metadata.postgres.conversation import Conversation, PostgresAnswer
from engine.metadata.postgres.statements import PostgresStatement, read_statement
from engine.metadata.store import Answer, Gathered, Params, Row

STRIPE_COUNT = 16
"""Stripes of a new quota account: so many writes to one bucket commit side by side."""

BEGIN_WRITE = read_statement("begin_write", "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
BEGIN_READ = read_statement("begin_read", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
COMMIT = read_statement("commit", "COMMIT")
ROLL_BACK = read_statement("roll_back", "ROLLBACK")
TELL = read_statement("tell", "NOTIFY penstock")
READ_CLOCK = read_statement(
    "read_clock", "SELECT (extract(epoch FROM transaction_timestamp()) * 1000000)::bigint"
)

_JOURNAL = "insert_journal"


class PostgresTx:
    """`unit_id` names the write in its journal row, by which a commit of unknown outcome is found again."""

    __slots__ = (
        "_begun",
        "_clock",
        "_conversation",
        "_now",
        "_now_us",
        "_statements",
        "is_again",
        "is_journalled",
        "unit_id",
    )

    def __init__(
        self,
        conversation: Conversation,
        statements: Mapping[str, PostgresStatement],
        clock: Clock | None,
        *,
        unit_id: bytes = b"",
        is_again: bool = False,
    ) -> None:
        """`clock` takes the place of the database's, in tests."""
        self._conversation = conversation
        self._statements = statements
        self._clock = clock
        self._begun: PostgresAnswer | None = None
        self._now: PostgresAnswer | None = None
        self._now_us = 0
        self.unit_id = unit_id
        self.is_again = is_again
        self.is_journalled = False

    def begin(self, statement: PostgresStatement) -> None:
        """Open it; what the server says to that comes with the first answer."""
        self._begun = self._conversation.ask(statement, {})
        if self._clock is None:
            self._now = self._conversation.ask(READ_CLOCK, {})

    def check_begun(self) -> None:
        """Wait until the server has begun it; raises ServerError and ConnectionLost."""
        assert self._begun is not None
        self._begun.check()

    @property
    def stripe_count(self) -> int:
        return STRIPE_COUNT

    def ask(self, statement: str, params: Params) -> PostgresAnswer:
        if statement == _JOURNAL:
            self.is_journalled = True
            params = {**params, "unit_id": self.unit_id}
        return self._conversation.ask(self._statements[statement], params)

    def lock(self, statement: str, params: Params) -> None:
        self._conversation.ask(self._statements[statement], params)

    def try_lock(self, statement: str, params: Params) -> Callable[[], bool]:
        asked = self._conversation.ask(self._statements[statement], params)

        def is_locked() -> bool:
            row = asked.row_or_none()
            return row is not None and bool(row[0])

        return is_locked

    def tell(self) -> None:
        self._conversation.ask(TELL, {})

    def row(self, statement: str, params: Params) -> Row:
        return self.ask(statement, params).row()

    def row_or_none(self, statement: str, params: Params) -> Row | None:
        return self.ask(statement, params).row_or_none()

    def rows(self, statement: str, params: Params) -> list[Row]:
        return self.ask(statement, params).rows()

    def run(self, statement: str, params: Params) -> int:
        return self.ask(statement, params).count()

    def ask_many(self, statement: str, params: Sequence[Params]) -> Answer:
        """As few statements as can be: each costs the server what several rows cost it."""
        if len(params) == 1:
            return self.ask(statement, params[0])
        if statement == _JOURNAL:
            self.is_journalled = True
            params = [{**each, "unit_id": self.unit_id} for each in params]
        found = self._statements[statement]
        answers, start = [], 0
        while start < len(params):
            # Few different lengths, as each is a statement of its own to the server.
            wide = found.widened(1 << (len(params) - start).bit_length() - 1)
            answers.append(self._conversation.ask_rows(wide, params[start : start + wide.entry_count]))
            start += wide.entry_count
        return Gathered(answers)

    def now_us(self) -> int:
        if not self._now_us:
            if self._now is not None:
                (now_us,) = self._now.row()
                assert isinstance(now_us, int)
                self._now_us = now_us
            else:
                assert self._clock is not None
                self._now_us = self._clock.now_us()
        return self._now_us
