"""Publications that share a transaction on PostgreSQL: who waits for locks, and what a failure does to whom."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from engine.errors import BucketQuotaExceeded, DatabaseUnavailable, OutcomeUnknown, PreconditionFailed
from engine.metadata.postgres import conversation, joint_writes
from engine.metadata.postgres.store import RECONNECT_WITHIN_S, PostgresStore
from engine.metadata.publish import Publication
from engine.metadata.store import Params, Tx
from engine.records import Bucket, NewVersion, Published
from tests.integration.engine.metadata.postgres.test_store import children_of
from tests.support.cut_proxy import Cut, CutProxy
from tests.support.metadata import (
    assert_consistent,
    make_backend,
    make_bucket,
    new_blob,
    new_version,
    run_sql,
)
from tests.support.postgres import open_postgres, running_server, shared_server
from tests.support.turns import Turns

WAIT_S = 20.0


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No transaction is old, however slow the machine is."""
    monkeypatch.setattr(joint_writes, "PATIENCE_S", WAIT_S)


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def database() -> Iterator[str]:
    name = shared_server().lend_database()
    yield name
    shared_server().take_back_database(name)


@pytest.fixture
def store(turns: Turns, database: str) -> Iterator[PostgresStore]:
    opened = open_postgres(shared_server(), database, park=turns.parking.current)
    yield opened
    opened.close()


def publications(store: PostgresStore, *news: NewVersion) -> list[Callable[[], Published]]:
    return [partial(store.write, Publication(each)) for each in news]


def made(bucket: Bucket, backend_id: int, count: int, prefix: str = "key") -> list[NewVersion]:
    return [
        new_version(bucket, f"{prefix}-{number}".encode(), new_blob(backend_id)) for number in range(count)
    ]


def keys_of(store: PostgresStore) -> set[str]:
    rows = run_sql(store, "SELECT object_key FROM object_versions WHERE is_current")
    return {bytes(key).decode() for (key,) in rows if isinstance(key, bytes)}


def test_publications_of_one_turn_share_transactions(turns: Turns, store: PostgresStore) -> None:
    bucket, backend_id = make_bucket(store), make_backend(store, kind="memory")
    before = run_sql(store, "SELECT DISTINCT unit_id FROM journal")

    outcomes = turns.run(*publications(store, *made(bucket, backend_id, 20)))

    assert all(isinstance(each, Published) for each in outcomes)
    assert len({each.version_seq for each in outcomes}) == 20
    units = run_sql(store, "SELECT DISTINCT unit_id FROM journal")
    assert len(units) - len(before) == 1
    assert_consistent(store)


@contextmanager
def held(database: str, lock: str, params: Params) -> Iterator[threading.Event]:
    """Somebody else's transaction has locked that, until the event is set, or for long."""
    other = open_postgres(shared_server(), database)
    is_held, is_free = threading.Event(), threading.Event()

    def hold(tx: Tx) -> None:
        tx.lock(lock, params)
        tx.now_us()
        is_held.set()
        assert is_free.wait(WAIT_S)

    with ThreadPoolExecutor(1) as threads:
        holding = threads.submit(other.write, hold)
        assert is_held.wait(WAIT_S)
        yield is_free
        holding.result(WAIT_S)
    other.close()


def test_a_key_that_somebody_holds_is_waited_for_by_its_own_writer_alone(
    turns: Turns, store: PostgresStore, database: str
) -> None:
    bucket, backend_id = make_bucket(store), make_backend(store, kind="memory")
    news = made(bucket, backend_id, 6)
    order: list[bytes] = []

    with held(database, "lock_key", {"bucket": bucket.name, "object_key": news[3].key}) as is_free:

        def then(new: NewVersion) -> None:
            store.write(Publication(new))
            order.append(new.key)
            if len(order) == 5:
                is_free.set()

        turns.run(*[partial(then, each) for each in news])

    assert sorted(order[:5]) == sorted(each.key for each in news if each is not news[3])
    assert order[5:] == [news[3].key]
    assert_consistent(store)


