"""The store on PostgreSQL: a transaction for each unit or for several, run again when others were quicker."""

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from engine.clock import Clock, uuid7
from engine.errors import (
    DatabaseFull,
    DatabaseUnavailable,
    EngineError,
    OutcomeUnknown,
    Overloaded,
    RowRefused,
)
from engine.metadata.barriers import BarrierSyncer
from engine.metadata.postgres.conversation import Conversation
from engine.metadata.postgres.errors import ConnectionLost, ServerError
from engine.metadata.postgres.joint_writes import Apart, JointWrites
from engine.metadata.postgres.lending import Lender
from engine.metadata.postgres.listening import Listener
from engine.metadata.postgres.migrating import migrate
from engine.metadata.postgres.shared_reads import SharedReads
from engine.metadata.postgres.statements import load_postgres_statements, read_statement
from engine.metadata.postgres.target import PostgresTarget
from engine.metadata.postgres.transaction import (
    BEGIN_READ,
    BEGIN_WRITE,
    COMMIT,
    ROLL_BACK,
    PostgresTx,
)
from engine.metadata.store import WRITE_TIMEOUT_S, Barrier, JointUnit, Params, Row, RunAgain, Tx
from engine.parking import Park, Parked, nobody

T = TypeVar("T")

FOLDER = Path(__file__).parent
RUN_COUNT_MAX = 10
"""Times a unit is run, when others are quicker again and again or connections break."""

RECONNECT_WITHIN_S = 2.0
"""A unit whose connection broke is run on another one if so little time has passed: a server that hangs is not asked
again and again.
"""

PAUSE_FIRST_S = 0.002
PAUSE_MAX_S = 0.1
FIND_AGAIN_TIMEOUT_S = 1.5
"""How long a commit of unknown outcome is looked for before the caller is told that it is unknown."""

_FIND_UNIT = read_statement(
    "find_unit",
    "SELECT pg_current_xact_id()::text FROM (SELECT unit_id FROM journal ORDER BY seq DESC LIMIT 20000) AS recent"
    " WHERE recent.unit_id = :unit_id LIMIT 1",
)


