"""The protocols every use case is written against: a unit runs on a `Tx`, a `Store` runs units."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Generic, Protocol, Self, TypeVar

T = TypeVar("T")
R = TypeVar("R")

SqlValue = int | float | str | bytes | None
Row = tuple[SqlValue, ...]
Params = Mapping[str, SqlValue]

WRITE_TIMEOUT_S = 5.0
"""How long a caller waits for its unit to begin before it gives up with DatabaseUnavailable."""


class RunAgain(Exception):
    """What a unit read had changed before it wrote: the store runs it again from the start. Never with one writer."""


class Answer(Protocol):
    """What a statement gave. Its errors are raised here, or at the commit if nobody asks."""

    def row(self) -> Row:
        """Exactly one row; anything else is a bug of ours."""

    def row_or_none(self) -> Row | None:
        """At most one row."""

    def rows(self) -> list[Row]:
        """All rows; the statement bounds how many."""

    def count(self) -> int:
        """The count of rows changed."""


class Gathered:
    """Several answers as one; implements `Answer`."""

    __slots__ = ("_answers",)

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._answers = answers

    def row(self) -> Row:
        rows = self.rows()
        if len(rows) != 1:
            raise LookupError(f"{len(self._answers)} statements gave {len(rows)} rows instead of one")
        return rows[0]

    def row_or_none(self) -> Row | None:
        rows = self.rows()
        return self.row() if rows else None

    def rows(self) -> list[Row]:
        return [row for each in self._answers for row in each.rows()]

    def count(self) -> int:
        return sum(each.count() for each in self._answers)


class Tx(Protocol):
    """One transaction. Statements are named after their `.sql` file and bound by name.

    They run in the order they were given in. `ask` waits for nothing, so statements that do not depend on each other's
    rows share one way to a database behind a network; the others are `ask` and the answer at once.
    """

    @property
    def stripe_count(self) -> int:
        """Stripes of a new quota account: as many as writers shall not wait for each other."""

    @property
    def is_again(self) -> bool:
        """Whether the unit runs again because others were quicker: it had better wait for its turn at once."""

    def ask(self, statement: str, params: Params) -> Answer:
        """Give a statement to the database; its answer may be read later, or never."""

    def lock(self, statement: str, params: Params) -> None:
        """Lock rows before they are read by a later statement. With one writer at a time there is nothing to do."""

    def try_lock(self, statement: str, params: Params) -> Callable[[], bool]:
        """Lock what nobody else holds, and wait for nobody; whether it is locked can be asked behind it."""

    def tell(self) -> None:
        """Once this is committed, tell all processes to look at what they otherwise look at now and then."""

    def row(self, statement: str, params: Params) -> Row:
        """Exactly one row; anything else is a bug of ours."""

    def row_or_none(self, statement: str, params: Params) -> Row | None:
        """At most one row."""

    def rows(self, statement: str, params: Params) -> list[Row]:
        """All rows; the statement bounds how many."""

    def run(self, statement: str, params: Params) -> int:
        """Run for effect; the count of rows changed."""

    def ask_many(self, statement: str, params: Sequence[Params]) -> Answer:
        """As `ask` once for each entry, with one answer: all their rows, in no order, and the rows changed in all."""

    def now_us(self) -> int:
        """The database's clock, read once a transaction."""


class JointUnit(ABC, Generic[R]):
    """A unit that may share its transaction with others of its class, each of another subject.

    It is a unit as any other to a store that has no use for that.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def subject(self) -> Hashable:
        """What no two units of one transaction may have in common."""

    @abstractmethod
    def __call__(self, tx: Tx, /) -> R: ...

    @classmethod
    @abstractmethod
    def run_together(cls, tx: Tx, units: Sequence[Self], /) -> list[R | Exception]:
        """What each unit returned, or raised before it changed anything; RunAgain means that it is to run alone.

        What is raised here undoes all of them.
        """


class Barrier(Protocol):
    """Bytes that must be durable before a commit that names them."""

    def sync(self) -> None:
        """Return once the bytes are on stable storage; raises BackendError if they are not."""


class Store(Protocol):
    """Runs units. A unit is short, makes no call but the transaction's, and may be run again from the start."""

    def read(self, unit: Callable[[Tx], T], /) -> T:
        """Run a unit that only reads, on one snapshot."""

    def look(self, statement: str, params: Params, /) -> list[Row]:
        """The rows of one statement that only reads: the shortest way, for what needs no second one."""

    def write(
        self,
        unit: Callable[[Tx], T],
        /,
        *,
        after: Sequence[Barrier] = (),
        timeout_s: float = WRITE_TIMEOUT_S,
        holds_locks: bool = False,
    ) -> T:
        """Sync the barriers, run the unit, commit durably, and return what the unit returned.

        An engine error raised by the unit rolls the unit back, leaves others of its group alone, and is raised here.
        A caller that can be set aside while it waits is, unless it says that it holds a lock which others may ask for.
        Raises DatabaseUnavailable when nothing happened, OutcomeUnknown when that cannot be told.
        """

    @property
    def waits_for_network(self) -> bool:
        """Whether a call waits for another machine, so that no thread with anything else to do should wait for it."""

    def close(self) -> None: ...