def test_a_bucket_that_somebody_changes_is_waited_for_by_its_own_writers_alone(
    turns: Turns, store: PostgresStore, database: str
) -> None:
    changing, bucket = make_bucket(store, "changing"), make_bucket(store)
    backend_id = make_backend(store, kind="memory")
    news = [*made(changing, backend_id, 2), *made(bucket, backend_id, 4)]
    order: list[str] = []

    with held(database, "lock_bucket_for_change", {"bucket": changing.name}) as is_free:

        def then(new: NewVersion) -> None:
            store.write(Publication(new))
            order.append(new.bucket)
            if len(order) == 4:
                is_free.set()

        turns.run(*[partial(then, each) for each in news])

    assert order == [*["photos"] * 4, *["changing"] * 2]
    assert_consistent(store)


def test_one_alone_does_not_hold_up_others_with_a_key_that_somebody_holds(
    turns: Turns, store: PostgresStore, database: str
) -> None:
    bucket, backend_id = make_bucket(store), make_backend(store, kind="memory")
    taken, *news = made(bucket, backend_id, 4)
    order: list[str] = []

    with held(database, "lock_key", {"bucket": bucket.name, "object_key": taken.key}) as is_free:

        def waits() -> None:
            store.write(Publication(taken))
            order.append("taken")

        def comes_later() -> None:
            # The first one's transaction is under way, and it is not old.
            turns.parking.current().park(0.05)  # type: ignore[union-attr]
            for each in news:
                store.write(Publication(each))
                order.append("free")
            is_free.set()

        turns.run(waits, comes_later)

    assert order == ["free", "free", "free", "taken"]
    assert_consistent(store)


def test_two_processes_at_the_same_keys_in_opposite_order_never_wait_for_each_other(
    turns: Turns, store: PostgresStore, database: str
) -> None:
    bucket, backend_id = make_bucket(store), make_backend(store, kind="memory")
    rounds = 15

    def process(own: Turns, its: PostgresStore, step: int) -> list[Any]:
        outcomes = []
        for _ in range(rounds):
            outcomes += own.run(*publications(its, *made(bucket, backend_id, 12)[::step]))
        return outcomes

    def other_process() -> list[Any]:
        own = Turns()
        its = open_postgres(shared_server(), database, park=own.parking.current)
        try:
            return process(own, its, -1)
        finally:
            its.close()

    with ThreadPoolExecutor(1) as threads:
        other = threads.submit(other_process)
        outcomes = [*process(turns, store, 1), *other.result(60)]

    assert Counter(type(each) for each in outcomes) == {Published: 2 * rounds * 12}
    with shared_server().connect() as connection:
        found = connection.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = %s", (database,)
        ).fetchone()
    assert found == (0,)
    assert_consistent(store)


def test_a_quota_is_used_up_to_the_last_byte_and_not_beyond(turns: Turns, store: PostgresStore) -> None:
    bucket = make_bucket(store, quota_bytes=700)
    backend_id = make_backend(store, kind="memory")

    outcomes = turns.run(*publications(store, *made(bucket, backend_id, 12)))

    assert Counter(type(each) for each in outcomes) == {Published: 7, BucketQuotaExceeded: 5}
    assert len(keys_of(store)) == 7
    assert_consistent(store)


def test_a_refused_one_is_told_and_the_others_go_on(turns: Turns, store: PostgresStore) -> None:
    bucket, backend_id = make_bucket(store), make_backend(store, kind="memory")
    news = made(bucket, backend_id, 6)
    news[4] = replace(news[4], if_match_etag="*")

    outcomes = turns.run(*publications(store, *news))

    assert [type(each) for each in outcomes] == [*[Published] * 4, PreconditionFailed, Published]
    assert len(run_sql(store, "SELECT DISTINCT unit_id FROM journal WHERE kind = 'version'")) == 1


@pytest.fixture
def through(turns: Turns, database: str) -> Iterator[tuple[CutProxy, PostgresStore]]:
    """A store whose way to the server can be cut."""
    with CutProxy("127.0.0.1", shared_server().port) as proxy:
        target = replace(shared_server().target(database), port=proxy.port)
        opened = PostgresStore(target, park=turns.parking.current)
        yield proxy, opened
        opened.close()


