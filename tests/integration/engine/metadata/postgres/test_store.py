"""The store on PostgreSQL when connections, the server or others get in its way."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from engine.errors import DatabaseUnavailable, NoSuchBucket, OutcomeUnknown, RowRefused
from engine.metadata.buckets import find_bucket
from engine.metadata.postgres.store import PostgresStore
from engine.metadata.publish import publish
from engine.metadata.store import RunAgain, SqlValue, Tx
from engine.records import Bucket
from tests.support.cut_proxy import Cut, CutProxy
from tests.support.metadata import journal_of, make_backend, make_bucket, new_version, put, run_sql
from tests.support.postgres import PostgresServer, open_postgres, running_server, shared_server

KEY = b"one"


@pytest.fixture
def database() -> Iterator[str]:
    name = shared_server().lend_database()
    yield name
    shared_server().take_back_database(name)


@pytest.fixture
def store(database: str) -> Iterator[PostgresStore]:
    opened = open_postgres(shared_server(), database)
    yield opened
    opened.close()


@pytest.fixture
def bucket(store: PostgresStore) -> Bucket:
    return make_bucket(store)


def end_connections(server: PostgresServer, database: str) -> int:
    """End every connection to a database; how many there were."""
    with server.connect() as connection:
        ended = connection.execute(
            "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = %s AND application_name = 'penstock' AND pid <> pg_backend_pid()",
            (database,),
        ).fetchone()
    assert ended is not None
    return int(ended[0])


def current_count(store: PostgresStore) -> int:
    ((count,),) = run_sql(store, "SELECT COUNT(*) FROM object_versions WHERE is_current")
    assert isinstance(count, int)
    return count


def connection_count(database: str) -> int:
    with shared_server().connect() as connection:
        found = connection.execute(
            "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = %s AND application_name = 'penstock'",
            (database,),
        ).fetchone()
    assert found is not None
    return int(found[0])


def in_threads(count: int, call: Callable[[int], object]) -> list[Exception]:
    """Run calls at once; what they raised."""
    problems: list[Exception] = []

    def run(number: int) -> None:
        try:
            call(number)
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return problems


def test_connections_that_were_ended_while_idle_are_no_matter(
    store: PostgresStore, bucket: Bucket, database: str
) -> None:
    in_threads(6, lambda number: store.read(partial(find_bucket, name="photos")))

    assert end_connections(shared_server(), database) > 0
    put(store, bucket, KEY)
    assert end_connections(shared_server(), database) > 0
    assert store.read(partial(find_bucket, name="photos")) == bucket
    assert end_connections(shared_server(), database) > 0
    assert store.look("find_bucket", {"name": "photos"})


def test_a_unit_whose_connection_ends_is_run_again_and_commits_once(
    store: PostgresStore, bucket: Bucket, database: str
) -> None:
    run_count = 0

    def unit(tx: Tx) -> None:
        nonlocal run_count
        run_count += 1
        publish(tx, new_version(bucket, KEY))
        if run_count == 1:
            end_connections(shared_server(), database)

    store.write(unit)

    # Idle connections that were ended too may have been tried in between.
    assert run_count >= 2
    assert current_count(store) == 1


def test_a_commit_whose_answer_was_lost_is_found(database: str, store: PostgresStore, bucket: Bucket) -> None:
    with CutProxy("127.0.0.1", shared_server().port) as proxy:
        target = replace(shared_server().target(database), port=proxy.port)
        through = PostgresStore(target)
        put(through, bucket, b"before")
        proxy.arm(Cut.BEFORE_THE_ANSWER)

        published = put(through, bucket, KEY)

        assert proxy.cut_count == 1
        through.close()
    found = run_sql(store, "SELECT version_seq FROM object_versions WHERE object_key = :key", {"key": KEY})
    assert found == [(published.version_seq,)]


def test_a_commit_that_the_server_never_heard_of_is_of_unknown_outcome_and_run_once(
    database: str, store: PostgresStore, bucket: Bucket
) -> None:
    with CutProxy("127.0.0.1", shared_server().port) as proxy:
        target = replace(shared_server().target(database), port=proxy.port)
        through = PostgresStore(target)
        put(through, bucket, b"before")
        proxy.arm(Cut.BEFORE_THE_COMMIT)

        with pytest.raises(OutcomeUnknown):
            put(through, bucket, KEY)

        put(through, bucket, b"after")
        through.close()
    assert current_count(store) == 2


def test_a_warning_before_the_commit_says_nothing_of_the_commit(store: PostgresStore, bucket: Bucket) -> None:
    run_sql(
        store,
        "CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE WARNING 'must be vacuumed'; RETURN NEW; END $$",
    )
    run_sql(store, "CREATE TRIGGER warns BEFORE INSERT ON journal FOR EACH ROW EXECUTE FUNCTION warn()")

    put(store, bucket, KEY)

    assert current_count(store) == 1


def test_commits_that_all_break_at_once_are_looked_for_though_no_connection_is_left(
    database: str, store: PostgresStore, bucket: Bucket
) -> None:
    with CutProxy("127.0.0.1", shared_server().port) as proxy:
        target = replace(shared_server().target(database), port=proxy.port, max_conns=2, min_conns=1)
        through = PostgresStore(target)
        put(through, bucket, b"before")
        proxy.arm(Cut.BEFORE_THE_ANSWER)

        # The one connection that may be lent breaks: the next one takes its place.
        put(through, bucket, KEY)

        assert proxy.cut_count == 1
        through.close()
    assert current_count(store) == 2


def test_an_engine_error_rolls_back_and_gives_the_connection_back(
    store: PostgresStore, bucket: Bucket
) -> None:
    def unit(tx: Tx) -> None:
        publish(tx, new_version(bucket, KEY))
        raise NoSuchBucket(bucket="photos")

    for _ in range(30):
        with pytest.raises(NoSuchBucket):
            store.write(unit)

    assert current_count(store) == 0


def test_what_the_schema_refuses_again_and_again_is_told(store: PostgresStore, bucket: Bucket) -> None:
    runs: list[int] = []

    def unit(tx: Tx) -> None:
        runs.append(1)
        params: dict[str, SqlValue] = {"account_id": bucket.account_id, "name": "photos", "now_us": 1}
        params |= {"versioning": "off", "scheme": None, "seal": None, "quota_bytes": None, "origin": "api"}
        tx.run("insert_bucket", params)

    with pytest.raises(RowRefused, match="unique"):
        store.write(unit)

    assert len(runs) == 10


def test_what_was_asked_and_not_looked_at_cannot_be_lost(store: PostgresStore, bucket: Bucket) -> None:
    def unit(tx: Tx) -> str:
        tx.ask("delete_bucket", {"bucket_id": bucket.bucket_id})
        tx.ask("insert_quota_limit", {"subject": "x", "limit_bytes": 1})
        # Fails, and nobody asks for it.
        tx.ask("insert_backend_fence", {"backend_id": 4711})
        return "done"

    with pytest.raises(RowRefused):
        store.write(unit)

    assert store.read(partial(find_bucket, name="photos")) == bucket
    assert run_sql(store, "SELECT 1 FROM quota_limits WHERE subject = 'x'") == []


def test_a_unit_that_is_overtaken_for_ever_ends(store: PostgresStore) -> None:
    def unit(tx: Tx) -> None:
        raise RunAgain

    with pytest.raises(DatabaseUnavailable, match="again and again"):
        store.write(unit)


def test_a_row_that_somebody_keeps_locked_is_not_waited_for_without_end(
    store: PostgresStore, bucket: Bucket, database: str
) -> None:
    with shared_server().connect(database) as other, other.transaction():
        other.execute("SELECT 1 FROM buckets FOR UPDATE")
        begun_s = time.monotonic()

        with pytest.raises(DatabaseUnavailable, match="lock timeout"):
            put(store, bucket, KEY)

    assert time.monotonic() - begun_s < 30
    put(store, bucket, KEY)


def test_more_callers_than_connections_are_all_served(store: PostgresStore, bucket: Bucket) -> None:
    others_count = connection_count(store.target.database)

    problems = in_threads(40, lambda number: [put(store, bucket, f"{number}-{n}".encode()) for n in range(5)])

    assert problems == []
    assert current_count(store) == 200
    # One is the test's own, beside the store.
    assert connection_count(store.target.database) <= others_count + store.target.max_conns + 1


def test_who_holds_others_up_gets_a_connection_when_all_are_lent(
    store: PostgresStore, bucket: Bucket
) -> None:
    lent_count = store.target.max_conns - 1
    all_lent = threading.Barrier(lent_count + 1)
    may_end = threading.Event()

    def unit(tx: Tx) -> None:
        tx.now_us()
        all_lent.wait(20)
        may_end.wait(20)

    threads = [threading.Thread(target=store.read, args=(unit,)) for _ in range(lent_count)]
    for each in threads:
        each.start()
    all_lent.wait(20)

    store.write(partial(publish, new=new_version(bucket, KEY)), holds_locks=True)

    may_end.set()
    for each in threads:
        each.join()
    assert current_count(store) == 1


def test_a_server_that_goes_and_comes_back_is_found_again_without_help() -> None:
    with running_server() as server:
        store = open_postgres(server, server.create_database())
        bucket = make_bucket(store)
        make_backend(store)
        put(store, bucket, b"before")

        server.stop("immediate")
        begun_s = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match="cannot be reached"):
            put(store, bucket, KEY)
        assert time.monotonic() - begun_s < 20
        assert store.problem is not None
        server.start()

        deadline_s = time.monotonic() + 20
        while True:
            try:
                put(store, bucket, KEY)
                break
            except DatabaseUnavailable:
                assert time.monotonic() < deadline_s
                time.sleep(0.05)
        assert store.problem is None
        assert [kind for kind, _ in journal_of(store)][-2:] == ["version", "version"]
        store.close()


def test_a_server_that_hangs_is_not_waited_for_again_and_again() -> None:
    with running_server() as server:
        store = open_postgres(server, server.create_database())
        bucket = make_bucket(store)
        put(store, bucket, b"before")
        pids = [server.pid, *children_of(server.pid)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        begun_s = time.monotonic()
        try:
            with pytest.raises((DatabaseUnavailable, OutcomeUnknown)):
                put(store, bucket, KEY)
            took_s = time.monotonic() - begun_s
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        assert took_s < 30
        store.close()


def children_of(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
