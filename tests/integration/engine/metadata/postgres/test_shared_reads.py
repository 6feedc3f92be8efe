"""Reads asked in one turn of a loop go out together; what befalls one of them is no other's."""

from collections.abc import Iterator
from functools import partial

import pytest

from engine.errors import DatabaseUnavailable
from engine.metadata.postgres.errors import ServerError
from engine.metadata.postgres.lending import Lender
from engine.metadata.postgres.shared_reads import BATCH_COUNT_MAX, SharedReads
from engine.metadata.postgres.statements import read_statement
from engine.metadata.postgres.store import PostgresStore
from engine.metadata.store import Row
from engine.metadata.versions import look_up_current
from tests.support.metadata import make_backend, make_bucket, put
from tests.support.postgres import running_server, shared_server
from tests.support.turns import Turns

DIVIDE = read_statement("divide", "SELECT 100 / :by::int")
WHO = read_statement("who", "SELECT pg_backend_pid()")
SLOWLY_WHO = read_statement("slowly_who", "SELECT pg_backend_pid(), pg_sleep(0.02)::text")


class Shared:
    """Reads over a lender of a few connections."""

    def __init__(self, turns: Turns, lender: Lender) -> None:
        self._turns = turns
        self._lender = lender
        self._reads = SharedReads(lender, lender.give_back)

    def ask_slowly(self) -> list[Row]:
        """An answer that is under way when the next batch goes out."""
        parked = self._turns.parking.current()
        assert parked is not None
        return self._reads.rows(parked, SLOWLY_WHO, {})

    def ask(self, **params: int) -> list[Row]:
        parked = self._turns.parking.current()
        assert parked is not None
        return self._reads.rows(parked, DIVIDE if params else WHO, params)


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def shared(turns: Turns) -> Iterator[Shared]:
    lender = Lender(shared_server().target("postgres"))
    yield Shared(turns, lender)
    lender.close()


def test_each_gets_its_own_answer(turns: Turns, shared: Shared) -> None:
    numbers = range(1, 1 + 2 * BATCH_COUNT_MAX)

    answers = turns.run(*(partial(shared.ask, by=number) for number in numbers))

    assert answers == [[(100 // number,)] for number in numbers]


def test_who_asks_in_one_turn_shares_a_connection_up_to_a_bound(turns: Turns, shared: Shared) -> None:
    servers = turns.run(*[shared.ask] * BATCH_COUNT_MAX)
    assert all(each == servers[0] for each in servers)

    servers = turns.run(*[shared.ask_slowly] * (BATCH_COUNT_MAX + 1))
    assert len({str(each) for each in servers}) == 2


def test_a_refused_statement_ends_those_behind_it_and_nothing_else(turns: Turns, shared: Shared) -> None:
    answers = turns.run(*(partial(shared.ask, by=number) for number in (1, 0, 2)))

    assert answers[0] == [(100,)]
    assert all(isinstance(each, ServerError) for each in answers[1:])
    assert turns.run(partial(shared.ask, by=4)) == [[(25,)]]


def test_without_a_server_all_are_told(turns: Turns) -> None:
    with running_server() as server:
        target = server.target(server.create_empty_database())
        store = PostgresStore(target, park=turns.parking.current)
        look = partial(store.look, "find_bucket", {"name": "photos"})
        assert turns.run(look, look) == [[], []]
        server.stop("immediate")

        outcomes = turns.run(look, look, look)

        store.close()
    assert [type(each) for each in outcomes] == [DatabaseUnavailable] * 3


@pytest.fixture
def database() -> Iterator[str]:
    name = shared_server().lend_database()
    yield name
    shared_server().take_back_database(name)


def test_a_broken_connection_is_found_out_by_all_and_told_to_none(turns: Turns, database: str) -> None:
    store = PostgresStore(shared_server().target(database), park=turns.parking.current)
    bucket = make_bucket(store)
    put(store, bucket, b"key", make_backend(store, kind="memory"), etag="a" * 32)
    look = partial(look_up_current, store, bucket.name, b"key")
    (before,) = turns.run(look)
    with shared_server().connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database,)
        )

    looked = turns.run(*[look] * 5)

    store.close()
    assert looked == [before] * 5


def test_a_statement_that_another_one_spoiled_is_asked_alone(turns: Turns, database: str) -> None:
    store = PostgresStore(shared_server().target(database), park=turns.parking.current)
    bucket = make_bucket(store)
    put(store, bucket, b"key", make_backend(store, kind="memory"), etag="a" * 32)

    # No text can hold the octet.
    spoiled, looked = turns.run(
        partial(store.look, "find_bucket", {"name": "a\0b"}),
        partial(look_up_current, store, bucket.name, b"key"),
    )

    store.close()
    assert isinstance(spoiled, DatabaseUnavailable)
    assert looked.version.etag == "a" * 32