def test_a_commit_whose_answer_was_lost_is_found_for_all(
    turns: Turns, store: PostgresStore, through: tuple[CutProxy, PostgresStore]
) -> None:
    proxy, cut = through
    bucket, backend_id = make_bucket(store), make_backend(store, kind="memory")
    turns.run(*publications(cut, *made(bucket, backend_id, 2, "before")))
    proxy.arm(Cut.BEFORE_THE_ANSWER)

    outcomes = turns.run(*publications(cut, *made(bucket, backend_id, 8)))

    assert proxy.cut_count == 1
    assert [type(each) for each in outcomes] == [Published] * 8
    assert_consistent(store)


def test_a_commit_the_server_never_heard_of_is_of_unknown_outcome_for_all_of_it(
    turns: Turns, store: PostgresStore, through: tuple[CutProxy, PostgresStore]
) -> None:
    proxy, cut = through
    bucket, backend_id = make_bucket(store), make_backend(store, kind="memory")
    turns.run(*publications(cut, *made(bucket, backend_id, 2, "before")))
    proxy.arm(Cut.BEFORE_THE_COMMIT)

    outcomes = turns.run(*publications(cut, *made(bucket, backend_id, 8)))

    assert [type(each) for each in outcomes] == [OutcomeUnknown] * 8
    assert keys_of(store) == {"before-0", "before-1"}
    assert_consistent(store)


@pytest.mark.parametrize("where", list(Cut))
def test_cut_anywhere_all_is_done_or_nothing_and_nobody_is_told_wrong(
    turns: Turns, store: PostgresStore, through: tuple[CutProxy, PostgresStore], where: Cut
) -> None:
    proxy, cut = through
    bucket, backend_id = make_bucket(store), make_backend(store, kind="memory")
    turns.run(*publications(cut, *made(bucket, backend_id, 4, "before")))
    cut_count, after_count = 0, 0
    while True:
        prefix = f"at-{after_count}"
        proxy.arm(where, after_count=after_count)

        outcomes = turns.run(*publications(cut, *made(bucket, backend_id, 4, prefix)))

        if not proxy.disarm():
            break
        cut_count += 1
        there = keys_of(store)
        for number, each in enumerate(outcomes):
            assert isinstance(each, Published | OutcomeUnknown), repr(each)
            assert not isinstance(each, Published) or f"{prefix}-{number}" in there
        after_count += 1
    assert cut_count >= 3
    assert_consistent(store)


def test_a_server_that_is_gone_is_told_to_all(turns: Turns) -> None:
    with running_server() as server:
        store = open_postgres(server, server.create_database(), park=turns.parking.current)
        bucket, backend_id = make_bucket(store), make_backend(store, kind="memory")
        news = made(bucket, backend_id, 5)
        assert all(isinstance(each, Published) for each in turns.run(*publications(store, *news)))
        server.stop("immediate")

        outcomes = turns.run(*publications(store, *news))

        assert [type(each) for each in outcomes] == [DatabaseUnavailable] * 5
        store.close()


class Counted(Publication):
    """Counts how often it is run alone."""

    def __init__(self, new: NewVersion) -> None:
        super().__init__(new)
        self.alone_count = 0

    def __call__(self, tx: Tx) -> Published:
        self.alone_count += 1
        return super().__call__(tx)


def test_a_server_that_hangs_is_told_to_all_and_not_asked_by_each(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "REPLY_TIMEOUT_S", RECONNECT_WITHIN_S + 0.5)
    with running_server() as server:
        store = open_postgres(server, server.create_database(), park=turns.parking.current)
        bucket, backend_id = make_bucket(store), make_backend(store, kind="memory")
        news = made(bucket, backend_id, 4)
        turns.run(*publications(store, *news))
        units = [Counted(each) for each in news]
        pids = [server.pid, *children_of(server.pid)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            outcomes = turns.run(*[partial(store.write, each) for each in units])
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        assert {type(each) for each in outcomes} <= {DatabaseUnavailable, OutcomeUnknown}
        assert [each.alone_count for each in units] == [0] * 4
        store.close()
