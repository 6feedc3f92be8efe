"""Reads that share a way to the server: what callers that are set aside ask in one turn of a loop goes out together.

Alone, each of them costs a send, a wait and a receive, which take the kernel longer than all else takes Python.
"""

from collections.abc import Callable

from engine.errors import DatabaseUnavailable, Overloaded
from engine.metadata.postgres.conversation import REPLY_TIMEOUT_S, Conversation, PostgresAnswer
from engine.metadata.postgres.errors import ConnectionLost
from engine.metadata.postgres.lending import Lender
from engine.metadata.postgres.statements import PostgresStatement
from engine.metadata.store import WRITE_TIMEOUT_S, Params, Row
from engine.parking import Parked

BATCH_COUNT_MAX = 32
"""Statements that share a way: the server answers one after the other."""

PATIENCE_S = WRITE_TIMEOUT_S + REPLY_TIMEOUT_S
"""Beyond what whoever asks for all waits himself, for a connection and for the answers."""


class SharedReads:
    """For callers of one thread, so nothing is locked. The first who asks in a turn asks for all of them."""

    def __init__(self, lender: Lender, leave: Callable[[Conversation], None]) -> None:
        """`leave` gives a conversation back, whatever became of it."""
        self._lender = lender
        self._leave = leave
        self._gathering: list[_Asked] | None = None

    def rows(self, parked: Parked, statement: PostgresStatement, params: Params) -> list[Row]:
        """The rows of a statement that only reads, which sees all that was committed before the call.

        Raises ServerError and ConnectionLost, of which a statement of somebody else may be the reason, and
        DatabaseUnavailable and Overloaded.
        """
        asked = _Asked(parked, statement, params)
        gathering = self._gathering
        if gathering is None or len(gathering) == BATCH_COUNT_MAX:
            gathering = self._gathering = [asked]
            parked.let_others_run()
            if self._gathering is gathering:
                self._gathering = None
            self._ask(gathering)
        else:
            gathering.append(asked)
            while not asked.is_over:
                if not parked.park(PATIENCE_S):
                    raise DatabaseUnavailable("nobody brought the answer of the database")
        return asked.rows()

    def _ask(self, batch: list["_Asked"]) -> None:
        """Ask for all, and wake the others; what goes wrong is theirs to find."""
        first = batch[0]
        problem: Exception | None = None
        try:
            conversation = self._lender.take(first.parked, WRITE_TIMEOUT_S)
            try:
                conversation.allow(REPLY_TIMEOUT_S)
                for each in batch:
                    each.answer = conversation.ask(each.statement, each.params)
                conversation.drain()
            finally:
                self._leave(conversation)
        except (ConnectionLost, DatabaseUnavailable, Overloaded) as error:
            problem = error
        finally:
            for each in batch:
                each.problem = problem
                each.is_over = True
                if each is not first:
                    each.parked.wake()


class _Asked:
    """What one caller asks, and what became of it."""

    __slots__ = ("answer", "is_over", "params", "parked", "problem", "statement")

    def __init__(self, parked: Parked, statement: PostgresStatement, params: Params) -> None:
        self.parked = parked
        self.statement = statement
        self.params = params
        self.answer: PostgresAnswer | None = None
        self.problem: Exception | None = None
        self.is_over = False

    def rows(self) -> list[Row]:
        answer = self.answer
        if answer is None or not answer.is_settled:
            # Its conversation is somebody else's by now.
            raise self.problem or ConnectionLost("the answer was not waited for")
        return answer.rows()