class PostgresStore:
    """Implements `engine.metadata.store.Store`. Made after a fork, used by any thread and by parked callers."""

    def __init__(
        self,
        target: PostgresTarget,
        *,
        clock: Clock | None = None,
        park: Park = nobody,
        is_away: bool = False,
    ) -> None:
        """Migrates the database first. `clock` takes the place of the database's own, in tests.

        `park` tells who is set aside while a call waits. `is_away`: the database cannot be reached, and the store is
        one that refuses everything; `is_back` tells when another one could be opened. Raises DatabaseUnavailable,
        SchemaTooNew, StartRefused.
        """
        facts = None if is_away else migrate(target, FOLDER / "migrations")
        self.version = "PostgreSQL, out of reach" if facts is None else facts.version
        self.connection_count_max = 0 if facts is None else facts.connection_count_max
        self._is_away = is_away
        self.target = target
        self._clock = clock
        self._park = park
        self._statements = load_postgres_statements(FOLDER)
        self._lender = Lender(target)
        self._shared_reads = SharedReads(self._lender, self._leave)
        self._joint_writes = JointWrites(self._write_together)
        self._syncer = BarrierSyncer()
        self._listeners: list[Listener] = []
        self._is_closed = False

    @property
    def waits_for_network(self) -> bool:
        return True

    @property
    def problem(self) -> str | None:
        """Why the database cannot be reached; null as far as is known."""
        return "it was out of reach at the start" if self._is_away else self._lender.problem

    def listen(self, heard: Callable[[], None]) -> None:
        """From now on call this when a transaction of any process has told; on a thread of the store's own."""
        self._listeners.append(Listener(self.target, heard))

    def is_back(self) -> bool:
        """Whether the database can be reached again; asks it."""
        try:
            self._lender.give_back(self._lender.take(None, FIND_AGAIN_TIMEOUT_S))
        except DatabaseUnavailable:
            return False
        return True

    def read(self, unit: Callable[[Tx], T], /) -> T:
        return self._again(
            self._park(), WRITE_TIMEOUT_S, lambda conversation, _: self._read(conversation, unit)
        )

    def look(self, statement: str, params: Params, /) -> list[Row]:
        found = self._statements[statement]
        parked = self._park()
        if parked is not None and not self._is_away:
            begun_s = time.monotonic()
            try:
                return self._shared_reads.rows(parked, found, params)
            except ConnectionLost as error:
                if _hangs(error, begun_s):
                    raise DatabaseUnavailable(f"the connection to the database broke: {error}") from error
            except ServerError:
                # What another one asked may be what the server refused. Alone it finds out, and is run again.
                pass
        return self._again(
            parked, WRITE_TIMEOUT_S, lambda conversation, _: conversation.ask(found, params).rows()
        )

    def write(
        self,
        unit: Callable[[Tx], T],
        /,
        *,
        after: Sequence[Barrier] = (),
        timeout_s: float = WRITE_TIMEOUT_S,
        holds_locks: bool = False,
    ) -> T:
        parked = None if holds_locks else self._park()
        if after:
            self._syncer.sync(after, parked)
        if parked is not None and isinstance(unit, JointUnit) and not self._is_away:
            try:
                return cast(T, self._joint_writes.write(parked, unit, timeout_s))
            except Apart:
                pass
        return self._again(
            parked,
            timeout_s,
            lambda conversation, is_again: self._write(conversation, unit, parked, is_again=is_again),
            is_urgent=holds_locks,
        )

    def _write_together(self, parked: Parked, units: Sequence[JointUnit[Any]], timeout_s: float) -> list[Any]:
        """Run units in one transaction, once; what came of each. What it raises is what `JointWrites` sorts."""

        def unit(tx: Tx) -> list[Any]:
            outcomes = type(units[0]).run_together(tx, units)
            if all(isinstance(each, Exception) for each in outcomes):
                raise _NothingToCommit(outcomes)
            return outcomes

        begun_s = time.monotonic()
        conversation = self._lender.take(parked, timeout_s)
        try:
            return self._write(conversation, unit, parked, is_again=False)
        except _NothingToCommit as refused:
            return refused.outcomes
        except ConnectionLost as error:
            if _hangs(error, begun_s):
                raise DatabaseUnavailable(f"the connection to the database broke: {error}") from error
            raise
        finally:
            self._leave(conversation)

    def close(self) -> None:
        """No call may be under way. Repeating it does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        for each in self._listeners:
            each.close()
        self._syncer.close()
        self._lender.close()

    def _again(
        self,
        parked: Parked | None,
        timeout_s: float,
        run: Callable[[Conversation, bool], T],
        *,
        is_urgent: bool = False,
    ) -> T:
        """Run on a connection, and on another one or once more where that may help."""
        if self._is_away:
            # Its schema and its generation were never looked at.
            raise DatabaseUnavailable("the metadata database was out of reach when this process started")
        begun_s = time.monotonic()
        is_again = False
        for count in range(1, RUN_COUNT_MAX + 1):
            conversation = self._lender.take(parked, timeout_s, is_urgent=is_urgent)
            try:
                try:
                    return run(conversation, is_again)
                finally:
                    self._leave(conversation)
            except ConnectionLost as error:
                if count == RUN_COUNT_MAX or _hangs(error, begun_s):
                    raise DatabaseUnavailable(f"the connection to the database broke: {error}") from error
            except ServerError as error:
                if count == RUN_COUNT_MAX or not error.is_run_again:
                    raise _translated(error) from error
                if count > 1:
                    _pause(parked, count)
            except RunAgain as error:
                if count == RUN_COUNT_MAX:
                    raise DatabaseUnavailable("others changed the same rows again and again") from error
                is_again = True
        raise AssertionError("the last run returns or raises")

    def _leave(self, conversation: Conversation) -> None:
        """Back to where another caller finds it, outside of any transaction. Repeating it does nothing."""
        if conversation.is_left:
            return
        conversation.is_left = True
        try:
            if not conversation.is_lost:
                conversation.drain()
                if not conversation.is_idle:
                    conversation.ask(ROLL_BACK, {})
                    conversation.drain()
        except ConnectionLost:
            pass
        if conversation.is_idle:
            self._lender.give_back(conversation)
        else:
            self._lender.discard(conversation, has_server_moved=conversation.has_server_moved)

    def _read(self, conversation: Conversation, unit: Callable[[Tx], T]) -> T:
        tx = PostgresTx(conversation, self._statements, self._clock)
        tx.begin(BEGIN_READ)
        result = unit(tx)
        conversation.ask(COMMIT, {}).check()
        return result

    def _write(
        self, conversation: Conversation, unit: Callable[[Tx], T], parked: Parked | None, *, is_again: bool
    ) -> T:
        tx = PostgresTx(conversation, self._statements, self._clock, unit_id=uuid7(), is_again=is_again)
        tx.begin(BEGIN_WRITE)
        result = unit(tx)
        # A connection that broke while it lay idle is found out before the commit, when that is no riddle yet.
        tx.check_begun()
        # What was asked and not looked at may have failed: then the commit is skipped along with it.
        committed = conversation.ask(COMMIT, {})
        try:
            committed.check()
        except ConnectionLost as error:
            if error.refused not in (None, COMMIT.name):
                # The server ended it before it came to the commit.
                raise
            # Its place is free for the connection that looks for the commit: all may have broken at once.
            self._leave(conversation)
            if tx.is_journalled and self._is_committed(tx.unit_id, parked):
                return result
            raise OutcomeUnknown(f"the connection to the database broke at the commit: {error}") from error
        if committed.command != b"COMMIT":
            raise conversation.failure or AssertionError("a transaction without failures is committed")
        if committed.warning is not None:
            # Such as a wait for the standbys that somebody called off: committed here, and perhaps nowhere else.
            raise OutcomeUnknown(f"the database warned at the commit: {committed.warning}")
        return result

    def _is_committed(self, unit_id: bytes, parked: Parked | None) -> bool:
        """Whether a unit's journal row stands, here and on the synchronous standbys.

        Absence proves nothing: the server may still be at it. Presence is proved by a commit of ours behind it.
        """
        deadline_s = time.monotonic() + FIND_AGAIN_TIMEOUT_S
        count = 1
        while (left_s := deadline_s - time.monotonic()) > 0:
            try:
                conversation = self._lender.take(parked, left_s)
                conversation.hurry(deadline_s)
                try:
                    conversation.ask(BEGIN_WRITE, {})
                    found = conversation.ask(_FIND_UNIT, {"unit_id": unit_id}).rows()
                    committed = conversation.ask(COMMIT, {})
                    committed.check()
                    if found and committed.command == b"COMMIT" and committed.warning is None:
                        return True
                finally:
                    self._leave(conversation)
            except (ConnectionLost, ServerError, DatabaseUnavailable, Overloaded):
                pass
            count += 1
            _pause(parked, count)
        return False


class _NothingToCommit(Exception):
    """All units of a transaction were refused."""

    def __init__(self, outcomes: list[Any]) -> None:
        super().__init__("every unit was refused")
        self.outcomes = outcomes


def _hangs(error: ConnectionLost, begun_s: float) -> bool:
    """Whether the server let so much time pass that it had better not be asked again."""
    return error.refused is None and time.monotonic() - begun_s > RECONNECT_WITHIN_S


def _pause(parked: Parked | None, count: int) -> None:
    """Longer each time, and of another length for everybody."""
    pause_s = random.uniform(0.5, 1.0) * min(PAUSE_FIRST_S * 2**count, PAUSE_MAX_S)
    if parked is not None:
        parked.park(pause_s)
    else:
        time.sleep(pause_s)


def _translated(error: ServerError) -> EngineError:
    if error.is_disk_full:
        return DatabaseFull("the disk of the metadata database is full; nothing was changed")
    if error.is_constraint:
        return RowRefused(constraint=str(error))
    return DatabaseUnavailable(f"the metadata database refused: {error}")
